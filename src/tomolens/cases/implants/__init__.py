"""Findings put into the slices or volumes of real patients, so that what a map must find is known exactly.

Every slice then has two versions that differ in the finding and in nothing else: one is the case, the other its twin.
They are made in HU on the scanner's grid, with the slice's own sharpness and noise.
"""

from .registry import IMPLANTS, Implant
from .sides import implanted

__all__ = ["IMPLANTS", "Implant", "implanted"]
