"""Every setting of a study file: one line that names it, or it runs."""

import math
import re
import warnings
from copy import deepcopy
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from torch import nn

from quick_study import Moody, quick_cases
from tomolens.api import simulated_cases
from tomolens.cases import CONTRAST_CLASSES, phantom
from tomolens.cases.phantom.findings import Finding
from tomolens.classifier import Classifier, Intensity
from tomolens.classifier.training import Recipe, train
from tomolens.errors import CaseError, SettingsError
from tomolens.estimators import References
from tomolens.estimators.registry import ESTIMATORS
from tomolens.metrics.registry import METRICS
from tomolens.metrics.registry import SETS as METRIC_SETS
from tomolens.progress import silent
from tomolens.regions import RegionSettings
from tomolens.study import networks
from tomolens.study.evaluate import evaluate
from tomolens.study.ranges import check_regions
from tomolens.study.settings import StudySettings, read_settings, settings_from

FULL = StudySettings.model_validate(
    {
        "name": "full",
        "cases": {"mask_names": {"aorta": 1}},
        "classifier": {"pretraining": {}},
        "metrics": {"steps": 3, "roc_points": 11},
        "estimators": {
            "names": ["smoothgrad", "integrated-gradients", "expected-gradients", "random"],
            "parameters": {
                "smoothgrad": {"samples": 2, "sigma": 0.1},
                "integrated-gradients": {"steps": 2, "reference": 0.0, "quadrature": "right"},
            },
        },
        "vary": {"noise": [0.1], "steps": [2], "fills": ["mean"], "regions": {"coarse": {"scales": [500]}}},
    }
).model_dump()
OF_OTHERS = {("metrics", "fill"), ("vary", "fills")}
"""Fills have a parser of their own; see test_imputers_fills."""


def leaves(content, path=()):
    for key, value in content.items():
        if isinstance(value, dict):
            yield from leaves(value, (*path, key))
        elif (*path, key) not in OF_OTHERS:
            yield (*path, key)


assert FULL["vary"]["regions"]["coarse"]["scales"] == (500,)
LEAVES = sorted(leaves(FULL))
NUMBERS = [0, -1, 1, 2, 3, 7, 10**6, 10**12, -(10**30), 0.0, 0.3, 0.5, 1.0, 1.5, 2.0, -0.5, 1e-300, 1e308, -1e308]
NUMBERS += [12, 64, 100, 0.15, 0.02, 0.9, math.nan, math.inf, -math.inf, True]
WORDS = ["", " ", "a", "1", "nan", "smoothgrad", "paper", "label", "$x^2_{$", "=1+1", "\x00", "a\nb"]
LISTS = [[], [0], [1, 1], ["a", "a"], ["1", "0"], ["a", "b"], [math.nan, 240.0], [-math.inf, math.inf], [240, -160]]
LISTS += [[-1e308, 1e308], [0.0, 1e-300], [-1000.0, 400.0], [5, 3, 3], ["random"], [[1]], [{}], [True, False]]
odd = st.one_of(
    st.sampled_from(NUMBERS), st.sampled_from(WORDS), st.sampled_from(LISTS), st.floats(), st.integers(), st.text()
)


def without_nothing(content):
    """As TOML, which has no None, can say it."""
    return {
        key: without_nothing(value) if isinstance(value, dict) else value
        for key, value in content.items()
        if value is not None
    }


def changed(edits):
    content = deepcopy(FULL)
    for path, value in edits:
        place = content
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
    return without_nothing(content)


def small(plan):
    return plan.images() <= 6000 and plan.cost((1, 16, 16)).gradients <= 400 and plan.metrics.roc_points <= 1000


RAMP = np.linspace(-1000, 1000, 64).reshape(8, 8)
"""Hounsfield units of pixels of 1 mm."""


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(edits=st.lists(st.tuples(st.sampled_from(LEAVES), odd), min_size=1, max_size=2))
@example(edits=[(("classifier", "recipe", "batch_size"), 0)])
@example(edits=[(("classifier", "recipe", "validation"), 2.0)])
@example(edits=[(("classifier", "recipe", "learning_rate"), math.nan)])
@example(edits=[(("metrics", "regions", "scales"), [])])
@example(edits=[(("cases", "spacing"), 1)])
@example(edits=[(("estimators", "parameters", "smoothgrad", "samples"), "a")])
def test_one_line_or_it_runs(edits):
    try:
        accepted = settings_from(changed(edits), "odd.toml")
    except SettingsError as error:
        assert str(error).startswith("odd.toml: ")  # noqa: PT017
        return
    assert StudySettings.model_validate_json(accepted.model_dump_json()) == accepted
    plan = accepted.varied().plan
    if small(plan):
        runs(plan)
    schedule_runs(accepted.classifier.recipe)
    assert np.isfinite(accepted.cases.preprocessing.image(RAMP, (1.0, 1.0))).all()


NETWORK = Classifier(Moody().eval(), intensity=Intensity(hounsfield=(-160.0, 240.0)))


def runs(plan):
    case = quick_cases(1)[0]
    references = References(torch.rand(4, 1, 16, 16), torch.tensor([0, 1, 0, 1]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        evaluation = evaluate(
            case, Classifier(Moody().eval(), intensity=Intensity(hounsfield=(-160.0, 240.0))), plan, references, None
        )
    assert set(evaluation.maps) == {one.name for one in plan.estimators}


def schedule_runs(recipe):
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.AdamW([weight], lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.learning_rate, total_steps=recipe.epochs * 5, pct_start=0.4)


ODD_FILES = {
    "no epoch": ("[classifier.recipe]\nepochs = 0", r"classifier\.recipe: epochs 0, expected 1 to"),
    "no batch": ("[classifier.recipe]\nbatch_size = 0", r"classifier\.recipe: batch_size 0, expected 2 to"),
    "no validation": ("[classifier.recipe]\nvalidation = 0.0", r"validation 0, expected 0\.01 to 0\.5"),
    "all validation": ("[classifier.recipe]\nvalidation = 2.0", r"validation 2, expected 0\.01 to 0\.5"),
    "rate": (
        "[classifier.recipe]\nlearning_rate = nan",
        r"classifier\.recipe\.learning_rate: Input should be a finite",
    ),
    "falling rate": ("[classifier.recipe]\nlearning_rate = -1.0", r"learning_rate -1, expected"),
    "rotation": ("[classifier.recipe]\nrotation = nan", r"rotation: Input should be a finite number"),
    "patience": ("[classifier.recipe]\npatience = 0", r"patience 0, expected 1 to"),
    "architecture": ('[classifier.recipe]\narchitecture = "resnet5"', "did you mean 'resnet50'"),
    "pretraining": ("[classifier.pretraining.recipe]\nepochs = -5", r"pretraining\.recipe: epochs -5, expected 1 to"),
    "no scales": ("[metrics.regions]\nscales = []", r"metrics: regions: scales is empty"),
    "scale": ("[metrics.regions]\nscales = [-5]", r"metrics: regions: scales -5, expected"),
    "dilation": ("[metrics.regions]\ndilation = -3", r"regions: dilation -3, expected 0 to 256"),
    "centimetres": ('[metrics.regions]\nmin_size = "1 cm"', r"regions: min_size: length '1 cm', expected whole pixels"),
    "no millimetres": ('[metrics.regions]\nmin_size = "0 mm"', r"regions: min_size 0, expected 0\.001 to 1000"),
    "half a pixel": ("[metrics.regions]\nmin_size = 1.5", r"min_size"),
    "smoothing": ("[metrics.regions]\nsigma = -1", r"regions: sigma -1, expected 0 to 50"),
    "no sample": ("[estimators.parameters.smoothgrad]\nsamples = 0", r"'smoothgrad': samples 0, expected 1 to"),
    "word": ('[estimators.parameters.smoothgrad]\nsamples = "a"', r"samples 'a', expected a whole number"),
    "sigma": ("[estimators.parameters.smoothgrad]\nsigma = nan", r"'smoothgrad': sigma nan, expected a finite number"),
    "no noise": ("[estimators.parameters.smoothgrad]\nsigma = -1", r"sigma -1, expected 1e-06 to 10"),
    "quadrature": ('[estimators.parameters.integrated-gradients]\nquadrature = "left of it"', "expected one of"),
    "no estimator": ("[estimators]\nnames = []", "no estimator is named"),
    "no metric": ("[metrics]\nnames = []", "no metric is named"),
    "metric twice": ('[metrics]\nnames = ["roc", "roc"]', "metric 'roc' is named twice"),
    "window": ("[cases]\nwindow = [nan, 240]", r"cases\.window: window \[nan, 240\], expected two finite numbers"),
    "a point for a window": ("[cases]\nwindow = [0, 1e-9]", "expected at least 1 HU"),
    "no window": ("[cases]\nwindow = []", r"cases\.window: window \[\], expected two finite numbers"),
    "a number for a window": ("[cases]\nwindow = 40", r"cases\.window: window 40, expected two finite numbers"),
    "words for a window": (
        '[cases]\nwindow = ["-160", "240"]',
        r"cases\.window: window \['-160', '240'\], expected two",
    ),
    "three limits": ("[cases]\nwindow = [-160, 40, 240]", r"cases\.window: window \[-160, 40, 240\], expected two"),
    "windows and a number": (
        "[cases]\nwindow = [[-160, 240], 400]",
        r"cases\.window: window 2 of 2, 400, expected two finite numbers",
    ),
    "one of the windows": (
        "[cases]\nwindow = [[-1000, 400], [240, -160]]",
        r"cases\.window: window 2 of 2, \[240\.0, -160\.0\] is empty: the lower limit comes first",
    ),
    "infinite windows": (
        "[cases]\nwindow = [[-1000, inf], [-160, 240]]",
        r"cases\.window: window 1 of 2, \[-1000, inf\], expected two finite numbers",
    ),
    "narrow windows": (
        "[cases]\nwindow = [[-1000, 400], [-160, 240], [0, 0.5]]",
        r"window 3 of 3, \[0\.0, 0\.5\], expected at least 1 HU within -100000 to 100000 HU",
    ),
    "nine windows": (f"[cases]\nwindow = {[[0, 100 + i] for i in range(9)]}", "9 windows, expected at most 8"),
    "no pixels": (
        "[cases]\nspacing = 0",
        r"cases\.spacing: pixels of 0 mm, expected a number 0\.01 to 100 \(given: 0\)",
    ),
    "pixels of nothing": ("[cases]\nspacing = [1.5, nan]", r"cases\.spacing: pixels of nan mm, expected a number"),
    "pixels of words": ('[cases]\nspacing = "1.5 mm"', r"cases\.spacing: pixels of '1\.5 mm' mm, expected a number"),
    "one pixel": (
        "[cases]\nspacing = [1.5]",
        r"cases\.spacing: 1 sizes of a pixel, expected one for all axes or one for",
    ),
    "solid pixels": (
        '[cases]\nsource = "phantom"\nspacing = [1, 1, 2]',
        r"spacing \[1\.0, 1\.0, 2\.0\]: slices have two axes",
    ),
    "solid implants": ('[cases]\nimplant = "nodule"\nspacing = [1, 1, 2]', r"spacing \[.*\]: slices have two axes"),
    "pixels of other axes": (
        "[cases]\nsize = [32, 32]\nspacing = [1, 1, 2]",
        r"size \[32, 32\] and spacing \[1\.0, 1\.0, 2\.0\]: one has a number for each of two axes, one of three",
    ),
    "one class": ('[cases]\nclasses = ["a", "a"]', "class 'a' is named twice"),
    "a class alone": ('[cases]\nclasses = ["a"]', "classes: 1 class, expected at least 2"),
    "simulated classes": ('[cases]\nsource = "phantom"\nclasses = ["a", "b", "c"]', "simulated cases have two, and 3"),
    "pretrained classes": (
        '[cases]\nclasses = ["a", "b", "c"]\n[classifier.pretraining]\ncases = 8',
        "simulated cases have two classes, cases.classes names 3",
    ),
    "small": (
        "[cases]\nsize = 7",
        r"cases\.size: 7 pixels along an axis, expected a whole number 8 to 4096 \(given: 7\)",
    ),
    "large": ("[cases]\nsize = [32, 5000]", r"cases\.size: 5000 pixels along an axis, .* \(given: \[32, 5000\]\)"),
    "true": ("[cases]\nsize = true", r"cases\.size: True pixels along an axis"),
    "one axis": (
        "[cases]\nsize = [32]",
        r"cases\.size: 1 numbers of pixels, expected one for all axes or one for each",
    ),
    "four axes": ("[cases]\nsize = [32, 32, 32, 32]", r"cases\.size: 4 numbers of pixels"),
    "solid phantoms": ('[cases]\nsource = "phantom"\nsize = [32, 32, 32]', "slices have two axes, rows and columns"),
    "crossed classes": ('[cases]\nclasses = ["1", "0"]', "label 0 cannot be called '1'"),
    "noise twice": ("[vary]\nnoise = [0.3, 0.3]", r"vary\.noise: option '0\.3' is named twice"),
    "varied regions": ("[vary.regions.none]\nscales = []", r"vary\.regions: scales is empty"),
}


@pytest.mark.parametrize("fault", ODD_FILES)
def test_odd_files_are_refused_when_they_are_read(tmp_path, fault):
    text, message = ODD_FILES[fault]
    file = tmp_path / "study.toml"
    file.write_text(f'name = "x"\n{text}\n')
    with pytest.raises(SettingsError, match=message) as raised:
        read_settings(file)
    assert str(file) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_sizes_by_axis_and_many_classes_are_read(tmp_path):
    file = tmp_path / "study.toml"
    file.write_text(
        'name = "x"\n[cases]\nsize = [160, 224]\nclasses = ["a", "b", "c", "d"]\n[metrics]\nfill = "mean"\n'
    )
    cases = read_settings(file).cases
    assert cases.size == cases.preprocessing.size == (160, 224)
    assert cases.classes == ("a", "b", "c", "d")
    assert StudySettings.model_validate_json(read_settings(file).model_dump_json()).cases == cases


def test_sizes_of_regions_in_mm_are_read_again_as_they_were_stored():
    with pytest.raises(ValueError, match=r"min_size: length 1\.5, expected whole pixels"):
        check_regions(RegionSettings(min_size=1.5))
    assert check_regions(RegionSettings(dilation="0 mm")).dilation == "0 mm"
    regions = {"min_size": "12 mm", "dilation": "2.5 mm", "min_new_pixels": 40}
    made = settings_from({"name": "x", "metrics": {"regions": regions}}, "x")
    assert made.metrics.regions.min_size == "12 mm"
    assert settings_from(made.model_dump(mode="json"), "x") == made


def test_a_byte_order_mark_is_no_mistake(tmp_path):
    file = tmp_path / "study.toml"
    file.write_bytes(b'\xef\xbb\xbfname = "x"\n')
    assert read_settings(file).name == "x"


def test_too_few_patients_to_validate_are_told_as_such():
    with pytest.raises(CaseError, match=r"4 training cases of 2 patients.*validation = 0\.2 of the recipe"):
        train(quick_cases(4), Recipe("resnet18", epochs=1))


def test_an_odd_case_is_no_step_of_its_own():
    trained = train(quick_cases(14), Recipe("resnet18", epochs=1, batch_size=2, validation=0.34, augment=False))
    assert trained.epoch == 1


def test_numbers_in_python_are_checked_likewise():
    with pytest.raises(SettingsError, match="epochs 0, expected 1 to 100000"):
        Recipe(epochs=0)
    assert len(ESTIMATORS) > 0
    assert FULL["cases"]["classes"] == CONTRAST_CLASSES


def test_one_window_is_one_however_it_is_written():
    for written in ([-160, 240], [[-160, 240]], ((-160.0, 240.0),)):
        assert settings_from({"name": "x", "cases": {"window": written}}, "x") == settings_from({"name": "x"}, "x")
    several = settings_from({"name": "x", "cases": {"window": [[-1000, 400], [-160, 240]]}}, "x")
    assert several.cases.window == several.cases.preprocessing.windows == ((-1000.0, 400.0), (-160.0, 240.0))
    assert settings_from(several.model_dump(mode="json"), "x") == several


def test_a_finding_brings_its_classes_and_window():
    made = settings_from({"name": "x", "cases": {"source": "phantom", "finding": "nodule"}}, "x.toml").cases
    assert made.classes == ("without nodule", "with nodule")
    assert made.window == (-1000.0, 400.0)
    given = {"classes": ["clean", "ill"], "window": [-600, 200], "finding_mm": [8, 20]}
    own = settings_from({"name": "x", "cases": {"source": "phantom", "finding": "nodule"} | given}, "x.toml").cases
    assert own.classes == ("clean", "ill")
    assert own.window == (-600.0, 200.0)
    assert own.finding_mm == (8.0, 20.0)
    plain = settings_from({"name": "x", "cases": {"source": "phantom"}}, "x.toml").cases
    assert (plain.classes, plain.window) == (CONTRAST_CLASSES, (-160.0, 240.0))


@pytest.mark.parametrize("finding", get_args(Finding))
def test_what_a_finding_brings_is_read_again_as_it_was_stored(finding):
    made = settings_from({"name": "x", "cases": {"source": "phantom", "finding": finding}}, "x.toml")
    assert settings_from(made.model_dump(mode="json"), "study.json") == made
    changed = made.model_copy(update={"cases": made.cases.model_copy(update={"window": (-500.0, 500.0)})})
    assert settings_from(changed.model_dump(mode="json"), "study.json") == changed


@pytest.mark.parametrize(
    ("cases", "words"),
    [
        ({"finding": "nodule"}, "cases: finding 'nodule': only simulated cases"),
        ({"source": "phantom", "finding": "tumour"}, "cases.finding: Input should be 'contrast', 'nodule'"),
        ({"source": "phantom", "finding": ["nodule"]}, "cases.finding: "),
        ({"source": "phantom", "finding_mm": [8, 20]}, "contrast agent has no size"),
        ({"implant": "contrast", "finding_mm": [8, 20]}, "contrast agent has no size"),
        ({"source": "phantom", "crop": "lungs", "marker": "label"}, "a shortcut lies outside of the lungs"),
        ({"source": "phantom", "crop": "lungs", "finding": "lesion"}, "a lesion lies in soft tissue, which is cut off"),
        ({"implant": "lesion", "crop": "lungs"}, "a lesion lies in soft tissue, which is cut off"),
        ({"dimensions": 3, "size": 1024}, "size 1024: more than 268,435,456 voxels"),
        ({"finding_mm": [8, 20]}, "finding_mm: it is of simulated cases and of implants; here is neither"),
        ({"source": "phantom", "finding": "nodule", "finding_mm": [20, 8]}, "expected the least diameter"),
        ({"source": "phantom", "finding": "nodule", "classes": ["a", "b", "c"]}, "simulated cases have two"),
    ],
)
def test_a_finding_that_cannot_be_is_refused(cases, words):
    with pytest.raises(SettingsError, match=re.escape(words)):
        settings_from({"name": "x", "cases": cases}, "x.toml")


def test_simulated_cases_carry_the_finding_of_the_study():
    content = {"source": "phantom", "finding": "nodule", "finding_mm": [14, 20], "size": 32, "train": 6, "test": 4}
    made = settings_from({"name": "x", "cases": content}, "x.toml")
    cases = simulated_cases(made)
    assert cases.classes == ("without nodule", "with nodule")
    assert [entry.split for entry in cases.entries] == ["train"] * 6 + ["test"] * 4
    assert [case.mask is None for case in cases[:2]] == [True, False]
    same = phantom.cases(10, preprocessing=made.cases.preprocessing, finding="nodule", finding_mm=(14, 20))
    np.testing.assert_array_equal(cases.images(), same.images())


def test_pretraining_shows_the_finding_of_the_study(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(networks.phantom, "cases", lambda count, **rest: asked.append((count, rest)))
    monkeypatch.setattr(networks, "_train_into", lambda *_: {})
    monkeypatch.setattr(networks, "load_weights", lambda _: (Classifier(nn.Identity()), {}))
    for cases in ({"source": "phantom", "finding": "lesion", "finding_mm": [9, 12]}, {"source": "manifest"}):
        made = settings_from({"name": "x", "cases": cases, "classifier": {"pretraining": {"cases": 7}}}, "x.toml")
        networks._pretrained(made, tmp_path / "no.safetensors", "cpu", silent)
    (count, lesion), (_, other) = asked
    assert count == 7
    assert (lesion["finding"], lesion["finding_mm"]) == ("lesion", (9.0, 12.0))
    assert (other["finding"], other["finding_mm"]) == ("contrast", None)


def test_sets_of_metrics():
    names = StudySettings.model_validate({"name": "x", "metrics": {"set": "reviewer", "steps": 4}}).metrics.names
    assert names == METRIC_SETS["reviewer"]
    assert METRIC_SETS["paper"] == StudySettings.model_validate({"name": "x"}).metrics.names
    assert set(METRIC_SETS["paper"]) < set(METRIC_SETS["reviewer"]) < set(METRIC_SETS["all"]) == set(METRICS)
    for wrong, message in (
        ({"set": "paper", "names": ["roc"]}, "set = 'paper' and names: give one of them"),
        ({"set": "papers"}, "expected one of paper, reviewer, all"),
        ({"tolerance": "5 cm"}, "expected whole pixels, or millimetres"),
        ({"tolerance": -1}, "tolerance -1, expected 0 or more"),
    ):
        with pytest.raises((ValueError, SettingsError), match=message):
            StudySettings.model_validate({"name": "x", "metrics": wrong})
