"""The implants by name: which classes they make, and who makes them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ..case import CONTRAST_CLASSES
from .alteration import Alter
from .contrast import alter_contrast
from .findings import implant_lesion, implant_nodule

Implant = Literal["nodule", "lesion", "contrast"]
"""What is put into slices, or taken out of them."""


@dataclass(frozen=True)
class Kind:
    """One implant.

    Attributes:
        alter: makes the altered version of a slice.
        classes: names of the labels 0 and 1.
        window: HU in which it shows.
        both_ways: whether originals are of both classes, and altering one turns its label; where it does not,
            originals are all without the finding, which is then told by the implant alone.
    """

    alter: Alter
    classes: tuple[str, str]
    window: tuple[float, float]
    both_ways: bool = False


SOFT_WINDOW, LUNG_WINDOW = (-160.0, 240.0), (-1000.0, 400.0)
IMPLANTS: Mapping[str, Kind] = {
    "nodule": Kind(implant_nodule, ("without nodule", "with nodule"), LUNG_WINDOW),
    "lesion": Kind(implant_lesion, ("without lesion", "with lesion"), SOFT_WINDOW),
    "contrast": Kind(alter_contrast, (CONTRAST_CLASSES[0], CONTRAST_CLASSES[1]), SOFT_WINDOW, both_ways=True),
}
