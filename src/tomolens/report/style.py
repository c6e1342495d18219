"""How figures and charts look: every colour, dash, mark and size, and which estimator has which."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from ..findings.measured import BOTH
from ..results.description import Description

PALETTE = ("#000000", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#882255")
"""Of the estimators in the study's order, told apart with every kind of colour vision (Okabe and Ito 2008)."""
BLIND = "#9a9a9a"
"""Of what never looks at the network."""
DASHES: tuple[str | tuple[int, tuple[int, ...]], ...] = (
    "-",
    "--",
    "-.",
    ":",
    (0, (5, 1)),
    (0, (1, 1)),
    (0, (3, 1, 1, 1)),
    (0, (8, 3)),
)
SCREEN_DASHES = (
    ("none", "6 3"),
    ("9 3 2 3", "2 3"),
    ("14 3", "14 3 2 3"),
    ("1 3", "12 2 2 2"),
    ("6 1 1 1", "2 1"),
)
"""On the page: the first line or the absolute map, and the second or the map as it is; others for each eight."""
DARK_PALETTE = ("#f2f2f2", "#4fa8e0", "#ff8b3d", "#2fc79a", "#e5a3c8", "#f2b632", "#8fd0f7", "#d977a8")
"""The same on a dark ground."""
FIRST_LINE, SECOND_LINE = "#a3310b", "#56b4e9"
"""Of a figure with two lines a map, where each estimator has a panel."""
GUIDE, GRID, OUTLINE, BAR = "#bbbbbb", "#e3e3e3", "#ff2fd6", "#c0392b"
RESTS = ("#d5d5d5", "#9a9a9a")
"""Of what is left of an image beside its parts: within the body, outside of it."""
CHOICES = tuple(zip(PALETTE[1:], ("o", "s", "^", "D", "v", "P", "X"), strict=True))
"""Colour and mark of each choice."""
FORM_MARKS = {"original": "o", "absolute": "s", BOTH: "D"}
"""Mark of a map in figures."""
SIGNED, MAGNITUDE = "berlin", "inferno"
"""Perceptually uniform colours, told apart with every kind of colour vision (Crameri 2018; matplotlib)."""
PRINTED_SIGNED, PRINTED_MAGNITUDE = "RdBu_r", "magma"
TOP = tuple(zip((5, 4, 3, 2, 1), map(colormaps["viridis"], (0.25, 0.42, 0.6, 0.8, 1.0)), strict=True))
"""Shares of the region map shown, in %, with their colours, the widest first so that the others lie on it."""
PERCENTILE = 99.0
"""Of a map's magnitude, where its colours end."""
LINE, MARK = 1.7, 6.5
TITLE, TEXT, SMALL = 11.0, 9.0, 8.0
AS_WRITTEN: dict[Any, Any] = {"text.parse_math": False, "text.usetex": False}
"""Settings of matplotlib under which names of cases and classes are drawn as they are, dollars included."""


@dataclass(frozen=True)
class Look:
    """Of an estimator: two never share colour and dash.

    Attributes:
        colour: as ``#rrggbb``.
        dash: of matplotlib.
        screen_dashes: of SVG, see `SCREEN_DASHES`.
        ink: class of the page's style that has the colour, on a light ground and on a dark one.
    """

    colour: str
    dash: str | tuple[int, tuple[int, ...]]
    screen_dashes: tuple[str, str]
    ink: str = "ink-blind"


def looks(description: Description) -> Mapping[str, Look]:
    """The look of each estimator and baseline, by its place in the study."""
    found = {}
    for blind in (False, True):
        for place, one in enumerate(one for one in description.estimators if one.blind == blind):
            turn = place // len(PALETTE)
            colour = BLIND if blind else PALETTE[place % len(PALETTE)]
            dashes = SCREEN_DASHES[turn % len(SCREEN_DASHES)]
            ink = "ink-blind" if blind else f"ink-{place % len(PALETTE)}"
            found[one.name] = Look(colour, DASHES[(place + turn) % len(DASHES)], dashes, ink)
    return found


def figure(width: float, height: float) -> Figure:
    """A figure in inches that lays itself out."""
    # The ends of neighbouring axes stay apart.
    return Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(w_pad=0.1), dpi=110)


def tidy(axes: Axes) -> None:
    """Light grid, no box."""
    axes.grid(True, color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def bare(axes: Axes) -> None:
    """No ticks and no frame, for pictures."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def legend(figure: Figure, panels: Iterable[Axes], side: Literal["upper", "lower"], columns: int) -> None:
    """One legend above or below of what is drawn in any of the panels."""
    found = {label: one for axes in panels for one, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    place: Literal["outside upper center", "outside lower center"] = f"outside {side} center"  # type: ignore[assignment]
    figure.legend(found.values(), found.keys(), loc=place, ncols=columns, frameon=False, fontsize=SMALL)
