"""Pictures of a map over its scan, with all that must stand in them burnt in."""

import io
from dataclasses import dataclass

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
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
INCH, DOTS = 6.4, 120


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

    Red speaks for the explained class and blue against it; what is below a seventh of the largest magnitude is not
    drawn. Estimator, class, prediction, trust, a scale bar, R and L, and that it is no diagnosis stand in the picture.
    """
    turned = explained.grid.upright()
    hu, values = (explained.grid.turn_upright(one) for one in (explained.hu, scan_map.values))
    seen = explained.grid.turn_upright(scan_map.explained)
    held = np.abs(values).sum(axis=(1, 2)) * seen.any(axis=(1, 2))
    chosen = sorted(int(one) for one in np.argsort(-held, kind="stable")[:most] if seen[one].any())
    limit = float(np.percentile(np.abs(values[seen]), style.PERCENTILE)) if seen.any() else 0.0
    largest = limit or float(np.abs(values).max(initial=0.0)) or 1.0
    drawn = []
    for one in chosen:
        picture = _drawn(hu[one], values[one], turned.spacing[1:], largest, scan_map, windows_of(window)[0], one)
        drawn.append(Picture(picture, one))
    return drawn


def _drawn(
    hu: NDArray[np.float32],
    values: NDArray[np.float32],
    spacing: tuple[float, ...],
    largest: float,
    scan_map: ScanMap,
    window: tuple[float, float],
    place: int,
) -> NDArray[np.uint8]:
    with rc_context(style.AS_WRITTEN):
        figure = Figure(figsize=(INCH, INCH + 1.5), dpi=DOTS, facecolor="black")
        height = INCH / (INCH + 1.5)
        axes = figure.add_axes((0.0, 1 - height, 1.0, height))
        style.bare(axes)
        axes.set_facecolor("black")
        aspect = spacing[0] / spacing[1]
        axes.imshow(hu, cmap="gray", vmin=window[0], vmax=window[1], aspect=aspect)
        faint = np.abs(values) < FAINT * largest
        overlay = np.ma.masked_array(values, faint)
        strength = np.clip(np.abs(values) / largest, 0.0, 1.0) * 0.8
        axes.imshow(overlay, cmap=style.SIGNED, vmin=-largest, vmax=largest, alpha=strength, aspect=aspect)
        _marks(axes, hu.shape, spacing)
        for line, (text, colour) in enumerate(_words(scan_map, place)):
            figure.text(0.02, 0.155 - 0.028 * line, text, color=colour, fontsize=8.0, va="top", wrap=False)
        figure.canvas.draw()
        return np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()  # type: ignore[attr-defined]


def _words(scan_map: ScanMap, place: int) -> list[tuple[str, str]]:
    """The lines below a picture, with their colours; long ones are cut where the picture ends."""
    bad = scan_map.trust.startswith("NOT")
    trust = [scan_map.trust[at : at + 110] for at in range(0, min(len(scan_map.trust), 220), 110)]
    return [
        (f"{scan_map.title}, {scan_map.estimator[:70]}, slice {place}", "white"),
        (f"explained: {scan_map.explained_class}; predicted: {scan_map.prediction}"[:118], "white"),
        *((line, "#ff9d6e" if bad else "#d7d7d7") for line in trust),
        (f"{RESEARCH}; red speaks for the explained class, blue against it", "#ffd166"),
    ]


def _marks(axes: Axes, shape: tuple[int, ...], spacing: tuple[float, ...]) -> None:
    rows, columns = shape
    for x, word, side in ((0.02, "R", "left"), (0.98, "L", "right")):
        axes.text(x, 0.5, word, color="white", transform=axes.transAxes, ha=side, fontsize=11)
    length = 50.0 / spacing[1]
    if length < 0.6 * columns:
        left, row = 0.05 * columns, 0.965 * rows
        axes.plot([left, left + length], [row, row], color="white", linewidth=2)
        axes.text(left, 0.955 * rows, "5 cm", color="white", fontsize=8, va="bottom")
