import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from tomolens.cases import Case, CaseEntry, Cases, phantom
from tomolens.cases.body import AIR, body_of
from tomolens.cases.preprocessing import window
from tomolens.classifier import Intensity
from tomolens.estimators.baselines import BASELINES, Scene, draw_baselines
from tomolens.study.references import mean_mask_of, missing_baselines
from tomolens.study.settings import StudySettings
from tomolens.study.sides import Side
from tomolens.study.survey import Survey


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize("shape", [(1, 20, 24), (3, 16, 16), (1, 6, 8, 10)])
def test_every_baseline_draws_a_map_of_the_images_shape(name, shape):
    image = np.random.default_rng(0).random(shape).astype(np.float32)
    drawn = BASELINES[name](Scene(image, 1.0, np.full(shape[1:], 0.2)))
    assert drawn.shape == shape
    assert np.isfinite(drawn).all()
    assert (drawn >= 0).all()  # a map and its absolute are the same, so it is measured once


@given(st.floats(0, 1))
def test_constant_images_are_no_trouble(value):
    image = np.full((1, 12, 12), value, dtype=np.float32)
    drawn = draw_baselines(tuple(BASELINES), Scene(image, 0.0, None))
    assert "mean-mask" not in drawn  # there is none without training masks
    assert all(np.isfinite(one).all() for one in drawn.values())
    np.testing.assert_array_equal(drawn["sobel-edges"], 0)


def test_the_body_is_the_body_without_the_table():
    image = np.zeros((1, 40, 40), dtype=np.float32)
    image[0, 5:25, 5:35] = 0.6
    image[0, 10:15, 10:15] = 0.0  # a lung
    image[0, 32:34, 5:35] = 0.9  # the table
    body = BASELINES["body-mask"](Scene(image, 0.0))[0]
    assert body[12, 12] == body[7, 7] == 1
    assert body[33, 20] == body[0, 0] == 0


def test_baselines_see_what_their_names_say():
    case = phantom.cases(2, seed=1)[1]
    drawn = draw_baselines(tuple(BASELINES), Scene(case.image, 1.0 - case.label, case.mask.astype(float)))
    np.testing.assert_allclose(drawn["difference-from-fill"], np.abs(case.image - (1.0 - case.label)), rtol=1e-6)
    np.testing.assert_array_equal(drawn["raw-intensity"], case.image)
    np.testing.assert_array_equal(drawn["mean-mask"][0], case.mask)
    centre = drawn["centre-prior"][0]
    assert np.unravel_index(centre.argmax(), centre.shape) in {(111, 111), (111, 112), (112, 111), (112, 112)}
    assert centre[0, 0] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("limits", [(-160.0, 240.0), (-1000.0, 400.0), (-1024.0, 1000.0)])
def test_the_body_is_told_by_hounsfield_units_whatever_the_window(limits):
    hu = np.full((40, 40), -990.0)  # air as scanners have it, never exactly black
    hu[5:35, 5:35] = 40.0
    hu[12:20, 12:20] = -850.0  # a lung
    image, intensity = window(hu, limits)[None], Intensity(hounsfield=limits)
    body = body_of(image, intensity.of_hounsfield(AIR))
    expected = np.zeros((40, 40), bool)
    expected[5:35, 5:35] = True
    np.testing.assert_array_equal(body, ndimage.binary_opening(expected))
    drawn = BASELINES["body-mask"](Scene(image, image, None, intensity.of_hounsfield(AIR)))
    np.testing.assert_array_equal(drawn[0] == 1, body)


def test_the_atlas_is_drawn_at_random_over_patients():
    """Sixteen slices of each of ten patients in the order of a manifest, and an atlas of ten: one of each patient."""
    entries = tuple(CaseEntry(f"c{i}", i % 2, f"p{i // 16}") for i in range(160))

    def read(entry):
        number, mask = int(entry.name[1:]), np.zeros((16, 16), bool)
        mask.flat[number] = True
        return Case(entry.name, np.zeros((1, 16, 16), np.float32), entry.label, entry.patient, mask)

    found = Survey(Cases(entries, read), "", ("usable",) * 160)
    settings = StudySettings.model_validate({"name": "s", "estimators": {"references": 10}})
    atlas = mean_mask_of(found, np.arange(160), settings)
    drawn = np.flatnonzero(atlas)
    assert len(drawn) == 10
    assert set(drawn // 16) == set(range(10))
    assert len(set(drawn % 16)) > 1
    np.testing.assert_array_equal(atlas, mean_mask_of(found, np.arange(160), settings))
    assert (atlas != mean_mask_of(found, np.arange(160), settings.model_copy(update={"seed": 1}))).any()
    without = Survey(found.cases, "", ("none",) * 160)
    sides = [Side(0, np.arange(80), np.arange(80, 160)), Side(1, np.arange(80, 160), np.arange(80))]
    assert missing_baselines(settings, without, sides) == {"mean-mask": "no training masks in 2 of 2 folds"}
    assert missing_baselines(settings, found, sides) == {}
