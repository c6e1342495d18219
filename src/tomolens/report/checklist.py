"""A checklist, and what of a study its items can say: the numbers of what was measured, in sentences."""

import base64
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ..declarations import Criterion, Judge, Output
from ..findings import Findings
from ..findings.printing import NOTHING, interval_words, map_title, printed, values_of
from ..findings.sentence import basis
from .trust import against_words

OPEN = "For the authors to say."


@dataclass(frozen=True)
class Item:
    """One item.

    Attributes:
        name: its number, or what it is called.
        asks: for what, in short.
        says: what this study can say.
    """

    name: str
    asks: str
    says: str = OPEN


@dataclass(frozen=True)
class Checklist:
    """A checklist as far as a study can fill it.

    Attributes:
        name: of its file.
        title: what it is called.
        source: to cite.
        items: all of them.
    """

    name: str
    title: str
    source: str
    items: tuple[Item, ...]

    @property
    def filled(self) -> int:
        """Items that the study says something on."""
        return sum(not item.says.startswith(OPEN) for item in self.items)

    @property
    def markdown(self) -> str:
        """As a file to edit."""
        rows = [f"| {_cell(one.name)} | {_cell(one.asks)} | {_cell(one.says)} |" for one in self.items]
        head = ["| item | asks for | this study |", "|---|---|---|"]
        note = f"A stub to edit: the items in short, filled as far as the study can. {self.source}."
        return "\n".join([f"# {self.title}", "", note, "", *head, *rows, ""])

    @property
    def link(self) -> str:
        """The file as a link that needs no other file."""
        return f"data:text/markdown;charset=utf-8;base64,{base64.b64encode(self.markdown.encode()).decode()}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def of_views(findings: Findings, *judges: Judge) -> list[str]:
    """What the views of some judges say."""
    return _told(findings, [view for view in findings.views.values() if view.judges.judge in judges])


def of_criteria(findings: Findings, *criteria: Criterion) -> list[str]:
    """What is measured of maps by some criteria."""
    numbers = [output for metric in findings.description.metrics for output in metric.numbers]
    return _told(findings, [output for output in numbers if output.criterion in criteria])


def _told(findings: Findings, outputs: Iterable[Output]) -> list[str]:
    """For each output that was measured the best map that looks at the network, and the range of all such maps.

    Of a view also the best map that does not look, and whether the view cannot judge maps.
    """
    found, blind = [], findings.description.blind
    for output in outputs:
        values = values_of(findings, output)
        values = values if values.empty else values[~values["estimator"].isin(blind)]
        if values.empty:
            continue
        best, ends = values.iloc[0], interval_words(output, values.iloc[0])
        numbers = values["value"].to_numpy(float)
        reach = f"{printed(output, float(np.nanmin(numbers)))} to {printed(output, float(np.nanmax(numbers)))}"
        sure = "" if ends == NOTHING else f" ({ends})"
        beside = against_words(findings, output) if output.column in findings.views else ""
        whose = map_title(findings, best["estimator"], best["form"])
        found.append(
            f"{output.label}: {printed(output, best['value'])}{sure} of {whose}, {reach} over {len(values)} maps, "
            f"{basis(int(best['cases']), int(best['patients']))}"
            f"{f'; {beside}' if beside else ''}."
        )
    return found
