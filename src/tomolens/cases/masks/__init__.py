"""Expert masks of every kind, brought onto the grid of the image they belong to."""

from .mask import MaskChoice, read_mask
from .structures import read_anatomy

__all__ = ["MaskChoice", "read_anatomy", "read_mask"]
