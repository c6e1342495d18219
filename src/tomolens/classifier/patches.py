"""Networks that were trained on patches, shown whole images by a window that slides over them."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import product
from math import log
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.jit import optimized_execution  # type: ignore[attr-defined]
from torch.nn import functional

from ..errors import NetworkError, SettingsError
from ..lengths import Length
from .layout import as_channels_last
from .run_again import run_again

WholeScore = Literal["mean", "max", "noisy-or"]
PatchWeights = Literal["sum", "uniform", "gaussian"]
Run = Callable[[Tensor], Tensor]
"""From patches ``(N, C, *patch)`` to the network's outputs for them."""

LONGEST, MOST_OVERLAP, MOST_AT_A_TIME = 4096, 0.95, 4096
"""Voxels of a patch along an axis, share of it that the next may cover, and patches that are seen together."""
MORE_THAN_ANY = 1e6
"""Millimetres."""


@dataclass(frozen=True)
class Patches:
    """How a network that was trained on patches is shown a whole image, and what comes of the patches' scores and maps.

    The window goes over the image as MONAI's `SlidingWindowInferer` has it: from the first voxel on in steps of
    ``1 - overlap`` of its length, the last one moved back to end with the image; an image that is smaller is padded
    with black, half before and half after.

    Attributes:
        size: of a patch, in voxels or in millimetres as ``"80 mm"``; one length for all axes, or one for each.
        overlap: share of a patch that the next one covers along each axis, from 0 to 0.95.
        score: of the whole: the ``mean`` of what the network puts out for the patches, each class by itself, as MONAI
            joins overlapping patches; ``max``, the highest of each output: is it anywhere? or ``noisy-or``, the
            probability that it is in any of them, were they independent, 1 - prod(1 - p) (of one neuron or of labels).
        weights: by which gradients of the score by the patches become that by the image: their ``sum`` is the gradient
            of the score of the whole. ``uniform`` is their mean where patches overlap, ``gaussian`` the mean in which
            the middle of a patch counts more (its standard deviation is an eighth of the patch, MONAI's), as maps of
            patches are joined; neither is the gradient of any score, so that integrated gradients are not complete.
        batch: patches that the network sees at a time. It shows in the last bits alone where the network sees each
            patch by itself; not where its batch norms have no statistics of training, or where it draws from a
            generator of its own, of which nothing is known here.

    Raises:
        SettingsError: lengths, shares or words that cannot be, with the name of the setting.

    Example:
        >>> Patches(("80 mm", 64, 64), overlap=0.5).voxels(3, (2.5, 1.0, 1.0))
        (32, 64, 64)
    """

    size: int | str | tuple[int | str, ...]
    overlap: float = 0.25
    score: WholeScore = "mean"
    weights: PatchWeights = "sum"
    batch: int = 4

    def __post_init__(self) -> None:
        if isinstance(self.size, list):
            object.__setattr__(self, "size", tuple(self.size))
        lengths = self._lengths
        for told, one in zip(self._told, lengths, strict=True):
            if not (1 <= one.value <= (MORE_THAN_ANY if one.unit else LONGEST)):
                raise SettingsError(f"patches: size {told!r}, expected 1 to {LONGEST} voxels, or millimetres")
        if len(lengths) not in (1, 2, 3) or (isinstance(self.size, tuple) and len(lengths) == 1):
            raise SettingsError(f"patches: {len(lengths)} numbers of size, expected one for all axes or one for each")
        if not 0 <= self.overlap <= MOST_OVERLAP:
            raise SettingsError(f"patches: overlap {self.overlap:g}, expected a share from 0 to {MOST_OVERLAP:g}")
        for name, known in (("score", get_args(WholeScore)), ("weights", get_args(PatchWeights))):
            if getattr(self, name) not in known:
                raise SettingsError(f"patches: {name} '{getattr(self, name)}', expected one of {', '.join(known)}")
        if not 1 <= self.batch <= MOST_AT_A_TIME:
            raise SettingsError(f"patches: batch {self.batch}, expected 1 to {MOST_AT_A_TIME} patches at a time")

    @property
    def _told(self) -> tuple[int | str, ...]:
        return self.size if isinstance(self.size, tuple) else (self.size,)

    @property
    def _lengths(self) -> tuple[Length, ...]:
        try:
            return tuple(map(Length.of, self._told))
        except SettingsError as error:
            raise SettingsError(f"patches: size: {error}") from error

    @property
    def told(self) -> str:
        """All but how many are seen at a time, in words."""
        size = " x ".join(map(str, self._told))
        return f"{size}, overlap {self.overlap:g}, score {self.score}, weights {self.weights}"

    def alike(self, axes: int) -> "Patches":
        """The same for all that show images alike: a length for each axis, and one patch at a time."""
        return replace(self, size=self._told if len(self._told) == axes else self._told * axes, batch=1)

    def voxels(self, axes: int, spacing: tuple[float, ...] | None = None) -> tuple[int, ...]:
        """Voxels of a patch along each axis.

        Args:
            axes: of the images.
            spacing: millimetres of a voxel along each of them, where that is known.

        Raises:
            SettingsError: lengths for other axes, millimetres where voxels have none, or too many voxels of them.
        """
        lengths = self._lengths
        if len(lengths) not in (1, axes):
            raise SettingsError(f"patches: size has {len(lengths)} lengths for images of {axes} axes")
        if any(one.unit for one in lengths) and (spacing is None or len(spacing) != axes):
            raise SettingsError(
                "patches: a size in millimetres needs voxels of one size: give cases.spacing, or voxels"
            )
        each = lengths if len(lengths) == axes else lengths * axes
        found = tuple(max(1, one.pixels(mm)) for one, mm in zip(each, spacing or (1.0,) * axes, strict=True))
        if max(found) > LONGEST:
            raise SettingsError(f"patches: size {self.size!r} is {max(found)} voxels, expected at most {LONGEST}")
        return found

    def starts(self, shape: tuple[int, ...], size: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
        """Where patches begin along each axis of an image that is no smaller than one.

        Example:
            >>> Patches(8).starts((20, 8), (8, 8))
            ((0, 6, 12), (0,))
        """
        from monai.data.utils import dense_patch_slices  # slow to load, and most networks see no patches

        steps = [
            length if length == side else max(1, int(length * (1 - self.overlap)))
            for side, length in zip(shape, size, strict=True)
        ]
        places = dense_patch_slices(shape, size, steps)
        return tuple(tuple(sorted({place[axis].start for place in places})) for axis in range(len(shape)))


class PatchedNetwork(nn.Module):
    """A network of patches as one of whole images.

    Gradients by the image go through the patches that see it, so that every estimator and metric works as for any
    network. Memory: the patches of a batch are run forward again when their gradients are needed
    (`run_again`), so that those of one batch alone have their activations in memory.

    Attributes:
        network: that sees patches.
        patches: how it is shown images.
        output: what it returns, see `Classifier`.
        black: the value of an image outside of it.
        spacing: millimetres of a voxel along each axis of the images; None where that is not said.
    """

    def __init__(
        self,
        network: nn.Module,
        patches: Patches,
        output: str = "logit",
        black: float = 0.0,
        spacing: tuple[float, ...] | None = None,
    ) -> None:
        super().__init__()
        self.network, self.patches, self.output = network, patches, output
        self.black, self.spacing = black, spacing
        self.training = network.training

    def forward(self, images: Tensor) -> Tensor:
        """Outputs for images ``(N, C, *spatial)``, as the network has them for patches.

        Raises:
            NetworkError: the network puts out no tensor with a first axis of patches.
        """
        return self.through(self.network, images)

    def through(self, run: Run, images: Tensor) -> Tensor:
        """The same by something else than the network itself, as a quick backend of it.

        Raises:
            NetworkError: see `forward`.
        """
        parts = self._cut(images)
        batch = self.patches.batch
        again = torch.is_grad_enabled() and len(parts) > batch and self._learns(images)
        scripted = any(isinstance(module, torch.jit.ScriptModule) for module in self.network.modules())

        def seen(*patches: Tensor) -> Tensor:
            # What TorchScript makes quicker from its second run on keeps other numbers than the first.
            with optimized_execution(False) if again and scripted else nullcontext():
                found = run(as_channels_last(torch.cat(patches)))
            if not isinstance(found, Tensor) or found.ndim == 0 or len(found) != len(patches):
                told = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
                raise NetworkError(f"the network returned {told} for {len(patches)} patches, expected one row for each")
            return found

        outputs = [
            run_again(seen, *some, to_its_end=scripted) if again else seen(*some)
            for some in (parts[at : at + batch] for at in range(0, len(parts), batch))
        ]
        every = torch.cat(outputs)
        return self._joined(every.reshape(len(parts) // len(images), len(images), *every.shape[1:]))

    def places(self, images: Tensor) -> int:
        """Patches of each image."""
        return len(self._cut(images[:1]))

    def some_patches(self, images: Tensor, most: int) -> Tensor:
        """So many patches, or all where there are fewer, ``(P, C, *patch)``: of every place and image in turn."""
        parts, count = self._cut(images), len(images)
        places, most = len(parts) // count, min(most, len(parts))
        # As many or one more of each place, and of one place no image twice: there are no more than images.
        return torch.cat([parts[number * places // most * count + number % count] for number in range(most)])

    def around(self, network: nn.Module, output: str | None = None) -> "PatchedNetwork":
        """Another network shown images in the same way, of the same output if none is told."""
        return PatchedNetwork(network, self.patches, output or self.output, self.black, self.spacing)

    def extra_repr(self) -> str:
        """What shows in the numbers beside the network."""
        return f"{self.patches}, output={self.output!r}, black={self.black:g}, spacing={self.spacing}"

    def _learns(self, images: Tensor) -> bool:
        """Whether activations would be kept for a backward pass."""
        return images.requires_grad or any(weight.requires_grad for weight in self.network.parameters())

    def _cut(self, images: Tensor) -> list[Tensor]:
        """The patches of each image, ``(1, C, *patch)``, those of one place after the other: views, not copies."""
        size = self.patches.voxels(images.ndim - 2, self.spacing)
        whole = self._padded(images, size)
        starts = self.patches.starts(tuple(whole.shape[2:]), size)
        weighted = self.patches.weights != "sum" and images.requires_grad and torch.is_grad_enabled()
        weights = self._weights(size).to(images) if weighted else None
        if weights is not None:
            whole = whole.view_as(whole)
            total = _laid(weights, tuple(whole.shape[2:]), starts)
            whole.register_hook(lambda gradient: gradient / total)  # type: ignore[no-untyped-call]
        parts = [whole]
        # Axis by axis: the gradient of a slice is as large as what it was cut from.
        for axis, begins in enumerate(starts):
            parts = [part.narrow(2 + axis, begin, size[axis]) for part in parts for begin in begins]
        if weights is not None:
            for part in parts:
                part.register_hook(lambda gradient: gradient * weights)  # type: ignore[no-untyped-call]
        return [one for part in parts for one in torch.split(part, 1)]

    def _padded(self, images: Tensor, size: tuple[int, ...]) -> Tensor:
        missing = [max(0, length - side) for side, length in zip(images.shape[2:], size, strict=True)]
        if not any(missing):
            return images
        around = [width for lack in missing[::-1] for width in (lack // 2, lack - lack // 2)]
        return functional.pad(images, around, value=self.black)

    def _weights(self, size: tuple[int, ...]) -> Tensor:
        from monai.data.utils import compute_importance_map

        mode = "gaussian" if self.patches.weights == "gaussian" else "constant"
        weights: Tensor = compute_importance_map(size, mode=mode)
        return weights

    def _joined(self, outputs: Tensor) -> Tensor:
        """Of outputs ``(places, N, ...)`` that of the whole, ``(N, ...)``."""
        if self.patches.score == "mean":
            return outputs.mean(dim=0)
        if self.patches.score == "max":
            return outputs.amax(dim=0)
        if self.output in ("probability", "probabilities"):
            return _any_of_probabilities(outputs.double()).to(outputs.dtype)
        return _any_of_logits(outputs.double()).to(outputs.dtype)


def _laid(weights: Tensor, shape: tuple[int, ...], starts: tuple[tuple[int, ...], ...]) -> Tensor:
    """Sum of the weights of all patches at each voxel."""
    total = torch.zeros(shape, dtype=weights.dtype, device=weights.device)
    for begins in product(*starts):
        total[tuple(slice(one, one + length) for one, length in zip(begins, weights.shape, strict=True))] += weights
    return total


RARE, FEW = -36.0, 1e-6
"""Logits z below which log(1 + exp z) is exp z in float64, and sums S below which exp S - 1 is S + S²/2."""


def _any_of_probabilities(each: Tensor) -> Tensor:
    """1 - prod(1 - p) of ``(places, N, ...)``, float64, to the last bits where all are small."""
    unsure = each < 1.0
    log_none = torch.log1p(-torch.where(unsure, each, 0.0)).sum(dim=0)
    # Where one is 1 the logarithm has no gradient, and the product has.
    return torch.where(unsure.all(dim=0), -torch.expm1(log_none), 1.0 - (1.0 - each).prod(dim=0))


def _any_of_logits(each: Tensor) -> Tensor:
    """The same of logits, as a logit: log(exp S - 1), where S is the sum of log(1 + exp z), -log(1 - p)."""
    rare = each < RARE
    log_of_each = torch.where(rare, each, torch.log(functional.softplus(each.clamp(min=RARE), threshold=40.0)))
    log_sum = torch.logsumexp(log_of_each, dim=0)  # exp z of a sure network is 0 even in float64
    few = log_sum < log(FEW)
    total = torch.exp(torch.where(few, log(FEW), log_sum))
    return torch.where(few, log_sum + torch.exp(log_sum) / 2, total + torch.log(-torch.expm1(-total)))
