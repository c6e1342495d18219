"""Calibration: the cases of a study once more, with an implant, so that the truth is known of the same network."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..cases import Case, Cases
from ..cases.implants import IMPLANTS, Implant, implanted
from ..errors import CaseError
from .survey import without_places


@dataclass(frozen=True)
class Calibration:
    """Cases with an implant, each with the case as it came as its twin.

    Attributes:
        implant: what is put in, or taken out.
        cases: those of the study that it fits: of contrast agent all, else those without the finding.
        places: their places, by name.
    """

    implant: Implant
    cases: Cases
    places: Mapping[str, int] = field(repr=False)

    @classmethod
    def of(cls, implant: Implant, cases: Cases, seed: int) -> "Calibration":
        """All cases that can be tried.

        Raises:
            SettingsError: cases that are not read from files in HU.
        """
        fitting = [index for index, label in enumerate(cases.labels) if IMPLANTS[implant].both_ways or label == 0]
        altered = implanted(cases.select(fitting), implant, seed, share=1.0)
        return cls(implant, altered, {name: place for place, name in enumerate(altered.names)})

    def case(self, name: str) -> Case | str | None:
        """The case with its implant; why it can have none; or None where the implant does not fit its class."""
        if name not in self.places:
            return None
        place = self.places[name]
        try:
            return self.cases[place]
        except CaseError as error:
            return without_places(str(error), self.cases.entries[place])
