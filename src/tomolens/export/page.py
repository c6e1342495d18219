"""A page for a scan: one file to scroll through it with its maps, which asks nothing of any other place."""

import base64
import zlib
from collections.abc import Sequence
from importlib import resources
from importlib.metadata import version
from typing import Any

import numpy as np
from jinja2 import Environment
from markupsafe import Markup
from matplotlib import colormaps
from numpy.typing import NDArray

from ..cases.preprocessing import resized
from ..cases.windows import Windows, windows_of
from ..report import style
from ..report.page import in_script
from ..report.viewer import colours
from .explain_scan import ExplainedScan
from .given import GivenNetwork
from .scan_map import ScanMap

LONGEST, MOST = 256, 120
"""Pixels along the longer side of a slice, and slices, at most: some 12 MB with one map."""
PRESETS = (("lung", -1000.0, 400.0), ("soft tissue", -160.0, 240.0), ("bone", -450.0, 1050.0))
LEVELS = 127
"""Of a map to either side of 0."""


def page(scan: str, network: GivenNetwork, explained: ExplainedScan, maps: Sequence[ScanMap]) -> str:
    """The page of some of a scan's maps, as HTML.

    Slices that were not explained are not shown, and of more than `MOST` every n-th; large ones are made smaller, and
    what is read under the pointer is a mean then. Maps have 127 levels to either side of 0, up to the 99.9th percentile
    of their magnitude.
    """
    places, shape = _places(explained), _shape(explained)
    upright = explained.grid.upright()
    content = {
        "shape": list(shape),
        "scan": list(upright.shape[1:]),
        "pixel": [
            own * length / count
            for own, length, count in zip(upright.spacing[1:], upright.shape[1:], shape, strict=True)
        ],
        "slices": places,
        "first": _fullest(explained, maps, places),
        "hu": _packed(_stack(explained, explained.hu, places, shape).round().clip(-32768, 32767).astype("<i2")),
        "maps": [_map(explained, one, places, shape) for one in maps],
        "classes": [network.name_of(index) for index in range(explained.probabilities.shape[1])],
        "probabilities": _probabilities(explained, places),
        "windows": _presets(network.window),
        "colours": colours(style.SIGNED),
    }
    every = len(explained.slices) or explained.grid.upright().shape[0]
    stops = colormaps[style.SIGNED](np.linspace(0, 1, 9))
    template = resources.files("tomolens.export").joinpath("page.html").read_text(encoding="utf-8")
    return (
        Environment(autoescape=True)
        .from_string(template)
        .render(
            scan=scan,
            prediction=explained.prediction,
            explained_class=network.name_of(explained.explained_class),
            network=network.place.name,
            takes=network.said,
            notes=[*explained.notes, *(f"{what}: {why}" for what, why in list(explained.left_out.items())[:5])],
            shown=f"{len(places)} of {every} explained slices, {shape[0]} x {shape[1]} pixels.",
            version=version("tomolens"),
            colours=Markup(
                ", ".join(f"rgb({', '.join(str(round(255 * part)) for part in stop[:3])})" for stop in stops)
            ),
            data=in_script(content),
        )
    )


def _places(explained: ExplainedScan) -> list[int]:
    every = list(explained.slices) or list(range(explained.grid.upright().shape[0]))
    step = -(-len(every) // MOST)
    return every[step // 2 :: step]


def _shape(explained: ExplainedScan) -> tuple[int, int]:
    rows, columns = explained.grid.upright().shape[1:]
    scale = min(1.0, LONGEST / max(rows, columns))
    return max(1, round(scale * rows)), max(1, round(scale * columns))


def _stack(
    explained: ExplainedScan, values: NDArray[np.float32], places: Sequence[int], shape: tuple[int, int]
) -> NDArray[np.floating]:
    upright = explained.grid.turn_upright(values)[list(places)]
    return resized(upright, (len(places), *shape))


def _map(explained: ExplainedScan, one: ScanMap, places: Sequence[int], shape: tuple[int, int]) -> dict[str, Any]:
    stack = _stack(explained, one.values, places, shape)
    magnitude = np.abs(one.values[one.explained])
    largest = float(np.percentile(magnitude, 99.9)) if magnitude.size else 0.0
    largest = largest or float(magnitude.max(initial=0.0)) or 1.0
    scores = (LEVELS * np.clip(stack / largest, -1.0, 1.0)).round().astype(np.int8)
    told = {"name": one.estimator, "title": one.title, "trust": one.trust, "largest": largest, "signed": one.signed}
    return {**told, "scores": _packed(scores)}


def _fullest(explained: ExplainedScan, maps: Sequence[ScanMap], places: Sequence[int]) -> int:
    """Which of the slices shown holds most of the first map."""
    if not maps:
        return len(places) // 2
    upright = np.abs(explained.grid.turn_upright(maps[0].values)[list(places)])
    return int(upright.sum(axis=(1, 2)).argmax())


def _probabilities(explained: ExplainedScan, places: Sequence[int]) -> list[list[float]]:
    if not explained.slices:
        return [list(map(float, explained.probabilities[0]))]
    at = [explained.slices.index(place) for place in places]
    return [list(map(float, explained.probabilities[one])) for one in at]


def _presets(window: Windows) -> list[list[Any]]:
    own = [["network's" if not at else f"network's {at + 1}", *pair] for at, pair in enumerate(windows_of(window))]
    return own + [list(one) for one in PRESETS]


def _packed(values: NDArray[Any]) -> str:
    return base64.b64encode(zlib.compress(np.ascontiguousarray(values).tobytes(), 6)).decode()
