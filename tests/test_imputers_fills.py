import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import lil_matrix
from scipy.sparse.linalg import spsolve

from tomolens.classifier.intensity import Intensity
from tomolens.errors import MapError, SettingsError
from tomolens.imputers import road
from tomolens.imputers.fills import fill_image, imputer, parse_fill
from tomolens.imputers.road import NOISE, imputation_noise, imputed
from tomolens.study.settings import StudySettings

IMAGE = np.random.default_rng(0).random((1, 12, 9)).astype(np.float32)


def direct(image, hidden):
    """The same linear system, pixel by pixel, solved directly."""
    rows, columns = hidden.shape
    places = {tuple(place): number for number, place in enumerate(np.argwhere(hidden))}
    system, right = lil_matrix((len(places), len(places))), np.zeros(len(places))
    for (row, column), number in places.items():
        for down in (-1, 0, 1):
            for across in (-1, 0, 1):
                other = row + down, column + across
                if (down, across) == (0, 0) or not (0 <= other[0] < rows and 0 <= other[1] < columns):
                    continue
                weight = 1.0 / (down**2 + across**2)
                system[number, number] += weight
                if other in places:
                    system[number, places[other]] -= weight
                else:
                    right[number] += weight * image[other]
    solved = image.astype(np.float64).copy()
    solved[hidden] = spsolve(system.tocsr(), right)
    return solved


@pytest.fixture(params=["on the processor", "on a device"])
def solver(request, monkeypatch):
    """Both ways to solve the system, here."""
    if request.param == "on a device":
        monkeypatch.setattr(
            road,
            "_on_processor",
            lambda start, hidden: road._conjugate_gradients(
                road._neighbours(start[0]), start, hidden[:, None].to(start)
            ),
        )


@pytest.mark.usefixtures("solver")
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_road_solves_the_linear_system(share):
    random = np.random.default_rng(1)
    image = random.random((1, 32, 27)).astype(np.float32)
    hidden = random.random((3, 32, 27)) < share
    hidden[1, 4:29, 3:25] = True  # a large hole
    found = imputed(torch.from_numpy(image), torch.from_numpy(hidden), torch.zeros(1, 32, 27)).numpy()
    for one, mask in zip(found, hidden, strict=True):
        np.testing.assert_allclose(one[0], direct(image[0], mask), atol=1e-4)
        np.testing.assert_array_equal(one[0][~mask], image[0][~mask])


@pytest.mark.usefixtures("solver")
def test_road_is_right_inside_a_large_hole():
    image = np.random.default_rng(4).random((1, 80, 80)).astype(np.float32)
    image[0, :, :40] *= 0.1
    hidden = np.zeros((1, 80, 80), bool)
    hidden[0, 6:70, 6:74] = True
    found = imputed(torch.from_numpy(image), torch.from_numpy(hidden), torch.zeros(1, 80, 80)).numpy()
    np.testing.assert_allclose(found[0, 0], direct(image[0], hidden[0]), atol=1e-4)


@pytest.mark.usefixtures("solver")
def test_road_says_when_it_is_not_solved(monkeypatch):
    monkeypatch.setattr(road, "ROUNDS", 2)
    monkeypatch.setattr(road, "ROUNDS_A_PIXEL", 0)
    hidden = torch.from_numpy(np.random.default_rng(2).random((1, 12, 9)) < 0.7)
    with pytest.raises(MapError, match="not solved after [02] steps: an error of up to .* is left"):
        imputed(torch.from_numpy(IMAGE), hidden, torch.zeros(1, 12, 9))


def test_road_has_the_noise_of_the_case_and_a_mean_where_nothing_is_left():
    image = torch.from_numpy(IMAGE)
    noise = imputation_noise(image, 3, "a")
    assert torch.equal(noise, imputation_noise(image, 3, "a"))
    assert not torch.equal(noise, imputation_noise(image, 3, "b"))
    assert float(noise.std()) == pytest.approx(NOISE, rel=0.2)
    (all_hidden,) = imputed(image, torch.ones(1, 12, 9, dtype=bool), noise)
    torch.testing.assert_close(all_hidden, image.mean() + noise)
    (none_hidden,) = imputed(image, torch.zeros(1, 12, 9, dtype=bool), noise)
    assert torch.equal(none_hidden, image)


def test_an_image_is_imputed_alike_in_any_batch():
    hidden = torch.from_numpy(np.random.default_rng(2).random((5, 12, 9)) < 0.7)
    image, noise = torch.from_numpy(IMAGE), torch.zeros(1, 12, 9)
    whole = imputed(image, hidden, noise)
    for number in range(5):
        torch.testing.assert_close(
            imputed(image, hidden[number : number + 1], noise)[0], whole[number], atol=1e-5, rtol=0
        )


@pytest.mark.usefixtures("solver")
def test_road_knows_volumes():
    volume = torch.linspace(0, 1, 6)[None, :, None, None].expand(1, 6, 6, 6).contiguous()
    hidden = torch.zeros(1, 6, 6, 6, dtype=bool)
    hidden[0, 2:4, 2:4, 2:4] = True
    (found,) = imputed(volume, hidden, torch.zeros_like(volume))
    torch.testing.assert_close(found, volume, atol=1e-3, rtol=0)


@pytest.mark.usefixtures("solver")
def test_road_of_one_slice_thick_volumes_is_that_of_the_slice():
    image = np.random.default_rng(6).random((1, 20, 17)).astype(np.float32)
    hidden = np.random.default_rng(7).random((1, 20, 17)) < 0.6
    wanted = direct(image[0], hidden[0])
    for axis in (1, 2, 3):
        flat, holes = (torch.from_numpy(np.expand_dims(one, axis)) for one in (image, hidden))
        found = imputed(flat, holes, torch.zeros_like(flat)).numpy()
        np.testing.assert_allclose(found[0].squeeze(axis)[0], wanted, atol=1e-4)


@pytest.mark.usefixtures("solver")
def test_road_of_flat_volumes_and_single_pixels():
    ramp = torch.linspace(0, 1, 64).expand(1, 8, 64, 64).contiguous()
    hidden = torch.zeros(1, 8, 64, 64, dtype=bool)
    hidden[0, 2:6, 10:50, 20:40] = True
    torch.testing.assert_close(imputed(ramp, hidden, torch.zeros_like(ramp))[0], ramp, atol=1e-3, rtol=0)
    single = torch.full((1, 1, 1), 0.5)
    assert imputed(single, torch.ones(1, 1, 1, dtype=bool), torch.zeros(1, 1, 1)).item() == 0.5


@pytest.mark.usefixtures("solver")
def test_road_says_that_nan_is_no_solution():
    image = torch.from_numpy(IMAGE).clone()
    image[0, 5, 5] = torch.nan
    hidden = torch.zeros(1, 12, 9, dtype=bool)
    hidden[0, 4:7, 3:5] = True
    with pytest.raises(MapError, match="not solved"):
        imputed(image, hidden, torch.zeros(1, 12, 9))


@pytest.mark.usefixtures("solver")
def test_road_keeps_channels_and_masks_apart():
    random = np.random.default_rng(5)
    image = random.random((2, 20, 17)).astype(np.float32)
    hidden = random.random((3, 20, 17)) < 0.6
    hidden[2] = False
    found = imputed(torch.from_numpy(image), torch.from_numpy(hidden), torch.zeros(2, 20, 17)).numpy()
    for one, mask in zip(found, hidden, strict=True):
        for channel in range(2):
            np.testing.assert_allclose(one[channel], direct(image[channel], mask), atol=1e-4)


@given(st.sampled_from(["label", "mean", "blur", 0.25]), st.integers(0, 1), st.integers(0, 2**32 - 1))
def test_fills_touch_hidden_pixels_only(fill, label, seed):
    hidden = torch.from_numpy(np.random.default_rng(seed).random((3, 12, 9)) < 0.5)
    image = torch.from_numpy(IMAGE)
    made = imputer(fill, image, label)
    masked = made.fill(hidden)
    everything = torch.from_numpy(fill_image(fill, IMAGE, label))
    for one, mask in zip(masked, hidden, strict=True):
        assert torch.equal(one[:, ~mask], image[:, ~mask])
        assert torch.equal(one[:, mask], everything[:, mask])
    assert made.changes.shape == (108,)


def test_the_papers_fill_is_by_label_and_the_others_are_of_the_image():
    assert (fill_image("label", IMAGE, 1) == 0).all()
    assert (fill_image("label", IMAGE, 0) == 1).all()
    assert (fill_image(0.25, IMAGE, 3) == np.float32(0.25)).all()
    np.testing.assert_allclose(fill_image("mean", IMAGE, 3), IMAGE.mean(), rtol=1e-6)
    assert fill_image("blur", IMAGE, 3).std() < IMAGE.std()
    with pytest.raises(SettingsError, match="defined for the classes 0 and 1, the case is of class 2"):
        fill_image("label", IMAGE, 2)
    hounsfield = Intensity(hounsfield=(-160.0, 240.0))
    assert (fill_image("40 HU", IMAGE, 3, hounsfield) == np.float32(0.5)).all()
    assert (fill_image("-1000 HU", IMAGE, 3, hounsfield) == 0).all()
    assert (fill_image("label", IMAGE, 0, Intensity(-1.0, 3.0)) == 3).all()
    with pytest.raises(SettingsError, match="40 HU: which HU are black and white is not known"):
        fill_image("40 HU", IMAGE, 1)


@pytest.mark.parametrize("shape", [(2, 6, 5), (2, 3, 4, 5)])
def test_a_fill_in_hounsfield_units_is_of_each_channels_window(shape):
    image = np.random.default_rng(0).random(shape).astype(np.float32)
    lung, soft = Intensity(2.0, 4.0, (-1000.0, 400.0)), Intensity(2.0, 4.0, (-160.0, 240.0))
    both = Intensity(2.0, 4.0, ((-1000.0, 400.0), (-160.0, 240.0)))
    for fill in ("40 HU", "-1000 HU", "-500 HU", "900 HU"):
        made = fill_image(fill, image, 3, both)
        assert made.dtype == np.float32
        for channel, one in zip((0, 1), (lung, soft), strict=True):
            np.testing.assert_array_equal(made[channel], fill_image(fill, image, 3, one)[channel])
    assert fill_image("40 HU", image, 3, both)[1].max() == 3.0
    np.testing.assert_array_equal(fill_image("label", image, 0, both), 4.0)
    hidden = torch.ones((1, *shape[1:]), dtype=torch.bool)
    filled = imputer("40 HU", torch.from_numpy(image), 0, intensity=both).fill(hidden)[0]
    np.testing.assert_array_equal(filled.numpy(), fill_image("40 HU", image, 0, both))
    with pytest.raises(SettingsError, match="fill '40 HU': windows of 2 channels are known, and the image has 1"):
        fill_image("40 HU", image[:1], 3, both)


@pytest.mark.parametrize("fill", ["paint", "40", "40 hu", 7.0, -0.1])
def test_a_fill_that_is_none_is_refused_wherever_it_is_written(fill):
    words = "expected 'label', 'mean', 'blur', 'road', 'twin', a number from 0 .* or Hounsfield units"
    with pytest.raises(SettingsError, match=words):
        fill_image(fill, IMAGE, 1)
    for section in ({"metrics": {"fill": fill}}, {"vary": {"fills": [fill]}}):
        with pytest.raises(ValueError, match=f"{words}|a finite number"):  # files are refused NaN before any fill is
            StudySettings.model_validate({"name": "s", **section})


def test_a_fill_for_each_class_is_that_of_the_class():
    image = np.random.default_rng(0).random((2, 6, 6)).astype(np.float32)
    for fill in ((1.0, 0.0, "mean"), [1.0, 0.0, "mean"]):
        assert (fill_image(fill, image, 0) == 1).all()
        assert (fill_image(fill, image, 1) == 0).all()
        np.testing.assert_array_equal(fill_image(fill, image, 2), fill_image("mean", image, 2))
        with pytest.raises(SettingsError, match="3 fills, one a class, and the case is of class 3"):
            fill_image(fill, image, 3)
    for two in (0, 1):
        np.testing.assert_array_equal(fill_image((1.0, 0.0), image, two), fill_image("label", image, two))
    with pytest.raises(SettingsError, match="fill True"):
        parse_fill(True)
