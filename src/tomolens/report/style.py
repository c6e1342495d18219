"""How figures look: colours that differ in hue and in lightness, names as they are printed."""

import math
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..findings.measured import BOTH
from ..metrics.metric import SIGNS

COLOURS = {
    "smoothgrad-squared": "#000000",
    "smoothgrad": "#0072b2",
    "integrated-gradients-bw": "#d55e00",
    "expected-gradients": "#009e73",
    "backpropagation": "#cc79a7",
    "deconvolution": "#e69f00",
    "integrated-gradients": "#56b4e9",
    "random": "#9a9a9a",
}
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
TITLES = {
    "smoothgrad-squared": "SmoothGrad squared",
    "smoothgrad": "SmoothGrad",
    "integrated-gradients-bw": "Integrated gradients, b/w",
    "expected-gradients": "Expected gradients",
    "backpropagation": "Backpropagation",
    "deconvolution": "Deconvolution",
    "integrated-gradients": "Integrated gradients",
    "random": "Random",
    "centre-prior": "Centre prior",
    "raw-intensity": "Raw intensity",
    "difference-from-fill": "Difference from the fill",
    "sobel-edges": "Sobel edges",
    "body-mask": "Body mask",
    "mean-mask": "Atlas of the experts' masks",
}
AS_WRITTEN: dict[Any, Any] = {"text.parse_math": False, "text.usetex": False}
"""Settings of matplotlib under which names of cases and classes are drawn as they are, dollars included."""
PERCENTILE = 99.0
"""Of a map's magnitude, where its colours end."""
SPARE = ("#882255", "#117733", "#332288", "#999933")


def title(estimator: str) -> str:
    """An estimator's name as it is printed."""
    return TITLES.get(estimator, estimator)


def map_title(estimator: str, signs: str) -> str:
    """A map's name as it is printed; one that is its own absolute needs no word on signs."""
    return title(estimator) if signs == BOTH else f"{title(estimator)} ({signs})"


def forms(signs: str) -> tuple[str, ...]:
    """Which of `SIGNS` a map stands for: one that is its own absolute stands for both."""
    return SIGNS if signs == BOTH else (signs,)


def number(value: float, digits: int) -> str:
    """A number with fixed digits, halves away from zero; what rounds to zero has no sign.

    It is rounded from ten significant digits, so that sums of other order, equal but for the last bits, print the same.
    """
    if not math.isfinite(value):
        return str(value)
    rounded = Decimal(f"{value:.10g}").quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
    return f"{rounded + 0:.{digits}f}" if rounded else f"{0:.{digits}f}"


def line(estimator: str, place: int) -> dict[str, object]:
    """Colour and dash of an estimator: two estimators never share both."""
    return {"color": COLOURS.get(estimator, SPARE[place % len(SPARE)]), "linestyle": DASHES[place % len(DASHES)]}


def figure(width: float, height: float) -> Figure:
    """A figure in inches that lays itself out."""
    return Figure(figsize=(width, height), layout="constrained", dpi=110)


def tidy(axes: Axes) -> None:
    """Light grid, no box."""
    axes.grid(True, color="#e3e3e3", linewidth=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def bare(axes: Axes) -> None:
    """No ticks and no frame, for pictures."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
