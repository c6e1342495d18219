import numpy as np
import torch
from torch.nn import functional

from tomolens.cases.preprocessing import Preprocessing, resize_image, resize_mask, window


def test_window_maps_its_limits_to_zero_and_one():
    np.testing.assert_allclose(window(np.array([-1000.0, -160, 40, 240, 3000]), (-160, 240)), [0, 0, 0.5, 1, 1])


def test_resize_is_torchs_antialiased_bilinear():
    image = np.random.default_rng(0).random((61, 47), dtype=np.float32)
    wanted = functional.interpolate(torch.from_numpy(image)[None, None], (24, 24), mode="bilinear", antialias=True)
    np.testing.assert_allclose(resize_image(image, 24), wanted[0, 0], atol=1e-6)


def test_volumes_resize_too():
    volume = np.ones((5, 7, 9), np.float32)
    assert Preprocessing(size=6).image(volume).shape == (1, 6, 6, 6)
    assert resize_mask(volume > 0, 6).all()


def test_mask_resize_is_nearest():
    mask = np.zeros((8, 8), bool)
    mask[2:4, 4:8] = True
    np.testing.assert_array_equal(resize_mask(resize_mask(mask, 16), 8), mask)
