"""From coarse grids to fine ones."""

from collections.abc import Sequence

from torch import Tensor
from torch.nn.functional import interpolate

LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}


def enlarged(coarse: Tensor, size: Sequence[int]) -> Tensor:
    """Numbers ``(*coarse)`` on a finer grid ``(*size)``.

    They are interpolated linearly between the middles of their pixels (``align_corners=False``), as if those covered
    the grid evenly.
    """
    return interpolate(coarse[None, None], size=tuple(size), mode=LINEAR[coarse.ndim])[0, 0]
