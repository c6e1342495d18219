"""A section of the page."""

from collections.abc import Sequence
from dataclasses import dataclass

from .table import Table


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        title: its heading.
        text: what is shown, in words.
        table: below the text.
        charts: name and caption of charts.
        folded: whether a reader must ask for the table.
        view: the view that it is about; empty for none.
    """

    title: str
    text: str
    table: Table | None = None
    charts: Sequence[tuple[str, str]] = ()
    folded: bool = False
    view: str = ""
