"""What a metric puts out: everything that tables, ranks, words, page and LaTeX must know of a number or curve.

A study keeps these declarations in its description, so that findings and report know no metric by name.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from .errors import SettingsError

Curve = NDArray[np.float64]
Form = Literal["original", "absolute"]
"""Of a map: as it is, or its absolute values."""
FORMS: tuple[Form, ...] = get_args(Form)
BLURRED = "blurred"
"""Form of an estimator's absolute map that was blurred: a control, as masking favours smooth maps. It ranks nowhere."""

Judge = Literal["model", "expert", "truth", "shortcut"]
"""Whose view an output is: the model's own behaviour, the expert's masks, the known truth, or a planted shortcut's
place. Views of the model and of the expert are compared with each other; the truth says who is right; the place of a
shortcut ranks nothing."""


Criterion = Literal["", "weights", "again", "robust", "confidence"]
"""What checklists ask of maps beside their views: whether they depend on the network's weights, come out alike again,
stay with small changes of the image, and go with the network's confidence."""


@dataclass(frozen=True)
class View:
    """A number that judges maps: it ranks them, and has a section of its own on the page.

    Attributes:
        name: in tables and files.
        title: what its number is called in a sentence.
        judge: whose view it is.
        by: what it judges by, as "by pixel"; may be empty.
        sentence: its number in a sentence, as ``F × 10 = {}``.
        heading: of its section.
        text: below the heading: what is measured, and how to read it.
    """

    name: str
    title: str
    judge: Judge
    by: str = ""
    sentence: str = "{}"
    heading: str = ""
    text: str = ""

    @property
    def ranks(self) -> bool:
        """Whether it says which maps are better; to find a shortcut is no merit."""
        return self.judge != "shortcut"

    @property
    def compared(self) -> bool:
        """Whether it is the model's or the expert's; the truth stands beside these."""
        return self.judge in ("model", "expert")


Filled = Literal["fill", "twin", "neighbours"]
"""What masked pixels become."""


@dataclass(frozen=True)
class Output:
    """One number or curve of each map in each case.

    Attributes:
        name: in rows and tables.
        label: of a column or axis.
        factor: by which it is multiplied for printing.
        digits: after the point.
        better: which end of its range is good; None where neither is.
        balanced: whether its mean is taken over the means of the classes.
        view: what it judges; None for a number that stands beside others.
        curve: whether it is a curve.
        intervals: of a curve: whether its mean has intervals over patients.
        criterion: what it tells of maps beside how good they are, see `Criterion`; empty for most.
        answers: which check of a trust card it answers, see `QUESTIONS` of the findings: passed where its mean is above
            0, failed where it is below; empty for most.
        masked: of a curve of decisions, right (1) or wrong (0), along a masking of pixels: which ones go first.
        filled: of such a curve: with what masked pixels are filled, the study's fill, the twin, or their neighbours.

    Raises:
        SettingsError: a view of a curve, or of a number of which neither end is good.
    """

    name: str
    label: str = ""
    factor: float = 1.0
    digits: int = 3
    better: Literal["higher", "lower"] | None = "higher"
    balanced: bool = False
    view: View | None = None
    curve: bool = False
    intervals: bool = False
    masked: Literal["most important", "least important"] | None = None
    filled: Filled = "fill"
    criterion: Criterion = ""
    answers: str = ""

    def __post_init__(self) -> None:
        if self.view is not None and (self.curve or self.better not in ("higher", "lower")):
            raise SettingsError(f"output '{self.name}' judges maps: it must be a number, better 'higher' or 'lower'")

    @property
    def sign(self) -> float:
        """1 where higher values are better, -1 where lower ones are; a larger ``sign * value`` is better."""
        return -1.0 if self.better == "lower" else 1.0

    @property
    def judges(self) -> View:
        """The view of an output that has one."""
        assert self.view is not None, f"{self.name} judges no maps"
        return self.view

    @property
    def column(self) -> str:
        """What its numbers are called in tables."""
        return self.view.name if self.view else self.name


@dataclass(frozen=True)
class Chart:
    """Curves of a metric drawn for each map, on the page and as a figure.

    Attributes:
        name: of its files.
        lines: one curve, or two between which the area is shaded.
        x: first and last value of the horizontal axis, or the name of the curve that gives it.
        x_label: of the horizontal axis, with its unit.
        y_label: of the vertical axis.
        caption: below the figure.
        headline: the number that stands beside each map's name.
        line_labels: what each of two lines is, as "most important first".
        chance: whether the diagonal is what chance gives.
        limits: of the vertical axis; None fits it to the lines.
    """

    name: str
    lines: tuple[str, ...]
    x: str | tuple[float, float]
    x_label: str
    y_label: str
    caption: str
    headline: str
    line_labels: tuple[str, ...] = ()
    chance: bool = False
    limits: tuple[float, float] | None = None


@dataclass(frozen=True)
class Side:
    """One sign of the values in a `Breakdown`.

    Attributes:
        name: ``positive`` or ``negative``.
        shares: the curve of the shares of each part, all of them together 1.
        areas: the curve of the parts' shares of the image, of the same cases.
    """

    name: str
    shares: str
    areas: str


@dataclass(frozen=True)
class Breakdown:
    """Shares of a map in the parts of the image, beside the parts' own shares of it, which an even map has.

    Attributes:
        name: of its table and figure.
        parts: names of the points of its curves.
        sides: the curves.
        heading: of its section.
        text: below the heading.
        of_structures: whether the study's structures come before the parts that are named.
        rest: the last so many parts are what is left, and are drawn grey.
    """

    name: str
    parts: tuple[str, ...]
    sides: tuple[Side, ...]
    heading: str
    text: str = ""
    of_structures: bool = False
    rest: int = 1


@dataclass(frozen=True)
class CurveArea:
    """A number made of two mean curves: another way to say an output, tried as an option where choices are varied.

    Attributes:
        name: of its column.
        of: the output that it is another way to say.
        choice: what the option is one of, as "ROC".
        option: in words, as "quantile grid".
        heights: name of the curve of heights.
        widths: name of the curve of positions.
        rule: ``trapezoid``, closed at (0, 0) and (1, 1), or the mean ``height`` of the points.
    """

    name: str
    of: str
    choice: str
    option: str
    heights: str
    widths: str
    rule: Literal["trapezoid", "height"]

    def area(self, heights: Curve, widths: Curve) -> float:
        """The number, from both curves; NaN in either gives NaN."""
        if self.rule == "height":
            return float(heights.mean())
        rising = slice(None, None, 1 if widths[0] <= widths[-1] else -1)
        y, x = (np.concatenate([[0.0], values[rising], [1.0]]) for values in (heights, widths))
        return float(np.trapezoid(y, x))


@dataclass(frozen=True)
class Declaration:
    """All that is told of a metric beside the code that measures it.

    Attributes:
        name: in the study file.
        outputs: what it puts out.
        charts: of its curves.
        areas: of its mean curves.
        breakdown: of its curves whose points are parts of the image; None where it has none.
    """

    name: str
    outputs: tuple[Output, ...]
    charts: tuple[Chart, ...] = ()
    areas: tuple[CurveArea, ...] = ()
    breakdown: Breakdown | None = None

    @property
    def numbers(self) -> tuple[Output, ...]:
        """The outputs that are no curves, its headline first: the first that has a view, if one has."""
        numbers = [output for output in self.outputs if not output.curve]
        headline = next((output for output in numbers if output.view), None)
        return tuple(sorted(numbers, key=lambda output: output is not headline))


def require_distinct(declarations: Sequence[Declaration]) -> None:
    """Refuse outputs, views, charts or areas of one name, and names that are no part of a file's name.

    Raises:
        SettingsError: naming it.
    """
    outputs = [output for one in declarations for output in one.outputs]
    views = [output.view.name for output in outputs if output.view is not None]
    kinds = {
        "metric": [one.name for one in declarations],
        "output": [output.name for output in outputs] + [area.name for one in declarations for area in one.areas],
        "view": views,
        "chart": [chart.name for one in declarations for chart in one.charts]
        + [one.breakdown.name for one in declarations if one.breakdown],
    }
    for kind, names in kinds.items():
        for position, name in enumerate(names):
            require_plain(kind, name)
            if name in names[:position] or (kind == "view" and name == "mean"):
                raise SettingsError(f"{kind} '{name}' is declared twice, or is a word of the tables")


REST_OF_THE_BODY, OUTSIDE_THE_BODY, OTHER_STRUCTURES = "rest of the body", "outside the body", "other structures"
"""Parts of an image that are no structure: within the body and none of them, the air around the patient, the table and
clothes, and the small structures that a page joins."""
RESERVED = frozenset({REST_OF_THE_BODY, OUTSIDE_THE_BODY, OTHER_STRUCTURES})
"""Names that no structure may have, for a table would tell two parts by one name."""


def require_plain(kind: str, name: str) -> None:
    """Refuse a name that could not be part of a file's name.

    Raises:
        SettingsError: empty, with slashes, control characters or spaces at its ends.
    """
    if not name or name != name.strip() or "/" in name or "\\" in name or not name.isprintable():
        raise SettingsError(f"{kind} {name!r}: expected a name without slashes and control characters")


def views_of(declarations: Sequence[Declaration]) -> tuple[Output, ...]:
    """The outputs that judge maps, in order."""
    return tuple(output for one in declarations for output in one.outputs if output.view is not None)


AUDIT = {
    "decisions": "images",
    "decisions_asked": "asked",
    "decisions_audited": "audited",
    "decisions_differ": "differed",
    "decisions_quick": "quick",
    "decisions_filled": "filled",
    "decisions_filled_audited": "filled_audited",
    "decisions_filled_differ": "filled_differed",
}
"""Numbers of a case, not of a map, and what they are called where decisions are made: distinct masked images; of the
decisions on them: made by the network itself to compare or for doubt; of those of the quick backend: made again by
chance, of these come out otherwise, left in the end; filled in between two that were alike, made again by chance, of
these come out otherwise. Only where a quick backend or filling in was tried. A second metric of a study that asks for
decisions adds its own ending to the names."""


def audited_as(name: str) -> str:
    """Which of `AUDIT` a number of a case is, by what it is called where decisions are made; empty for others.

    Example:
        >>> audited_as("decisions_filled_twin"), audited_as("decisions_twin"), audited_as("dice")
        ('filled', 'images', '')
    """
    fitting = [one for one in AUDIT if name == one or name.startswith(f"{one}_")]
    return AUDIT[max(fitting, key=len)] if fitting else ""
