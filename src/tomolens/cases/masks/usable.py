"""What may be compared with a mask: it is bool, and has pixels on both sides."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...errors import MapError

if TYPE_CHECKING:
    from torch import Tensor


def as_mask(mask: "Tensor | NDArray[np.bool_]") -> NDArray[np.bool_]:
    """A mask as a bool array.

    Raises:
        MapError: anything but bool, so that a label map is never taken for a mask by accident.
    """
    array = np.asarray(mask.detach().cpu().numpy() if hasattr(mask, "detach") else mask)
    if array.dtype != np.bool_:
        raise MapError(f"mask of type {array.dtype}, expected bool: compare the label map with the labels you mean")
    return array


def is_usable(mask: NDArray[np.bool_]) -> bool:
    """Whether a mask has pixels on both sides: against an empty or full one nothing can be measured."""
    return bool(mask.any()) and not bool(mask.all())
