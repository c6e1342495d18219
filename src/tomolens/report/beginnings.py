"""What the viewer begins with: the maps there are to choose from, the first of them, the first case, and one that shows
what masking measures."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..findings import Findings
from ..findings.measured import BOTH, Key
from ..findings.printing import map_title, title, values_of
from ..findings.tables import keys_of
from ..results.gallery import GalleryCase
from .tiles import tiles

TWIN = "twin/"
"""In place of a map: the twin image."""


def map_of(key: str) -> Key:
    """The map behind a name on the page."""
    estimator, _, form = key.partition("/")
    return estimator, form


def choices_of(findings: Findings, cases: Sequence[GalleryCase]) -> list[dict[str, str]]:
    """Every map that may be put into a picture: those of the study, blind ones, the truth, and the twin."""
    there = {name for case in cases for name, _ in case.maps}
    beside = list(dict.fromkeys(name for case in cases for name in case.beside))
    blind, truth = findings.description.blind, findings.description.truth
    found = []
    for key in findings.explained.maps:
        if key[0] in there:
            form = "original" if key[1] == BOTH else key[1]
            kind = "blind" if key[0] in blind else "map"
            found.append({"key": f"{key[0]}/{form}", "title": map_title(findings, *key), "kind": kind})
    for name in beside:
        kind = "truth" if name == truth else "blind"
        found.append({"key": f"{name}/original", "title": title(findings, name), "kind": kind})
    if any(case.twin is not None for case in cases):
        found.append({"key": TWIN, "title": "the twin image", "kind": "truth"})
    return sorted(found, key=lambda one: ("map", "blind", "truth").index(one["kind"]))


def telling(findings: Findings, cases: Sequence[GalleryCase], key: str) -> int:
    """Where the cases begin: one that is decided rightly, has a mask, and is the median of these by the first view that
    can judge."""
    views, form = findings.judging_first[:1], map_of(key)
    good = [at for at, case in enumerate(cases) if case.predicted == case.label and case.mask is not None]
    numbers = {at: view.sign * cases[at].numbers.get(form, {}).get(view.name, np.nan) for view in views for at in good}
    ranked = sorted((at for at in good if not np.isnan(numbers.get(at, np.nan))), key=lambda at: -numbers[at])
    return ranked[(len(ranked) - 1) // 2] if ranked else (good[0] if good else 0)


def explained(
    findings: Findings, cases: Sequence[GalleryCase], choices: Sequence[dict[str, str]], best: str
) -> dict[str, Any] | None:
    """One case on which to show what masking measures: a map of the study, the best blind map, and the worst.

    By the view and with the map of the model's tile, which can judge maps if any of the model's can; else with ``best``
    by the first view. It is the rightly decided case in which the network changes its mind soonest before it does by
    the others, ``ahead`` by so many steps. None where no order of masking was kept.
    """
    tile = next((one for one in tiles(findings) if findings.views[one.view].judges.judge == "model"), None)
    model, word = findings.view_of("model"), "A map of the study:"
    if tile is not None:
        model, best = findings.views[tile.view], tile.best.key.replace(f"/{BOTH}", "/original")
        word = "A map that surely beats blind ones:" if tile.state == "passed" else "The map with the largest gain:"
    keys = {one["key"]: map_of(one["key"]) for one in choices if one["kind"] == "blind"}
    if model is None:
        return None
    known = [
        case
        for case in cases
        if case.steps
        and case.predicted == case.label
        and not np.isnan(case.numbers.get(map_of(best), {}).get(model.name, np.nan))
    ]
    if not known:
        return None
    means = {
        key: float(np.mean([model.sign * case.numbers.get(form, {}).get(model.name, np.nan) for case in known]))
        for key, form in keys.items()
    }
    ranked = sorted((key for key, mean in means.items() if not np.isnan(mean)), key=lambda key: -means[key])
    shown = list(dict.fromkeys([best, *ranked[:1], *ranked[-1:]]))
    able = [case for case in known if all(map_of(key) in case.correct for key in shown)]
    if len(shown) < 2 or not able:
        return None

    def lead(case: GalleryCase) -> int:
        ours, *theirs = (_turn(case, map_of(key)) for key in shown)
        return min(theirs) - ours

    words = [word, "A map that never looks at the network:", "Another that knows nothing:"]
    maps = [{"key": key, "words": word} for key, word in zip(shown, words, strict=False)]
    chosen = max(able, key=lead)
    return {"case": chosen.name, "maps": maps, "ahead": max(0, lead(chosen))}


def _turn(case: GalleryCase, key: Key) -> int:
    """At which step the network first decides otherwise, the most important pixels first; past the last for never."""
    most = case.correct[key][0]
    changed = np.flatnonzero(most != most[0])
    return int(changed[0]) if len(changed) else len(most)


def first_maps(findings: Findings, choices: Sequence[dict[str, str]]) -> list[str]:
    """The maps to begin with: the leaders by the model's view and by the expert's, then the best blind map."""
    shown = [one["key"] for one in choices if one["kind"] == "map"] or [one["key"] for one in choices]
    keys = []
    for view in findings.judging_first:
        values = values_of(findings, view)
        leaders = [f"{name}/{'original' if form == BOTH else form}" for name, form in keys_of(values)]
        keys += [key for key in leaders if key in shown][:1]
    blind = [one["key"] for one in choices if one["kind"] != "map" and one["key"] != TWIN]
    found = list(dict.fromkeys([*keys[:2], *shown[:2], *blind[:2], *shown]))
    return found[:4]
