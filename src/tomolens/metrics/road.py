"""Noisy linear imputation (ROAD; Rong et al. 2022, arXiv 2202.00449): masked pixels become means of their neighbours.

Every hidden pixel is the weighted mean of its neighbours, hidden ones included: a sparse linear system, solved for all
masks of a batch at a time by conjugate gradients on the device, from an estimate at falling resolution.
"""

import itertools
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from ..randomness import generator

NOISE = 0.01
"""Standard deviation of the noise on imputed pixels: a network must not know them by their smoothness."""
TOLERANCE = 1e-4
"""Largest residual that is left at any pixel."""
ROUNDS = 500
"""At most so many steps of conjugate gradients."""


def imputation_noise(image: Tensor, seed: int, name: str) -> Tensor:
    """The noise of a case, one draw for all its masks, ``(C, *spatial)``."""
    drawn = generator(seed, name, "road").standard_normal(tuple(image.shape))
    return NOISE * torch.from_numpy(drawn).to(image)


def imputed(image: Tensor, hidden: Tensor, noise: Tensor) -> Tensor:
    """An image with each of several sets of pixels imputed.

    Args:
        image: ``(C, *spatial)``, of two or three spatial axes.
        hidden: bool ``(B, *spatial)``.
        noise: added to imputed pixels, ``(C, *spatial)``.

    Returns:
        ``(B, C, *spatial)``; the channel's mean where everything is hidden.
    """
    unknown = hidden[:, None].to(image)
    known = image[None] * (1 - unknown)
    start = unknown * _estimate(known, 1 - unknown, image) + known
    solved = _conjugate_gradients(_neighbours(image), start, unknown)
    return torch.where(hidden[:, None], solved + noise, image[None])


def _neighbours(image: Tensor) -> Callable[[Tensor], Tensor]:
    """Sums over the neighbours, weighted by the inverse square of their distance: 2 to 1 for edges against corners."""
    axes = image.ndim - 1
    offsets = itertools.product((-1, 0, 1), repeat=axes)
    weights = [0.0 if not any(offset) else 1.0 / sum(step * step for step in offset) for offset in offsets]
    kernel = torch.tensor(weights).to(image).reshape(1, 1, *[3] * axes)
    convolve = functional.conv2d if axes == 2 else functional.conv3d

    def sums(values: Tensor) -> Tensor:
        flat = values.reshape(-1, 1, *values.shape[2:])
        return convolve(flat, kernel, padding=1).reshape(values.shape)

    return sums


def _estimate(known: Tensor, weight: Tensor, image: Tensor) -> Tensor:
    """Means of the known pixels at the finest resolution that has any near."""
    axes = image.ndim - 1
    pool = functional.avg_pool2d if axes == 2 else functional.avg_pool3d
    if max(known.shape[2:]) <= 2:
        total = weight.flatten(2).sum(dim=2)
        mean = known.flatten(2).sum(dim=2) / total.clamp(min=1e-12)
        mean = torch.where(total > 0, mean, image.flatten(1).mean(dim=1))
        return mean.reshape(*mean.shape, *[1] * axes).expand_as(known)
    halved = [pool(part, 2, ceil_mode=True, count_include_pad=False) for part in (known, weight.expand_as(known))]
    coarse = _estimate(halved[0], halved[1], image)
    smooth = functional.interpolate(
        coarse, size=known.shape[2:], mode="bilinear" if axes == 2 else "trilinear", align_corners=False
    )
    return torch.where(weight > 0, known / weight.clamp(min=1e-12), smooth)


def _conjugate_gradients(sums: Callable[[Tensor], Tensor], start: Tensor, unknown: Tensor) -> Tensor:
    """Solve degree x = sum of neighbours on the unknown pixels, all others held; each image stops by itself."""
    degree = sums(torch.ones_like(start[:1, :1]))
    space = tuple(range(2, start.ndim))

    def dot(one: Tensor, other: Tensor) -> Tensor:
        return (one * other).sum(dim=space, keepdim=True)

    solution = start
    residual = unknown * (sums(solution) - degree * solution)
    direction, power = residual, dot(residual, residual)
    for _ in range(ROUNDS):
        active = (residual.abs().amax(dim=space, keepdim=True) > TOLERANCE * degree.max()).to(start)
        if not bool(active.any()):
            break
        moved = unknown * (degree * direction - sums(direction))
        step = active * power / dot(direction, moved).clamp(min=1e-30)
        solution = solution + step * direction
        residual = residual - step * moved
        new = dot(residual, residual)
        direction = residual + (new / power.clamp(min=1e-30)) * direction
        power = new
    return solution
