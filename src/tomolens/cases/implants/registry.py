"""The implants by name; classes and windows are those of the same findings in simulated cases."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from .alteration import Alter
from .contrast import alter_contrast
from .findings import implant_lesion, implant_nodule
from .volumes import implant_lesion_in_volume, implant_nodule_in_volume

Implant = Literal["nodule", "lesion", "contrast"]
"""What is put into slices or volumes, or taken out of them."""


@dataclass(frozen=True)
class Kind:
    """One implant.

    Attributes:
        alter: makes the altered version of a slice.
        alter_volume: that of a volume; None where there is none.
        both_ways: whether originals are of both classes, and altering one turns its label; where it does not,
            originals are all without the finding, which is then told by the implant alone.
    """

    alter: Alter
    alter_volume: Alter | None = None
    both_ways: bool = False


IMPLANTS: Mapping[str, Kind] = {
    "nodule": Kind(implant_nodule, implant_nodule_in_volume),
    "lesion": Kind(implant_lesion, implant_lesion_in_volume),
    "contrast": Kind(alter_contrast, both_ways=True),
}
