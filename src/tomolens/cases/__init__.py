"""Cases: images with labels, masks and patients, read lazily from files or drawn by the phantom."""

from .case import CONTRAST_CLASSES, Case, CaseEntry, Cases
from .grid import Grid
from .manifest import from_manifest
from .masks import MaskChoice
from .preprocessing import Preprocessing

__all__ = ["CONTRAST_CLASSES", "Case", "CaseEntry", "Cases", "Grid", "MaskChoice", "Preprocessing", "from_manifest"]
