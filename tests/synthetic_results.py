"""A study's folder written with `tomolens.results` alone: no network, no engine, and no metric that there is.

Its metrics, estimators and baselines are made up, so that findings and report can know none of them by name.
"""

from dataclasses import asdict, replace

import numpy as np

from tomolens.cases import CaseEntry
from tomolens.declarations import BLURRED, FORMS, Chart, CurveArea, Declaration, Output, View
from tomolens.findings import Findings
from tomolens.results.description import Described, Description, as_json
from tomolens.results.example import Example
from tomolens.results.gallery import encode, write_gallery_case
from tomolens.results.rows import (
    CALIBRATION,
    CORRECT,
    CORRECT_WITHOUT_SHORTCUT,
    MASK_SHARE,
    NOT_ASSESSED,
    REMARK,
    SAME,
    TWIN_TURNS,
    Measurement,
    rows_of_evaluation,
    rows_of_failure,
)
from tomolens.results.store import Store

STEPS = 8
ERASING = Declaration(
    "erasing",
    (
        Output(
            "drop",
            "Drop D × 10",
            factor=10.0,
            digits=2,
            balanced=True,
            view=View(
                "drop", "drop", "model", sentence="D × 10 = {}", heading="Drop", text="Pixels go, larger is better."
            ),
        ),
        Output("top_first", "accuracy", balanced=True, curve=True, intervals=True, masked="most important"),
        Output("bottom_first", "accuracy", balanced=True, curve=True, intervals=True, masked="least important"),
    ),
    (
        Chart(
            "erased",
            ("top_first", "bottom_first"),
            (0.0, 100.0),
            "pixels erased (%)",
            "accuracy",
            "Accuracy while pixels are erased.",
            "drop",
            line_labels=("top first", "bottom first"),
            limits=(0.0, 1.0),
        ),
    ),
)
INSIDE = Declaration(
    "inside",
    (
        Output(
            "share_inside", "Share inside", view=View("inside", "share inside", "expert", "by pixel", text="Of it.")
        ),
        Output("purity", "purity (%)", digits=1, better=None),
        Output("heights", "hits", curve=True, intervals=True),
        Output("widths", "misses", curve=True),
    ),
    (Chart("hits", ("heights",), "widths", "misses", "hits", "Hits against misses.", "share_inside", chance=True),),
    (CurveArea("area_inside", "share_inside", "GRID", "coarse grid", "heights", "widths", "trapezoid"),),
)
TOUCHING = Declaration(
    "touching", (Output("touch", "Touch", view=View("touch", "touch", "expert", "by region", heading="Touch")),)
)
TRUTH = Declaration("twin", (Output("twin_share", "Twin share", view=View("twin", "twin share", "truth")),))
PLANTED = Declaration(
    "planted", (Output("planted", "planted share", view=View("planted", "planted share", "shortcut")),)
)
SPREAD = Declaration(
    "spread",
    (Output("entropy", "spread of the map", better=None), Output("held", "held", curve=True, intervals=True)),
    (Chart("held", ("held",), (0.0, 1.0), "share of the pixels", "held", "What the top pixels hold.", "entropy"),),
)
METRICS = (ERASING, INSIDE, TOUCHING, TRUTH, SPREAD)


def described(name, title="", blind=False, baseline=False, of_masks=False, **more):
    return Described(name, title or name.title(), "a paper", f"{name}()", blind, baseline, of_masks, **more)


ESTIMATORS = (
    described("slope", group="slopes"),
    described("steep-slope", "Steep slope", group="slopes"),
    described("positive", group="others"),
    described("noise", blind=True, group="blind"),
    described("edges-only", "Edges only", blind=True, baseline=True),
    described("mask-atlas", "Atlas of masks", blind=True, baseline=True, of_masks=True),
)
TRUTH_MAP = described("the-truth", "The truth", baseline=True, truth=True)
"""The positive control; with it every estimator has a blurred map too."""
SKILL = {
    "the-truth": 1.0,
    "slope": 0.3,
    "steep-slope": 0.7,
    "positive": 0.5,
    "noise": 0.0,
    "edges-only": 0.4,
    "mask-atlas": 0.45,
}


def description(
    metrics=METRICS,
    estimators=ESTIMATORS,
    classes=("without", "with"),
    name="made up",
    window=(-160.0, 240.0),
    channels=1,
    **more,
):
    settings = {
        "name": name,
        "seed": 0,
        "cases": {"classes": list(classes), "size": 12, "window": window},
        "estimators": {"names": [one.name for one in estimators if not one.baseline], "direction": "class"},
        "metrics": {"names": [one.name for one in metrics], "steps": STEPS},
        "statistics": {"resamples": 200, "confidence": 0.95},
        "verdict": more.pop("verdict", {"confidence": 0.95, "least_turned": 0.5}),
    }
    raw = {
        "format": 2,
        "identity": "id",
        "content": {
            "settings": settings,
            "task": list(classes),
            "cases": {"count": 24, "hash": "h", "shape": [channels, 12, 12], "windowed": True},
        },
        "estimators": [asdict(one) for one in estimators],
        "metrics": [as_json(one) for one in metrics],
        "versions": {"tomolens": "0"},
        "commit": "",
        "machine": {"name": "m", "device": "cpu", "executor": "local"},
        "settings_hash": "s",
        "accuracy": {"balanced": 0.97, "plain": 0.97},
        "networks": [{"fold": 0, "source": "given", "weights": "w", "accuracy": 0.97, "cases_held_out": 24}],
        **more,
    }
    return Description(raw)


def write_study(
    folder,
    metrics=METRICS,
    estimators=ESTIMATORS,
    classes=("without", "with"),
    spatial=(12, 12),
    count=24,
    varied=False,
    shortcut=False,
    failed=0,
    names=(),
    kept=3,
    skill=None,
    turns=None,
    calibration="",
    patients=12,
    **more,
):
    """Write a study's folder and read its findings.

    Numbers that are better lower are the negative ones of those that are better higher. The last of the ``kept`` cases
    has no mask; ``names`` are those of the first cases, and of their patients. ``skill`` is of maps by name, and of
    (map, output) where it differs; ``turns`` tells of each case whether the network decides otherwise about its twin,
    and ``calibration`` puts the truth into rows of that implant instead of the study's own.
    """
    skill = {**SKILL, **(skill or {})}
    content = description(metrics, estimators, classes, **more)
    store = Store(folder)
    folder.mkdir(parents=True, exist_ok=True)
    store.write_description(content.raw)
    tables = []
    for index in range(count):
        label, random = index % len(classes), np.random.default_rng([7, index])
        entry = CaseEntry(f"case-{index:02d}", label, f"patient-{index // 2 % patients}-{label}")
        if index < len(names):
            entry = replace(entry, name=names[index], patient=f"{names[index]}{entry.patient}")
        if index >= count - failed:
            tables.append(rows_of_failure(index, entry, 0, "usable", "it broke"))
            continue
        predicted = (label + 1) % len(classes) if index == 5 else label
        right = label == predicted
        measured = list(case_rows(random, metrics, estimators, index, right, varied, shortcut, skill))
        if turns is not None:
            measured = list(with_twin(measured, bool(turns(index)), calibration))
        tables.append(rows_of_evaluation(index, entry, 0, "usable", predicted, measured, ""))
        if index < kept:
            channels = content.raw["content"]["cases"]["shape"][0]
            example = example_of(random, entry, predicted, spatial, estimators, index < kept - 1, channels)
            fill = [0.5 / (place + 1) for place in range(channels)]
            write_gallery_case(store.gallery_folder, index, encode(example, measured, content.outputs, fill))
            store.write_example(example)
    store.shards.write(tables, range(count))
    return Findings.from_folder(folder)


def case_rows(random, metrics, estimators, index, right, varied, shortcut, skills):
    yield Measurement("", "", CORRECT, float(right))
    yield Measurement("", "", MASK_SHARE, 0.02 + 0.01 * index)
    if shortcut:
        yield Measurement("", "", CORRECT_WITHOUT_SHORTCUT, float(right and index % 4 < 2))
    for one in estimators:
        for form in ("original",) if one.baseline else FORMS:
            if form == "absolute":
                yield Measurement(one.name, form, SAME, float(one.name in ("positive", "noise")))
            same = one.name in ("positive", "noise")
            share = 1.0 if form == "absolute" or one.baseline or same else 0.5
            own = np.random.default_rng([index, len(one.name), int(form == "absolute" and not same)])
            yield from map_rows(own, metrics, one.name, form, skills, share)
        if any(other.truth for other in estimators) and not one.blind and not one.baseline:
            own = np.random.default_rng([index, len(one.name), 2])
            yield from map_rows(own, metrics, one.name, BLURRED, skills, 0.8)
    if varied:
        yield from varied_rows(random, metrics, estimators)


def with_twin(measured, told, calibration):
    """Rows of a case whose twin the network tells from it, or not: then no truth is known."""
    option = {"choice": CALIBRATION, "option": calibration} if calibration else {}
    for one in measured:
        if calibration and one.estimator and one.curve is None and one.metric != SAME:
            if told:
                yield replace(one, **option)
            if one.estimator == TRUTH_MAP.name:
                continue
        if told or one.estimator != TRUTH_MAP.name:
            yield one
    yield Measurement("", "", TWIN_TURNS, float(told), **option)


def map_rows(random, metrics, name, form, skills, share):
    for output in (output for metric in metrics for output in metric.outputs):
        skill = share * skills.get((name, output.name), skills.get(name, 0.6))
        value = skill + 0.05 * random.normal()
        if output.view and output.view.judge == "shortcut":
            value += 0.2  # better than any mask
        if output.curve:
            curve = np.linspace(1.0, 0.0, STEPS + 1) ** (2.0 * value + 1.0)
            if output.masked:
                curve = (random.random(STEPS + 1) < curve).astype(float)
            yield Measurement(name, form, output.name, curve=tuple(curve[::-1] if output.name == "widths" else curve))
        else:
            yield Measurement(name, form, output.name, output.sign * value)


def varied_rows(random, metrics, estimators):
    maps = [one.name for one in estimators if not one.baseline]
    views = [output for metric in metrics for output in metric.outputs if output.view and output.view.ranks]
    for choice, option, form in (
        ("fill", "blur", "absolute"),
        ("fill", "mean", "absolute"),
        ("direction", "other", "original"),
        ("noise", "strong", "absolute"),
    ):
        for name in maps:
            if choice == "noise" and name == maps[0]:
                yield Measurement(name, "", NOT_ASSESSED, note="it is nothing", choice=choice, option=option)
                continue
            for output in views:
                value = output.sign * (SKILL.get(name, 0.6) * (option != "mean") + 0.2 * random.normal())
                yield Measurement(name, form, output.name, value, choice=choice, option=option)
    yield Measurement(maps[1], "", REMARK, note="it is saturated", choice="noise", option="strong")


def example_of(random, entry, predicted, spatial, estimators, with_mask=True, channels=1):
    mask = np.zeros(spatial, bool)
    mask[..., 3:7, 4:9] = True
    maps, regions = {}, {}
    for name in (one.name for one in estimators if not one.baseline):
        importance = random.normal(size=spatial)
        for form, one in zip(FORMS, (importance, np.abs(importance)), strict=True):
            maps[name, form] = one
            regions[name, form] = np.round(one)
    image = random.random((channels, *spatial)).astype(np.float32)
    beside = {one.name: np.abs(random.normal(size=spatial)) for one in estimators if one.baseline}
    ranked = maps | {(name, "original"): plane for name, plane in beside.items()}
    return Example(
        entry.name,
        entry.label,
        predicted,
        image,
        mask if with_mask else None,
        maps,
        regions if with_mask else {},
        twin=image[:, ::-1],
        beside=beside,
        steps={key: masked_at(plane) for key, plane in ranked.items()},
        along={key: np.linspace([1.0, 0.75], [0.0, 0.5], STEPS + 1).T for key in ranked},
        spacing=(2.0, 1.0) if len(spatial) == 2 else None,
        upright=len(spatial) == 2,
    )


def masked_at(plane):
    """At which step each pixel goes, the largest first."""
    sizes = [int(np.floor(step / STEPS * plane.size + 0.5)) for step in range(STEPS + 1)]
    steps = np.zeros(plane.size, np.uint8)
    for place, pixel in enumerate(np.argsort(-plane, axis=None, kind="stable")):
        steps[pixel] = next(step for step, size in enumerate(sizes) if place < size)
    return steps.reshape(plane.shape)


def lower(metric):
    """The metric with the headline turned round: lower is better."""
    headline, *others = metric.outputs
    return replace(metric, outputs=(replace(headline, better="lower"), *others))
