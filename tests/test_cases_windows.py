"""Several windows as the channels of an image: files, simulated cases and implants, the body, and a whole study."""

import doctest
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from conftest import convolutional
from ct_files import body, write_slice, write_volume
from quick_study import no_figures, quick_cases
from test_cases_implants import write_cases
from tomolens.api import Study, verify_study
from tomolens.cases import CaseEntry, Preprocessing, from_manifest, phantom, preprocessing, windows
from tomolens.cases import body as bodies
from tomolens.cases.body import channel_of_air
from tomolens.cases.files import FileReader
from tomolens.cases.implants import implanted
from tomolens.cases.windows import check_windows, in_words, windows_of
from tomolens.classifier import Classifier, Intensity, intensity
from tomolens.classifier.weights import load_weights
from tomolens.errors import CaseError, SettingsError
from tomolens.report import write
from tomolens.study.evaluate import scene_of
from tomolens.study.given_network import trained_classifier
from tomolens.study.settings import StudySettings

LUNG, SOFT, BONE = (-1000.0, 400.0), (-160.0, 240.0), (-100.0, 900.0)
THREE = (LUNG, SOFT, BONE)


@pytest.mark.parametrize("module", [windows, bodies, preprocessing, intensity])
def test_the_examples_run(module):
    found = doctest.testmod(module)
    assert found.attempted > 0
    assert found.failed == 0


def test_one_window_and_several_are_told_apart_however_they_are_written():
    for one in (SOFT, [-160.0, 240.0], (SOFT,), [[-160.0, 240.0]]):
        assert windows_of(one) == check_windows(one) == Preprocessing(32, one).windows == (SOFT,)
        assert in_words(one) == "-160 to 240 HU"
    assert windows_of([list(one) for one in THREE]) == check_windows(THREE) == THREE
    assert in_words((LUNG, SOFT)) == "-1000 to 400 and -160 to 240 HU"
    assert check_windows((np.float32(-5), 12)) == ((-5.0, 12.0),)
    with pytest.raises(SettingsError, match="window 2 of 2, .* is empty"):
        Preprocessing(32, (SOFT, SOFT[::-1]))


@pytest.mark.parametrize(("shape", "size"), [((40, 48), (16, 20)), ((6, 20, 24), 12)])
def test_each_channel_is_what_its_window_alone_shows(shape, size):
    hu = np.random.default_rng(0).uniform(-1100, 1200, shape).astype(np.float32)
    together = Preprocessing(size, THREE)
    alone = [Preprocessing(size, one) for one in THREE]
    image = together.image(hu)
    assert image.dtype == np.float32
    assert (image >= 0).all()
    assert (image <= 1).all()
    np.testing.assert_array_equal(image, np.concatenate([one.image(hu) for one in alone]))
    np.testing.assert_array_equal(together.body(hu), alone[0].body(hu))


def test_files_are_read_into_a_channel_a_window_and_equal_files_have_one_fingerprint(tmp_path):
    path = write_volume(tmp_path / "v.nii.gz", body(6, 40, 48))
    for dimensions, index in ((2, 3), (3, None)):
        entry = CaseEntry("a", 0, "p", source=str(path), slice=index)
        case = FileReader(Preprocessing(16, THREE), dimensions=dimensions)(entry)
        for channel, one in zip(case.image, THREE, strict=True):
            single = FileReader(Preprocessing(16, one), dimensions=dimensions)(entry)
            np.testing.assert_array_equal(channel, single.image[0])
            np.testing.assert_array_equal(case.grid.affine, single.grid.affine)
            assert case.fingerprint != single.fingerprint
        again = FileReader(Preprocessing(16, THREE), dimensions=dimensions)(replace(entry, name="b"))
        assert again.fingerprint == case.fingerprint


def test_a_channel_of_one_grey_is_told_and_a_case_of_none_else_refused(tmp_path):
    hu = np.full((32, 32), -1000.0)
    hu[8:24, 8:24] = np.random.default_rng(0).uniform(-120, 80, (16, 16)).round()
    entry = CaseEntry("a", 0, "p", source=str(write_slice(tmp_path / "a.dcm", hu)))
    assert FileReader(Preprocessing(32, (LUNG, SOFT)))(entry).notes == ()
    seen = FileReader(Preprocessing(32, (SOFT, (100.0, 900.0))))(entry)
    assert seen.notes == ("it is one grey in the window 100 to 900 HU",)
    words = r"case a: .*a\.dcm: values from -1000 to \d+ HU are one grey in the windows 100 to 900 and 90 to 300 HU"
    with pytest.raises(CaseError, match=words):
        FileReader(Preprocessing(32, ((100.0, 900.0), (90.0, 300.0))))(entry)
    # Black in one, white in the other: two greys, and nothing to see.
    with pytest.raises(CaseError, match="one grey in the windows"):
        FileReader(Preprocessing(32, ((100.0, 900.0), (-3000.0, -2000.0))))(entry)


def test_air_ends_where_a_window_shows_it_best():
    assert channel_of_air(THREE) == 0
    assert channel_of_air((BONE, SOFT)) == 1  # fat is white in neither, and black in less of the second
    assert channel_of_air((BONE, (-1024.0, 1000.0), LUNG)) == 1
    assert (
        channel_of_air(((-2000.0, -600.0), (0.0, 80.0))) == 1
    )  # in the first all that is no air is white, and some air
    assert channel_of_air(((-2000.0, -600.0),)) == 0


@pytest.mark.parametrize("several", [THREE, (BONE, SOFT, LUNG), (BONE, LUNG)])
def test_the_body_of_an_image_alone_is_told_in_the_window_that_shows_air(several):
    hu = np.full((64, 64), -990.0)
    hu[8:56, 8:56] = -120.0  # fat, black in the window of bone
    hu[16:48, 16:48] = 40.0
    hu[20:30, 20:30] = -850.0  # a lung
    made = Preprocessing(64, several)
    wanted = np.zeros((64, 64), bool)
    wanted[8:56, 8:56] = True
    settings = StudySettings.model_validate({"name": "s", "cases": {"window": several}})
    for black, white in ((0.0, 1.0), (-1.0, 3.0)):
        intensity = Intensity(black, white, several)
        case = quick_cases(1)[0]
        case = replace(case, image=intensity.at(made.image(hu)).astype(np.float32), mask=None)
        scene = scene_of(case, Classifier(convolutional(), intensity=intensity), settings.plan, None)
        np.testing.assert_array_equal(scene.body, ndimage.binary_opening(wanted))
        np.testing.assert_array_equal(scene.body, made.body(hu))


def test_hounsfield_units_are_those_of_each_window():
    intensity = Intensity(hounsfield=THREE)
    assert intensity.windows == THREE
    np.testing.assert_allclose(intensity.of_hounsfield(40.0), [1040 / 1400, 0.5, 0.14])
    np.testing.assert_allclose(intensity.of_hounsfield(-1000.0), 0)
    np.testing.assert_allclose(intensity.of_hounsfield(3000.0), 1)
    assert Intensity(hounsfield=(SOFT,)).of_hounsfield(40.0) == Intensity(hounsfield=SOFT).of_hounsfield(40.0) == 0.5
    assert Intensity().windows == ()
    with pytest.raises(SettingsError, match="HU from 240 .* to -160 .*: expected rising numbers"):
        Intensity(hounsfield=(LUNG, SOFT[::-1]))


@pytest.mark.parametrize("marker", [None, "label"])
def test_simulated_cases_show_evidence_in_the_channel_that_shows_it_best(marker):
    cases = phantom.cases(2, seed=3, preprocessing=Preprocessing(48, THREE), finding="nodule", marker=marker)
    alone = [
        phantom.cases(2, seed=3, preprocessing=Preprocessing(48, one), finding="nodule", marker=marker) for one in THREE
    ]
    for index, case in enumerate(cases):
        singles = [one[index] for one in alone]
        np.testing.assert_array_equal(case.image, np.concatenate([one.image for one in singles]))
        np.testing.assert_array_equal(case.twin, np.concatenate([one.twin for one in singles]))
        assert (case.unmarked is not None) == (marker is not None and case.label == 1)
        if case.unmarked is not None:
            np.testing.assert_array_equal(case.unmarked, np.concatenate([one.unmarked for one in singles]))
        for one in singles:
            np.testing.assert_array_equal(case.body, one.body)
        if case.evidence is not None:
            largest = np.max([one.evidence for one in singles], axis=0)
            np.testing.assert_array_equal(case.evidence, largest)
            assert case.evidence.max() <= 1


def test_an_implant_must_show_in_one_channel_at_least(tmp_path):
    path = write_cases(tmp_path, [0, 0])
    unseen, bright = (300.0, 600.0), (700.0, 900.0)

    def cases(*several):
        return implanted(from_manifest(path, Preprocessing(96, several)), "nodule", share=1.0)

    for case, single in zip(cases(unseen, LUNG), cases(LUNG), strict=True):
        assert case.image.shape == (2, 96, 96)
        np.testing.assert_array_equal(case.image[1], single.image[0])
        np.testing.assert_array_equal(case.evidence, single.evidence)
        np.testing.assert_array_equal(case.mask, single.mask)
    words = (
        "does not show in 96 x 96 pixels and the windows 300 to 600 and 700 to 900 HU; .*, or in -1000 to 400 HU, it"
    )
    with pytest.raises(CaseError, match=words):
        cases(unseen, bright)[0]


STUDY = {
    "name": "windows",
    "examples": 1,
    "precision": "fp32",
    "cases": {
        "source": "phantom",
        "size": 32,
        "train": 24,
        "test": 6,
        "window": [[-1000, 400], [-160, 240], [-100, 900]],
    },
    "classifier": {
        "recipe": {"architecture": "local", "epochs": 2, "batch_size": 8},
        "pretraining": {"cases": 12, "recipe": {"architecture": "local", "epochs": 1, "batch_size": 6}},
    },
    "estimators": {"names": ["backpropagation", "smoothgrad-squared", "random"], "references": 4},
    "metrics": {"steps": 4, "roc_points": 11, "fill": "-1000 HU"},
    "statistics": {"resamples": 100},
}


def test_a_study_of_three_windows_trains_measures_tells_and_is_verified(tmp_path, monkeypatch):
    monkeypatch.setattr(write, "_figures", no_figures)
    settings = StudySettings.model_validate(STUDY)
    findings = Study(settings).run(tmp_path / "r", workers=1)
    assert len(findings.measured.failed) == 0
    assert findings.description.raw["content"]["cases"]["shape"] == [3, 32, 32]
    assert not findings.table("evidence").empty
    for name in ("fold-0", "pretrained"):
        classifier, notes = load_weights(tmp_path / "r" / "weights" / f"{name}.safetensors")
        assert notes["window"] == STUDY["cases"]["window"]
        assert next(classifier.network.parameters()).shape[1] == 3
    page = (tmp_path / "r" / "report.html").read_text()
    assert "were windowed to -1000 to 400, -160 to 240 and -100 to 900 HU, scaled to [0, 1] and resized" in page
    shown = json.loads(re.search(r'id="cases">(.*?)</script>', page, flags=re.DOTALL)[1])
    assert [one["name"] for one in shown["channels"]] == ["-1000 to 400 HU", "-160 to 240 HU", "-100 to 900 HU"]
    assert shown["cases"][0]["fill"] == [0, 0, 0]
    said, same = verify_study(tmp_path / "r", sample=2)
    assert same, said

    weights = tmp_path / "r" / "weights" / "fold-0.safetensors"
    assert trained_classifier(weights, settings).intensity.hounsfield is None
    other = StudySettings.model_validate(STUDY | {"cases": STUDY["cases"] | {"window": [-160, 240]}})
    words = r"trained with cases\.window = \[\[-1000\.0, 400\.0\], .* the study has \[-160\.0, 240\.0\]"
    with pytest.raises(SettingsError, match=words):
        trained_classifier(weights, other)


def test_images_of_another_number_of_channels_than_windows_are_refused(tmp_path):
    content = {"name": "s", "cases": {"window": [LUNG, SOFT]}, "estimators": {"names": ["backpropagation"]}}
    settings = StudySettings.model_validate(content)
    study = Study(settings, cases=quick_cases(), classifier=Classifier(convolutional()))
    with pytest.raises(SettingsError, match=r"cases\.window has 2 windows, a channel each, and the images have 1"):
        study.run(tmp_path / "r", workers=1)
    declared = Classifier(convolutional(2), intensity=Intensity(hounsfield=(SOFT, LUNG)))
    drawn = phantom.cases(8, preprocessing=Preprocessing(16, (LUNG, SOFT)))
    words = "takes -160 to 240 and -1000 to 400 HU, the study's cases.window is -1000 to 400 and -160 to 240 HU"
    with pytest.raises(SettingsError, match=words):
        Study(settings, cases=drawn, classifier=declared).run(tmp_path / "q", workers=1)
