"""Which slices of a scan become cases."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from ..errors import SettingsError

Item = TypeVar("Item")
Kind = Literal["all", "every", "count", "largest-mask", "volume"]


@dataclass(frozen=True)
class SliceChoice:
    """A rule that chooses slices.

    Attributes:
        kind: ``all``; ``every`` n-th from the middle of the first n on; a ``count`` a scan, evenly spaced, in the
            middles of as many equal parts; the ones with the ``largest-mask``; or none, because the whole ``volume`` is
            one case.
        number: of the rule.
    """

    kind: Kind = "all"
    number: int = 1

    @classmethod
    def parse(cls, text: str) -> "SliceChoice":
        """From ``all``, ``every=10``, ``count=2``, ``largest-mask=1`` or ``volume``.

        Raises:
            SettingsError: anything else.
        """
        kind, _, number = text.partition("=")
        if kind in ("all", "volume") and not number:
            return cls(kind)  # type: ignore[arg-type]
        if kind in ("every", "count", "largest-mask") and number.isascii() and number.isdigit() and int(number) > 0:
            return cls(kind, int(number))  # type: ignore[arg-type]
        raise SettingsError(f"slices '{text}', expected all, every=N, count=N, largest-mask=N or volume")

    def of(self, slices: Sequence[Item], area: Callable[[Item], int]) -> list[int]:
        """Indices of the chosen slices, in order.

        Args:
            slices: of one scan, from the feet.
            area: pixels of a slice's mask, asked for by ``largest-mask`` alone; slices without any are not chosen.
        """
        total = len(slices)
        if self.kind == "every":
            return list(range(min(self.number // 2, total - 1), total, self.number))
        if self.kind == "count":
            return evenly(total, self.number)
        if self.kind == "largest-mask":
            areas = [area(one) for one in slices]
            largest = sorted(range(total), key=lambda index: (-areas[index], index))[: self.number]
            return sorted(index for index in largest if areas[index] > 0)
        return list(range(total))


def evenly(total: int, count: int) -> list[int]:
    """Positions of ``count`` of ``total`` things: the middles of as many equal parts."""
    count = min(count, total)
    return [(2 * part + 1) * total // (2 * count) for part in range(count)]
