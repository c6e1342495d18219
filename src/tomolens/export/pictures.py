"""Pictures of a map over its scan, with all that must stand in them burnt in."""

import io
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from ..cases.windows import Windows, windows_of
from ..report import style
from .explain_scan import ExplainedScan
from .scan_map import RESEARCH, ScanMap

MOST_SLICES = 12
"""Slices of which pictures are made: those that hold most of the map."""
FAINT = 0.15
"""Share of the largest magnitude below which a map is not laid over the image: it would be hidden by it."""
INCH, DOTS, LETTERS = 6.4, 120, 108


@dataclass(frozen=True, eq=False)
class Picture:
    """A slice of a scan with a map over it.

    Attributes:
        pixels: uint8 ``(H, W, 3)``.
        slice: which upright slice, counted from the feet.
    """

    pixels: NDArray[np.uint8]
    slice: int

    @property
    def png(self) -> bytes:
        """As a file."""
        file = io.BytesIO()
        Image.fromarray(self.pixels).save(file, "PNG", optimize=True)
        return file.getvalue()


def pictures(explained: ExplainedScan, scan_map: ScanMap, window: Windows, most: int = MOST_SLICES) -> list[Picture]:
    """The slices that hold most of a map, front up and the patient's right on the left.

    Red speaks for the explained class and blue against it, where a map has a sign; what is below a seventh of the
    largest magnitude is not drawn. Estimator, class, prediction, trust, a scale bar, R and L, and that it is no
    diagnosis stand in the picture.

    Args:
        explained: the scan.
        scan_map: one of its maps.
        window: Hounsfield units of black and white; of several the first is shown.
        most: slices at most.
    """
    turned = explained.grid.upright()
    hu, values = (explained.grid.turn_upright(one) for one in (explained.hu, scan_map.values))
    seen = explained.grid.turn_upright(scan_map.explained)
    held = np.abs(values).sum(axis=(1, 2))
    chosen = sorted(int(one) for one in np.argsort(-held, kind="stable")[:most] if seen[one].any())
    limit = float(np.percentile(np.abs(values[seen]), style.PERCENTILE)) if seen.any() else 0.0
    largest = limit or float(np.abs(values).max(initial=0.0)) or 1.0
    look = _Look(turned.spacing[1:], windows_of(window)[0], largest)
    return [Picture(_drawn(hu[one], values[one], look, _words(explained, scan_map, one)), one) for one in chosen]


@dataclass(frozen=True)
class _Look:
    """Of all pictures of a map: pixel size in mm, window in HU, and where colours end."""

    spacing: tuple[float, ...]
    window: tuple[float, float]
    largest: float


def _drawn(
    hu: NDArray[np.float32], values: NDArray[np.float32], look: _Look, words: list[tuple[str, str]]
) -> NDArray[np.uint8]:
    rows, columns = (length * one for length, one in zip(hu.shape, look.spacing, strict=True))
    below = 0.24 * len(words) + 0.15
    tall = INCH * min(max(rows / columns, 0.3), 2.0)
    with rc_context(style.AS_WRITTEN):
        figure = Figure(figsize=(INCH, tall + below), dpi=DOTS, facecolor="black")
        axes = figure.add_axes((0.0, below / (tall + below), 1.0, tall / (tall + below)))
        style.bare(axes)
        axes.set_facecolor("black")
        aspect = look.spacing[0] / look.spacing[1]
        axes.imshow(hu, cmap="gray", vmin=look.window[0], vmax=look.window[1], aspect=aspect)
        share = np.clip(np.abs(values) / look.largest, 0.0, 1.0)
        overlay = np.ma.masked_array(values, share < FAINT)
        limits: dict[str, Any] = {"vmin": -look.largest, "vmax": look.largest}
        axes.imshow(overlay, cmap=style.PRINTED_SIGNED, alpha=0.35 + 0.5 * share, aspect=aspect, **limits)
        _marks(axes, hu.shape, look.spacing)
        for line, (text, colour) in enumerate(words):
            height = (below - 0.12 - 0.24 * line) / (tall + below)
            figure.text(0.02, height, text, color=colour, fontsize=8.0, va="top")
        canvas: Any = FigureCanvasAgg(figure)
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _words(explained: ExplainedScan, scan_map: ScanMap, place: int) -> list[tuple[str, str]]:
    """The lines below a picture, with their colours."""
    parameters = "" if "(" not in scan_map.estimator else f" {scan_map.estimator[scan_map.estimator.index('(') :]}"
    probability = ""
    if place in explained.slices:
        share = explained.probabilities[explained.slices.index(place), explained.explained_class]
        probability = f"; in this slice {100 * share:.0f} %"
    colour = "#ff9d6e" if scan_map.trust.startswith("NOT") else "#d7d7d7"
    lines = [
        (f"{scan_map.title}{parameters}, slice {place} from the feet", "white"),
        (f"explained: {scan_map.explained_class}{probability}", "white"),
        (f"predicted: {scan_map.prediction}", "white"),
        (scan_map.trust, colour),
        (f"{RESEARCH}; {scan_map.meaning}", "#ffd166"),
    ]
    return [(part, shade) for line, shade in lines for part in wrap(line, LETTERS)]


def _marks(axes: Axes, shape: tuple[int, ...], spacing: tuple[float, ...]) -> None:
    rows, columns = shape
    for x, word, side in ((0.02, "R", "left"), (0.98, "L", "right")):
        axes.text(x, 0.5, word, color="white", transform=axes.transAxes, ha=side, fontsize=11)
    length = 50.0 / spacing[1]
    if length < 0.6 * columns:
        left, row = 0.05 * columns, 0.965 * rows
        axes.plot([left, left + length], [row, row], color="white", linewidth=2)
        axes.text(left, 0.955 * rows, "5 cm", color="white", fontsize=8, va="bottom")
