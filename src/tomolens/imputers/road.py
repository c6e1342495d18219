"""Noisy linear imputation (ROAD; Rong et al. 2022, arXiv 2202.00449): masked pixels become means of their neighbours.

Every hidden pixel is the weighted mean of its neighbours, hidden ones included: a sparse linear system, solved in
float64 by conjugate gradients that start from an estimate at falling resolution. On the processor they touch the hidden
pixels of one mask after the other (`conjugate_gradients`). On another device they take all masks of a batch at a time
and are preconditioned at all resolutions (Bramble, Pasciak & Xu 1990), so that the inside of a large hidden region is
right after as few steps as that of a small one.
"""

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..errors import MapError
from ..randomness import generator
from .conjugate_gradients import solved

NOISE = 0.01
"""Standard deviation of the noise on imputed pixels: a network must not know them by their smoothness."""
TOLERANCE = 1e-3
"""Largest error that is left at any pixel, for images in [0, 1]."""
ROUNDS = 200
"""At most so many preconditioned steps; some twenty are usual."""
ROUNDS_A_PIXEL = 50
"""At most so many steps on the processor for each pixel along the longest side; at most three or so are usual."""


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

    Raises:
        MapError: a system that is not solved to `TOLERANCE`.
    """
    exact = image.double()
    unknown = hidden[:, None].to(exact)
    known = exact[None] * (1 - unknown)
    start = unknown * _estimate(known, 1 - unknown, exact) + known
    on_processor = image.device.type == "cpu"
    found = _on_processor(start, hidden) if on_processor else _conjugate_gradients(_neighbours(exact), start, unknown)
    return torch.where(hidden[:, None], found.to(image) + noise, image[None])


def _small(spatial: Sequence[int]) -> float:
    """A residual of r at every pixel is an error of at most r L^2 / 16 in the middle of a strip of width L."""
    return TOLERANCE * 16 / max(spatial) ** 2


def _require_solved(left: float, small: float, rounds: int) -> None:
    if not left <= small:  # NaN is no solution
        error = left / small * TOLERANCE
        raise MapError(f"ROAD's imputation is not solved after {rounds} steps: an error of up to {error:.1g} is left")


def _on_processor(start: Tensor, hidden: Tensor) -> Tensor:
    spatial = start.shape[2:]
    small, rounds = _small(spatial), ROUNDS_A_PIXEL * max(spatial)
    offsets, weights = _weights(len(spatial))
    near = [(offset, weight) for offset, weight in zip(offsets, weights, strict=True) if weight]
    found = []
    for values, mask in zip(start.numpy(), hidden.numpy(), strict=True):
        made, left = solved(values, mask, [one for one, _ in near], np.array([one for _, one in near]), small, rounds)
        _require_solved(left, small, rounds)
        found.append(torch.from_numpy(made))
    return torch.stack(found)


def _weights(axes: int) -> tuple[list[tuple[int, ...]], list[float]]:
    """Offsets of a pixel and its neighbours, and their weights: the inverse square of the distance, 0 of itself."""
    offsets = list(itertools.product((-1, 0, 1), repeat=axes))
    return offsets, [1.0 / sum(step * step for step in offset) if any(offset) else 0.0 for offset in offsets]


def _neighbours(image: Tensor) -> Callable[[Tensor], Tensor]:
    """Sums over the neighbours, weighted by the inverse square of their distance: 2 to 1 for edges against corners."""
    axes = image.ndim - 1
    kernel = torch.tensor(_weights(axes)[1]).to(image).reshape(1, 1, *[3] * axes)
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
    sides = [min(2, length) for length in known.shape[2:]]  # an axis of one pixel stays one
    halved = [pool(part, sides, ceil_mode=True, count_include_pad=False) for part in (known, weight.expand_as(known))]
    coarse = _estimate(halved[0], halved[1], image)
    smooth = functional.interpolate(
        coarse, size=known.shape[2:], mode="bilinear" if axes == 2 else "trilinear", align_corners=False
    )
    return torch.where(weight > 0, known / weight.clamp(min=1e-12), smooth)


def _conjugate_gradients(sums: Callable[[Tensor], Tensor], start: Tensor, unknown: Tensor) -> Tensor:
    """Solve degree x = sum of neighbours on the unknown pixels, all others held; each image stops by itself."""
    degree = sums(torch.ones_like(start[:1, :1]))
    space, small = tuple(range(2, start.ndim)), _small(start.shape[2:])
    precondition = _preconditioner(unknown * (degree * unknown - sums(unknown)), unknown, float(degree.max()))

    def dot(one: Tensor, other: Tensor) -> Tensor:
        return (one * other).sum(dim=space, keepdim=True)

    solution = start
    residual = unknown * (sums(solution) - degree * solution)
    direction = precondition(residual)
    power = dot(residual, direction)
    for _ in range(ROUNDS):
        left = residual.abs().amax(dim=space, keepdim=True)
        if bool(left.isnan().any()):
            break
        active = (left > small).to(start)
        if not bool(active.any()):
            return solution
        moved = unknown * (degree * direction - sums(direction))
        step = active * power / dot(direction, moved).clamp(min=1e-300)
        solution = solution + step * direction
        residual = residual - step * moved
        improved = precondition(residual)
        new = dot(residual, improved)
        direction = improved + (new / power.clamp(min=1e-300)) * direction
        power = new
    _require_solved(float(residual.abs().max()), small, ROUNDS)
    return solution


def _preconditioner(held: Tensor, unknown: Tensor, degree: float) -> Callable[[Tensor], Tensor]:
    """Approximate inverse: the residual at every resolution, each divided by the energy of its hat functions.

    Args:
        held: weight of each unknown pixel's known neighbours, which hold it, ``(B, 1, *spatial)``.
        unknown: 1 where a pixel is unknown, else 0.
        degree: sum of a pixel's weights.
    """
    axes = held.ndim - 2
    hat = torch.tensor([0.5, 1.0, 0.5]).to(held)
    kernel = hat
    for _ in range(axes - 1):
        kernel = kernel[..., None] * hat
    convolve, spread = (
        (functional.conv2d, functional.conv_transpose2d)
        if axes == 2
        else (functional.conv3d, functional.conv_transpose3d)
    )
    kernel = kernel[None, None]

    def coarser(values: Tensor) -> Tensor:
        flat = values.reshape(-1, 1, *values.shape[2:])
        made: Tensor = convolve(flat, kernel, stride=2, padding=1)
        return made.reshape(*values.shape[:2], *made.shape[2:])

    def finer(values: Tensor, shape: torch.Size) -> Tensor:
        more = [length - (2 * coarse - 1) for length, coarse in zip(shape[2:], values.shape[2:], strict=True)]
        flat = values.reshape(-1, 1, *values.shape[2:])
        return spread(flat, kernel, stride=2, padding=1, output_padding=more).reshape(shape)

    energies = [held]
    while max(energies[-1].shape[2:]) > 2:
        energies.append(coarser(energies[-1]))
    energies = [degree * 2.0 ** (level * (axes - 2)) + energy for level, energy in enumerate(energies)]

    def apply(residual: Tensor) -> Tensor:
        levels = [residual]
        for _ in energies[1:]:
            levels.append(coarser(levels[-1]))
        total = levels[-1] / energies[-1]
        for level, energy in zip(levels[-2::-1], energies[-2::-1], strict=True):
            total = level / energy + finer(total, level.shape)
        return unknown * total

    return apply
