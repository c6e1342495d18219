"""The case viewer's data: as many pixels of every kept case as the page can hold."""

import base64
import json
import zlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray
from PIL import Image

from ..findings import Findings
from ..findings.agreement import kendall_tau_b
from ..results.gallery import MOST_CHANNELS, STEPS, GalleryCase, by_rank
from .beginnings import choices_of, explained, first_maps, telling
from .channels import channels_of
from .levels import levels_of, told_by
from .style import MAGNITUDE, PERCENTILE

LEAST_BUDGET, EACH, BUDGET = 400_000, 125_000, 12_500_000
"""Bytes of the page that cases may take: at least, for each of them, and all of them together."""
PAGE = 14_500_000
"""Bytes of the whole page: what the rest of it takes cases cannot have."""
DEEPER = 8
"""Times as many bytes that a volume may take as a slice."""
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
LISTS = ("steps", "regions", "along", "correct", "named")
"""Of a case, names that are the same in most of them."""
JOINED = 5
"""Ranks of a blind map that are shown as one."""
NOT_KNOWN = 255
"""In place of a probability, of which there are 254 steps."""


def viewer(findings: Findings, cases: Sequence[GalleryCase], rest: int = 0) -> dict[str, Any] | None:
    """What the page's script needs to show the cases; None without any.

    Args:
        findings: of the study.
        cases: to show.
        rest: bytes that the page takes without them.
    """
    found = around(findings, cases)
    if found is None:
        return None
    slices = sum(1 if case.image.ndim < 4 else DEEPER for case in cases)
    budget = min(BUDGET, max(LEAST_BUDGET, EACH * slices), PAGE - rest)
    packed = fitted(cases, budget, found["explained"]["case"] if found["explained"] else "")
    taus = _taus(findings)
    for one in packed:
        one["tau"] = taus.get(one["name"])
    return {**found, "lists": _told_once(packed), "cases": packed}


def around(findings: Findings, cases: Sequence[GalleryCase]) -> dict[str, Any] | None:
    """What the cases have in common on the page, without them; None without any."""
    if not cases:
        return None
    choices = choices_of(findings, cases)
    first = first_maps(findings, choices)
    example = explained(findings, cases, choices, first[0])
    taus = _taus(findings)
    windowed = bool(findings.description.raw["content"]["cases"]["windowed"])
    every = (numbers for case in cases for numbers in case.numbers.values())
    numbered = {name for numbers in every for name, value in numbers.items() if not np.isnan(value)}
    return {
        "classes": list(findings.description.classes),
        "channels": [one._asdict() for one in channels_of(findings.description)[:MOST_CHANNELS]],
        "units": "HU" if windowed else "",
        "presets": PRESETS,
        "choices": choices,
        "outputs": [
            {"name": one.name, "label": one.label, "factor": one.factor, "digits": one.digits, "sign": one.sign}
            for one in findings.description.views
            if one.name in numbered
        ],
        "two_views": _two_views(findings) if any(case.name in taus for case in cases) else "",
        "colours": colours(MAGNITUDE),
        "percentile": round(PERCENTILE),
        "first": first,
        "start": cases[telling(findings, cases, first[0])].name,
        "explained": example,
    }


def _told_once(packed: Sequence[dict[str, Any]]) -> list[list[str]]:
    """The lists of names that cases share, put in each case as a place among them."""
    found: list[list[str]] = []
    for one in packed:
        for name in LISTS:
            if one[name] not in found:
                found.append(one[name])
            one[name] = found.index(one[name])
    return found


def fitted(cases: Sequence[GalleryCase], budget: int, example: str = "") -> list[dict[str, Any]]:
    """Each case packed for the script, all at the largest scale at which they fit the budget with what is said of them.

    Of ``example``, the name of a case, the blind maps' order of masking is packed too: it is mostly that of ties, which
    take room as nothing else does.
    """
    sample = list(cases[:: max(1, len(cases) // 8)])

    def size(scale: float) -> float:
        return len(cases) * float(np.mean([_room(pack(case, scale, beside=False)) for case in sample]))

    scale = min(1.0, float(np.sqrt(max(0, budget) / size(1.0))))
    while True:
        while size(scale) > budget and scale > SMALLEST:
            scale *= 0.95
        packed = [pack(case, scale, case.name == example) for case in cases]
        room = sum(map(_room, packed))
        if room <= budget or scale <= SMALLEST:
            return packed
        scale *= 0.99 * float(np.sqrt(max(0, budget) / room))


def _room(one: dict[str, Any]) -> int:
    """Bytes that a packed case takes, without the names that are told once."""
    return len(json.dumps({name: value for name, value in one.items() if name not in LISTS}, separators=(",", ":")))


def pack(case: GalleryCase, scale: float, beside: bool = True) -> dict[str, Any]:
    """One case: channels, mask, maps and regions as bytes one after another, compressed, with what is said of it.

    Without ``beside`` the maps beside the study's own have few levels and no order of masking.
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
        # As the difference, which is nothing nearly everywhere.
        planes.append(_resized(case.twin, finer, Image.Resampling.BOX) - planes[0])
    maps, levels = [], {}
    if not beside:
        case = _without_order(case)
    for key in case.maps:
        levels[key], values = _map(case, key, shape)
        if key[0] in case.beside and not beside:
            levels[key] = _coarser(levels[key])
        limit = float(f"{_limit(levels[key], values):.3g}")
        maps.append({"key": "/".join(key), "limit": limit, "signed": bool((levels[key] < 0).any())})
        planes += [levels[key], np.round(255 * (values / limit).clip(0, 1)).astype(np.uint8)]
    for (name, form), steps in case.steps.items():
        of = levels.get((name, form), levels.get((name, "original")))
        planes += told_by(of, _resized(steps, shape, Image.Resampling.NEAREST)) if of is not None else ()
    planes += [_upper(_resized(regions, shape, Image.Resampling.NEAREST)) for regions in case.regions.values()]
    planes += [_parts(case.along[key]) for key in case.along if key in case.correct]
    planes += [one.astype(np.uint8) for one in case.correct.values()]
    named = list(dict.fromkeys(name for one in case.numbers.values() for name in one))
    content = b"".join(np.ascontiguousarray(plane).tobytes() for plane in planes)
    return {
        "name": case.name,
        "label": case.label,
        "predicted": case.predicted,
        "explained": case.explained,
        "fill": [round(one, 4) for one in case.fill],
        "filled": case.filled,
        "depth": 1 if len(spatial) < 3 else spatial[0],
        "rows": rows,
        "columns": columns,
        "fine": fine,
        "full": [1, *case.whole][-3:],
        "every": 1 if len(spatial) < 3 else case.every[0],
        "mask": case.mask is not None,
        "twin": case.twin is not None,
        "spacing": _spacing(case, rows, columns),
        "millimetres": case.spacing is not None,
        "oriented": case.upright,
        "maps": maps,
        "steps": ["/".join(key) for key in case.steps if key in levels or (key[0], "original") in levels],
        "height": case.height,
        "regions": ["/".join(key) for key in case.regions],
        "along": ["/".join(key) for key in case.along if key in case.correct],
        "correct": ["/".join(key) for key in case.correct],
        "points": max((one.shape[1] for one in case.correct.values()), default=0),
        "named": named,
        "numbers": {"/".join(key): [_number(one.get(name)) for name in named] for key, one in case.numbers.items()},
        "data": as_text(zlib.compress(content, 9)),
    }


def as_text(content: bytes) -> str:
    """Bytes in base 85 as Python has it, with a comma for its ``<``: no digit ends a script or is longer in JSON.

    A fifteenth shorter than base 64.
    """
    return base64.b85encode(content).decode().replace("<", ",")


def _upper(regions: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The upper half of a region map: no more of it can be asked for, and the rest takes room."""
    return np.where(regions >= np.percentile(regions, 50, method="lower"), regions, 0).astype(np.uint8)


def _number(value: float | None) -> float | None:
    return None if value is None or np.isnan(value) else float(f"{value:.4g}")


def _without_order(case: GalleryCase) -> GalleryCase:
    """Without the order in which pixels of the maps beside the study's own are masked."""
    steps = {key: one for key, one in case.steps.items() if key[0] not in case.beside}
    return replace(case, steps=steps)


def _coarser(ranks: NDArray[np.int8]) -> NDArray[np.int8]:
    """Every so many ranks made one; 0 stays alone."""
    magnitude = np.abs(ranks.astype(np.int64))
    middle = (magnitude - 1) // JOINED * JOINED + (JOINED + 1) // 2
    return (np.sign(ranks) * np.where(magnitude > 0, np.minimum(middle, STEPS), 0)).astype(np.int8)


def _spacing(case: GalleryCase, rows: int, columns: int) -> list[float]:
    """From slice to slice, row to row and column to column of the maps as they are shown: millimetres, or voxels of the
    image where these are not known.
    """
    deep, down, over = (1.0, *(case.spacing or case.every))[-3:]
    full = case.image.shape[-2:]
    return [round(one, 5) for one in (deep, down * full[0] / rows, over * full[1] / columns)]


def _parts(probabilities: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Probabilities as bytes."""
    known = np.nan_to_num(probabilities, nan=0.0).clip(0.0, 1.0)
    return np.where(np.isnan(probabilities), NOT_KNOWN, np.round((NOT_KNOWN - 1) * known)).astype(np.uint8)


def _taus(findings: Findings) -> dict[str, float]:
    """Kendall's tau-b between the rankings of the study's maps by model and expert, of each case that has one."""
    model, expert, measured = findings.view_of("model"), findings.view_of("expert"), findings.explained
    if model is None or expert is None or not {model.name, expert.name} <= set(measured.numbers):
        return {}
    found = kendall_tau_b(*(view.sign * measured.numbers[view.name] for view in (model, expert)))
    named = zip(measured.cases["case"], found.tolist(), strict=True)
    return {str(name): round(tau, 2) for name, tau in named if not np.isnan(tau)}


def _two_views(findings: Findings) -> str:
    """Between which views cases are told to disagree, see `_taus`."""
    found = (findings.view_of("model"), findings.view_of("expert"))
    return " and ".join(view.judges.title for view in found if view is not None)


def _map(
    case: GalleryCase, key: tuple[str, str], shape: tuple[int, int]
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """A map smaller, in the levels of the masking where these are known; else its pixels are averaged."""
    ranks, values, name = case.maps[key], case.values[key], key[0]
    steps = case.steps.get((name, "absolute"))
    if steps is None and not (ranks < 0).any():
        steps = case.steps.get((name, "original"))
    if steps is not None and (key[1] == "absolute" or (name, "absolute") not in case.maps):
        smaller = [_resized(one, shape, Image.Resampling.NEAREST) for one in (ranks.view(np.uint8), steps)]
        return levels_of(smaller[0].view(np.int8), values, smaller[1])
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
    if how == Image.Resampling.NEAREST:  # of all planes at once
        rows, columns = (
            ((np.arange(length) + 0.5) * full / length).astype(np.intp)
            for length, full in zip(shape, stack.shape[-2:], strict=True)
        )
        return np.ascontiguousarray(stack[..., rows[:, None], columns])
    planes = stack.reshape(-1, *stack.shape[-2:])
    resized = [np.asarray(Image.fromarray(plane).resize(shape[::-1], how)) for plane in planes]
    return np.stack(resized).reshape(*stack.shape[:-2], *shape)


def colours(name: str) -> list[int]:
    """256 colours as red, green, blue in turn."""
    table = colormaps[name](np.linspace(0, 1, 256))[:, :3]
    return [int(value) for value in np.round(255 * table).ravel()]
