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
from ..findings.printing import forms, title, values_of
from ..results.gallery import MOST_CHANNELS, GalleryCase, by_rank
from .channels import channels_of
from .style import MAGNITUDE, PERCENTILE, SIGNED

BUDGET = 8_500_000
"""Bytes of the page that all cases together may take."""
FINER = 3
"""Image and mask, which compress, are shown so many times finer than maps, which do not, if the case has the pixels."""
SMALLEST = 0.05
"""Of the case's own size; below it there is nothing to see, whatever the budget."""


def viewer(findings: Findings, cases: Sequence[GalleryCase]) -> dict[str, Any] | None:
    """What the page's script needs to show the cases; None without any."""
    if not cases:
        return None
    names = list(dict.fromkeys(name for name, _ in cases[0].maps))
    packed = fitted(cases, BUDGET)
    judges = [view for view in (findings.view_of("model"), findings.view_of("expert")) if view is not None]
    for one, case in zip(packed, cases, strict=True):
        one["tau"] = _tau(case, judges)
    return {
        "classes": list(findings.description.classes),
        "channels": [one._asdict() for one in channels_of(findings.description)[:MOST_CHANNELS]],
        "estimators": [{"name": name, "title": title(findings, name)} for name in names],
        "outputs": [
            {"name": one.name, "label": one.label, "factor": one.factor, "digits": one.digits}
            for one in findings.description.views
        ],
        "two_views": any(one["tau"] is not None for one in packed),
        "colours": {"original": colours(SIGNED), "absolute": colours(MAGNITUDE)},
        "percentile": round(PERCENTILE),
        "first": _first(findings, names),
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
    """One case: channels, mask, maps and regions as bytes one after another, compressed, with what is said of it."""
    rows, columns = (max(8, round(length * scale)) for length in case.image.shape[1:])
    fine = max(1, min(FINER, case.image.shape[1] // rows))
    shape, finer = (rows, columns), (rows * fine, columns * fine)
    planes: list[NDArray[Any]] = [_resized(channel, finer, Image.Resampling.BOX) for channel in case.image]
    if case.mask is not None:
        planes.append(_resized(255 * case.mask.astype(np.uint8), finer, Image.Resampling.BOX) >= 128)
    limits = []
    for key, ranks in case.maps.items():
        smaller, values = _smaller_map(ranks, case.values[key], shape)
        limit = _limit(smaller, values)
        limits.append(float(f"{limit:.3g}"))
        planes += [smaller, np.round(255 * (values / limit).clip(0, 1)).astype(np.uint8)]
    planes += [_resized(regions, shape, Image.Resampling.NEAREST) for regions in case.regions.values()]
    content = b"".join(np.ascontiguousarray(plane).tobytes() for plane in planes)
    return {
        "name": case.name,
        "label": case.label,
        "predicted": case.predicted,
        "fill": [round(one, 4) for one in case.fill],
        "rows": rows,
        "columns": columns,
        "fine": fine,
        "full": list(case.image.shape[1:]),
        "mask": case.mask is not None,
        "maps": ["/".join(key) for key in case.maps],
        "limits": limits,
        "planes": case.planes,
        "height": case.height,
        "regions": ["/".join(key) for key in case.regions],
        "correct": {"/".join(key): ["".join(map(str, way)) for way in one] for key, one in case.correct.items()},
        "numbers": {
            "/".join(key): {name: float(f"{value:.6g}") for name, value in one.items() if not np.isnan(value)}
            for key, one in case.numbers.items()
        },
        "data": base64.b64encode(zlib.compress(content, 9)).decode(),
    }


def _first(findings: Findings, names: Sequence[str]) -> list[tuple[str, str]]:
    """The maps to begin with, left and right: the leaders by the model's view and by the expert's."""
    keys = []
    for view in findings.views.values():
        values = values_of(findings, view)
        keys += [(row["estimator"], forms(row["form"])[-1]) for _, row in values.head(1).iterrows()]
    keys = list(dict.fromkeys(key for key in keys if key[0] in names))
    return [*keys, (names[0], "absolute"), (names[-1], "absolute")][:2]


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
    if ranks.shape == shape:
        return ranks, values
    signed = np.sign(ranks) * values[np.abs(ranks.astype(np.int64))]
    averaged = Image.fromarray(signed.astype(np.float32)).resize(shape[::-1], Image.Resampling.BOX)
    return by_rank(np.asarray(averaged))


def _limit(ranks: NDArray[np.int8], values: NDArray[np.float32]) -> float:
    magnitude = values[np.abs(ranks.astype(np.int64))]
    return float(np.percentile(magnitude, PERCENTILE)) or float(magnitude.max()) or 1.0


def _resized(plane: NDArray[np.uint8], shape: tuple[int, int], how: Image.Resampling) -> NDArray[np.uint8]:
    if plane.shape == shape:
        return plane
    return np.asarray(Image.fromarray(plane).resize(shape[::-1], how))


def colours(name: str) -> list[int]:
    """256 colours as red, green, blue in turn."""
    table = colormaps[name](np.linspace(0, 1, 256))[:, :3]
    return [int(value) for value in np.round(255 * table).ravel()]
