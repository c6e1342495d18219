"""A map sorted once: fidelity, ROC and overlap all read this ranking."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..errors import MapError
from ..randomness import generator
from .planes import to_plane


@dataclass(frozen=True, eq=False)
class RankedMap:
    """The pixels of an importance map in order of their score.

    Attributes:
        scores: float64 ``(P,)``, score of each pixel, in raster order.
        shape: spatial shape of the map.
        order: int64 ``(P,)``, pixels from least to most important; ties in seeded random order.
    """

    scores: NDArray[np.float64]
    shape: tuple[int, ...]
    order: NDArray[np.int64]

    @cached_property
    def ranks(self) -> NDArray[np.int64]:
        """Position of each pixel in `order`, ``(P,)``."""
        ranks = np.empty_like(self.order)
        ranks[self.order] = np.arange(len(self.order))
        return ranks


def rank_map(
    importance: Tensor | NDArray[np.floating], *, seed: int = 0, name: str = "0", channels: str = "sum"
) -> RankedMap:
    """Sort a map once.

    Args:
        importance: ``(C, *spatial)``.
        seed: of the order of ties.
        name: of the case; ties of one case fall alike in all its maps.
        channels: how channels become one score, see `CHANNEL_RULES`.

    Raises:
        SettingsError: an unknown rule for channels.
        MapError: a map without a channel axis, or with values that are not finite.
    """
    values = importance.detach().cpu().double().numpy() if isinstance(importance, Tensor) else np.asarray(importance)
    if values.ndim < 2:
        raise MapError(f"importance map of shape {values.shape}, expected (C, *spatial)")
    if not np.isfinite(values).all():
        raise MapError(f"importance map: {int((~np.isfinite(values)).sum())} values are not finite")
    scores = to_plane(values.astype(np.float64), channels).astype(np.float64)
    flat = scores.ravel()
    shuffled = generator(seed, name, "ties").permutation(flat.size)
    order = shuffled[np.argsort(flat[shuffled], kind="stable")]
    return RankedMap(flat, scores.shape, order)


def absolute(importance: Tensor) -> Tensor:
    """The map of absolute values, taken before channels are summed."""
    return importance.abs()
