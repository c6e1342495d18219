"""The case viewer's data: as many pixels of every kept case as the page can hold."""

import base64
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray
from PIL import Image

from ..declarations import Output
from ..findings import Findings
from ..findings.agreement import kendall_tau_b
from ..results.gallery import MOST_CHANNELS, GalleryCase, by_rank
from .beginnings import choices_of, explained, first_maps, telling
from .channels import channels_of
from .style import MAGNITUDE, PERCENTILE

LEAST_BUDGET, EACH, BUDGET = 400_000, 118_000, 12_500_000
"""Bytes of the page that cases may take: at least, for each of them, and all of them together."""
FINER = 3
"""Image and mask, which compress, are shown so many times finer than maps, which do not, if the case has the pixels."""
SMALLEST = 0.05
"""Of the case's own size; below it there is nothing to see, whatever the budget."""
PRESETS = (
    ("soft tissue", -160.0, 240.0),
    ("mediastinum", -125.0, 225.0),
    ("liver", -45.0, 105.0),
    ("vessels", 0.0, 240.0),
    ("lung", -1000.0, 400.0),
    ("bone", -450.0, 1050.0),
)
"""Windows to choose from, as far as they are within the study's own."""
NOT_KNOWN = 255
"""In place of a probability, of which there are 254 steps."""


def viewer(findings: Findings, cases: Sequence[GalleryCase]) -> dict[str, Any] | None:
    """What the page's script needs to show the cases; None without any."""
    if not cases:
        return None
    packed = fitted(cases, min(BUDGET, max(LEAST_BUDGET, EACH * len(cases))))
    judges = [view for view in (findings.view_of("model"), findings.view_of("expert")) if view is not None]
    for one, case in zip(packed, cases, strict=True):
        one["tau"] = _tau(case, judges)
    windowed = bool(findings.description.raw["content"]["cases"]["windowed"])
    choices = choices_of(findings, cases)
    first = first_maps(findings, choices)
    return {
        "classes": list(findings.description.classes),
        "channels": [one._asdict() for one in channels_of(findings.description)[:MOST_CHANNELS]],
        "units": "HU" if windowed else "",
        "presets": PRESETS,
        "choices": choices,
        "outputs": [
            {"name": one.name, "label": one.label, "factor": one.factor, "digits": one.digits, "sign": one.sign}
            for one in findings.description.views
        ],
        "two_views": any(one["tau"] is not None for one in packed),
        "colours": colours(MAGNITUDE),
        "percentile": round(PERCENTILE),
        "first": first,
        "start": cases[telling(findings, cases, first[0])].name,
        "explained": explained(findings, cases, choices, first[0]),
        "cases": packed,
    }


def fitted(cases: Sequence[GalleryCase], budget: int) -> list[dict[str, Any]]:
    """Each case packed for the script, all at the largest scale at which they fit the budget."""
    sample = list(cases[:: max(1, len(cases) // 8)])

    def size(scale: float) -> float:
        return len(cases) * float(np.mean([len(pack(case, scale)["data"]) for case in sample]))

    scale = min(1.0, float(np.sqrt(budget / size(1.0))))
    while True:
        while size(scale) > budget and scale > SMALLEST:
            scale *= 0.95
        packed = [pack(case, scale) for case in cases]
        if sum(len(one["data"]) for one in packed) <= budget or scale <= SMALLEST:
            return packed
        scale *= 0.95


def pack(case: GalleryCase, scale: float) -> dict[str, Any]:
    """One case: channels, mask, maps and regions as bytes one after another, compressed, with what is said of it.

    Arrays are ``(depth, rows, columns)``, of a slice with a depth of 1; only rows and columns are made smaller.
    """
    spatial = case.image.shape[1:]
    rows, columns = (max(8, round(length * scale)) for length in spatial[-2:])
    fine = max(1, min(FINER, spatial[-2] // rows))
    shape, finer = (rows, columns), (rows * fine, columns * fine)
    planes: list[NDArray[Any]] = [_resized(channel, finer, Image.Resampling.BOX) for channel in case.image]
    if case.mask is not None:
        planes.append(_resized(255 * case.mask.astype(np.uint8), finer, Image.Resampling.BOX) >= 128)
    if case.twin is not None:
        planes.append(_resized(case.twin, finer, Image.Resampling.BOX))
    maps = []
    for key, ranks in case.maps.items():
        smaller, values = _smaller_map(ranks, case.values[key], shape)
        limit = float(f"{_limit(smaller, values):.3g}")
        maps.append({"key": "/".join(key), "limit": limit, "signed": bool((smaller < 0).any())})
        planes += [smaller, np.round(255 * (values / limit).clip(0, 1)).astype(np.uint8)]
    planes += [_resized(steps, shape, Image.Resampling.NEAREST) for steps in case.steps.values()]
    planes += [_resized(regions, shape, Image.Resampling.NEAREST) for regions in case.regions.values()]
    planes += [_parts(one) for one in case.along.values()]
    content = b"".join(np.ascontiguousarray(plane).tobytes() for plane in planes)
    return {
        "name": case.name,
        "label": case.label,
        "predicted": case.predicted,
        "explained": case.explained,
        "fill": [round(one, 4) for one in case.fill],
        "depth": 1 if len(spatial) < 3 else spatial[0],
        "rows": rows,
        "columns": columns,
        "fine": fine,
        "full": list(spatial[-2:]),
        "mask": case.mask is not None,
        "twin": case.twin is not None,
        "spacing": None if case.spacing is None else _spacing(case, rows, columns),
        "oriented": case.spacing is not None,
        "maps": maps,
        "steps": ["/".join(key) for key in case.steps],
        "planes": case.planes,
        "regions": ["/".join(key) for key in case.regions],
        "along": ["/".join(key) for key in case.along],
        "points": next((one.shape[1] for one in case.along.values()), 0),
        "correct": {"/".join(key): ["".join(map(str, way)) for way in one] for key, one in case.correct.items()},
        "numbers": {
            "/".join(key): {name: float(f"{value:.6g}") for name, value in one.items() if not np.isnan(value)}
            for key, one in case.numbers.items()
        },
        "data": base64.b64encode(zlib.compress(content, 9)).decode(),
    }


def _spacing(case: GalleryCase, rows: int, columns: int) -> list[float]:
    """Millimetres between slices, rows and columns of the maps as they are shown."""
    assert case.spacing is not None
    deep, down, over = (1.0, *case.spacing)[-3:]
    full = case.image.shape[-2:]
    return [round(one, 5) for one in (deep, down * full[0] / rows, over * full[1] / columns)]


def _parts(probabilities: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Probabilities as bytes."""
    known = np.nan_to_num(probabilities, nan=0.0).clip(0.0, 1.0)
    return np.where(np.isnan(probabilities), NOT_KNOWN, np.round((NOT_KNOWN - 1) * known)).astype(np.uint8)


def _tau(case: GalleryCase, judges: Sequence[Output]) -> float | None:
    """Kendall's tau-b between the rankings of the case's maps by model and expert; None where it has none."""
    if len(judges) < 2:
        return None
    numbers = [[view.sign * one.get(view.name, np.nan) for one in case.numbers.values()] for view in judges]
    (tau,) = kendall_tau_b(*(np.array([row]) for row in numbers))
    return None if np.isnan(tau) else round(float(tau), 2)


def _smaller_map(
    ranks: NDArray[np.int8], values: NDArray[np.float32], shape: tuple[int, int]
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    if ranks.shape[-2:] == shape:
        return ranks, values
    signed = (np.sign(ranks) * values[np.abs(ranks.astype(np.int64))]).astype(np.float32)
    return by_rank(_resized(signed, shape, Image.Resampling.BOX))


def _limit(ranks: NDArray[np.int8], values: NDArray[np.float32]) -> float:
    magnitude = values[np.abs(ranks.astype(np.int64))]
    return float(np.percentile(magnitude, PERCENTILE)) or float(magnitude.max()) or 1.0


def _resized(stack: NDArray[Any], shape: tuple[int, int], how: Image.Resampling) -> NDArray[Any]:
    """A plane, or each plane of a stack, with other rows and columns."""
    if stack.shape[-2:] == shape:
        return stack
    planes = stack.reshape(-1, *stack.shape[-2:])
    resized = [np.asarray(Image.fromarray(plane).resize(shape[::-1], how)) for plane in planes]
    return np.stack(resized).reshape(*stack.shape[:-2], *shape)


def colours(name: str) -> list[int]:
    """256 colours as red, green, blue in turn."""
    table = colormaps[name](np.linspace(0, 1, 256))[:, :3]
    return [int(value) for value in np.round(255 * table).ravel()]
