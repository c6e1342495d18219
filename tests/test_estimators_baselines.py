import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomolens.cases import phantom
from tomolens.estimators.baselines import BASELINES, Scene, draw_baselines


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
