"""Lengths as a study file has them: whole pixels, or millimetres as ``"20 mm"``."""

import re
from dataclasses import dataclass
from typing import Literal

from .errors import SettingsError

MILLIMETRES = re.compile(r"(\d+(?:\.\d+)?) ?mm")


@dataclass(frozen=True)
class Length:
    """A length in pixels or in millimetres.

    Example:
        >>> Length.of("20 mm").pixels(0.8), Length.of(3).pixels(0.8)
        (25, 3)
    """

    value: float
    unit: Literal["", "mm"]

    @classmethod
    def of(cls, told: float | str) -> "Length":
        """What was told.

        Raises:
            SettingsError: neither whole pixels nor millimetres.
        """
        if isinstance(told, str):
            if found := MILLIMETRES.fullmatch(told):
                return cls(float(found[1]), "mm")
        elif not isinstance(told, bool) and told % 1 == 0:
            return cls(told, "")
        raise SettingsError(f"length {told!r}, expected whole pixels, or millimetres as '20 mm'")

    def pixels(self, size: float) -> int:
        """In whole pixels of a size in mm."""
        return round(self.value / size) if self.unit else int(self.value)
