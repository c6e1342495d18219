"""A table of the page: rows of text under their headings, without what all rows have in common."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

NOT_ABOVE, NOT_TOLD = "†", "‡"
MARKS = {
    NOT_ABOVE: "does not surely beat the best blind map",
    NOT_TOLD: "too few patients to tell whether it beats the best blind map",
}
"""Behind a number, and what they mean."""


@dataclass(frozen=True)
class Table:
    """Rows of text under their headings.

    Attributes:
        columns: headings.
        rows: of cells.
        best: the row in bold; None for none.
        left: so many first columns are words.
        lower: the columns in which lower is better.
        drawings: of each row a drawing, in a column of its own behind the one called ``drawn_after``; none for none.
        drawn_after: a heading.
        drawn: what the drawings are.
        kept: headings of columns that are shown also where all rows have the same.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    best: int | None = None
    left: int = 2
    lower: Collection[str] = ()
    drawings: Sequence[Markup] = field(default=())
    drawn_after: str = ""
    drawn: str = ""
    kept: Collection[str] = ()

    @property
    def common(self) -> dict[str, Any]:
        """The columns of numbers that are the same in all rows, of which there are several, with what they have."""
        if len(self.rows) < 2:
            return {}
        told = [(at, name) for at, name in enumerate(self.columns) if at >= self.left and name not in self.kept]
        cells = {name: [row[at] for row in self.rows] for at, name in told}
        return {name: found[0] for name, found in cells.items() if len(set(found)) == 1}

    @property
    def shown(self) -> list[int]:
        """The places of the columns that differ between rows, and of all that are words."""
        return [at for at, name in enumerate(self.columns) if name not in self.common]

    @property
    def note(self) -> str:
        """What all rows have in common, and what the marks in cells mean; may be empty."""
        alike = ", ".join(f"{name} {value}" for name, value in self.common.items())
        there = {cell[-1:] for row in self.rows for cell in row if isinstance(cell, str)}
        marks = [f"{mark} {words}" for mark, words in MARKS.items() if mark in there]
        return "; ".join([*([f"In all rows: {alike}"] if alike else []), *marks])
