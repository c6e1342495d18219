import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from tomolens.cases import Case, CaseEntry, Cases, phantom
from tomolens.cases.body import body_of
from tomolens.cases.preprocessing import Preprocessing
from tomolens.classifier import Intensity
from tomolens.estimators import Scene
from tomolens.estimators.baselines import BASELINES
from tomolens.estimators.subject import Subject
from tomolens.study.folds import Fold
from tomolens.study.references import atlas_of, missing_baselines
from tomolens.study.settings import StudySettings
from tomolens.study.survey import Survey


def drawn(image, scene, intensity=Intensity()):  # noqa: B008
    subject = Subject(torch.from_numpy(image), 1, "case", 0, intensity=intensity, scene=scene)
    return {name: one.explain(subject).numpy() for name, one in BASELINES.items() if all(map(subject.has, one.needs))}


@given(st.floats(0, 1))
def test_constant_images_are_no_trouble(value):
    image = np.full((1, 12, 12), value, dtype=np.float32)
    maps = drawn(image, Scene(np.zeros_like(image), image[0] > 0))
    assert "mean-mask" not in maps  # there is none without training masks
    assert all(np.isfinite(one).all() for one in maps.values())
    np.testing.assert_array_equal(maps["sobel-edges"], 0)


def test_the_body_is_the_body_without_the_table():
    image = np.zeros((1, 40, 40), dtype=np.float32)
    image[0, 5:25, 5:35] = 0.6
    image[0, 10:15, 10:15] = 0.0  # a lung
    image[0, 32:34, 5:35] = 0.9  # the table
    body = drawn(image, Scene(np.zeros_like(image), body_of(image, 0.0)))["body-mask"][0]
    assert body[12, 12] == body[7, 7] == 1
    assert body[33, 20] == body[0, 0] == 0


@pytest.mark.parametrize("black", [0.0, -3.0])
def test_baselines_see_what_their_names_say(black):
    """In whatever range the network takes its images."""
    case = phantom.cases(2, seed=1)[1]
    intensity = Intensity(black, black + 2.0)
    fill = np.full_like(case.image, intensity.at(1.0 - case.label))
    maps = drawn(intensity.at(case.image), Scene(fill, case.body, case.mask.astype(float)), intensity)
    np.testing.assert_allclose(maps["difference-from-fill"], np.abs(case.image - (1.0 - case.label)), atol=1e-6)
    np.testing.assert_allclose(maps["raw-intensity"], case.image, atol=1e-6)
    edges = sum(ndimage.sobel(case.image.astype(float), axis=axis) ** 2 for axis in (1, 2)) ** 0.5
    np.testing.assert_allclose(maps["sobel-edges"], edges, atol=1e-5)
    np.testing.assert_array_equal(maps["mean-mask"][0], case.mask)
    centre = maps["centre-prior"][0]
    assert np.unravel_index(centre.argmax(), centre.shape) in {(111, 111), (111, 112), (112, 111), (112, 112)}
    assert centre[0, 0] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("limits", [(-160.0, 240.0), (-1000.0, 400.0), (-1024.0, 1000.0), (0.0, 80.0), (200.0, 900.0)])
def test_the_body_is_told_by_hounsfield_units_whatever_the_window(limits):
    hu = np.full((64, 64), -990.0)  # air as scanners have it, never exactly black
    hu[8:56, 8:56] = -100.0  # fat
    hu[16:48, 16:48] = 40.0
    hu[20:30, 20:30] = -850.0  # a lung
    expected = np.zeros((64, 64), bool)
    expected[8:56, 8:56] = True
    body = Preprocessing(64, limits).body(hu)
    np.testing.assert_array_equal(body, ndimage.binary_opening(expected))
    assert Preprocessing(32, limits).body(hu).mean() == pytest.approx(expected.mean(), abs=0.05)


def test_the_body_of_simulated_chests_does_not_depend_on_the_window():
    usual, lung, brain = (
        phantom.cases(2, preprocessing=Preprocessing(64, limits))[1].body
        for limits in ((-160.0, 240.0), (-1000.0, 400.0), (0.0, 80.0))
    )
    assert 0.3 < usual.mean() < 0.9
    np.testing.assert_array_equal(usual, lung)
    np.testing.assert_array_equal(usual, brain)


def test_the_atlas_is_drawn_at_random_over_patients():
    """Sixteen slices of each of ten patients in the order of a manifest, and an atlas of ten: one of each patient."""
    entries = tuple(CaseEntry(f"c{i}", i % 2, f"p{i // 16}") for i in range(160))

    def read(entry):
        number, mask = int(entry.name[1:]), np.zeros((16, 16), bool)
        mask.flat[number] = True
        return Case(entry.name, np.zeros((1, 16, 16), np.float32), entry.label, entry.patient, mask)

    found = Survey(Cases(entries, read), "", ("usable",) * 160)
    settings = StudySettings.model_validate({"name": "s", "estimators": {"references": 10}})
    atlas = atlas_of(found, np.arange(160), settings)
    drawn = np.flatnonzero(atlas)
    assert len(drawn) == 10
    assert set(drawn // 16) == set(range(10))
    assert len(set(drawn % 16)) > 1
    np.testing.assert_array_equal(atlas, atlas_of(found, np.arange(160), settings))
    assert (atlas != atlas_of(found, np.arange(160), settings.model_copy(update={"seed": 1}))).any()
    without = Survey(found.cases, "", ("none",) * 160)
    folds = [Fold(0, np.arange(80), np.arange(80, 160)), Fold(1, np.arange(80, 160), np.arange(80))]
    assert missing_baselines(settings, without, folds) == {"mean-mask": "no training masks in 2 of 2 folds"}
    assert missing_baselines(settings, found, folds) == {}
