from typing import get_args

import numpy as np
import pytest

from tomolens.cases import Preprocessing, phantom
from tomolens.cases.phantom.markers import Marker


def test_the_same_seed_and_index_give_the_same_phantom():
    first, second = phantom.draw(4, 7), phantom.draw(4, 7)
    np.testing.assert_array_equal(first.hu, second.hu)
    np.testing.assert_array_equal(first.blood, second.blood)
    assert not np.array_equal(first.hu, phantom.draw(4, 8).hu)
    assert not np.array_equal(first.hu, phantom.draw(5, 7).hu)


@pytest.mark.parametrize("index", range(12))
def test_twins_differ_only_where_blood_or_heart_muscle_is(index):
    drawn = phantom.draw(0, index)
    difference = drawn.hu[1] - drawn.hu[0]
    assert difference.min() > -1e-3
    assert (difference[drawn.blood] > 50).mean() > 0.9
    assert (difference > 60)[~drawn.blood].mean() < 0.02
    assert 0.01 < drawn.blood.mean() < 0.2
    assert drawn.label == index % 2
    np.testing.assert_array_equal(drawn.image, drawn.hu[drawn.label])
    np.testing.assert_array_equal(drawn.twin, drawn.hu[1 - drawn.label])


def test_tissue_has_the_hounsfield_units_of_tissue():
    plain, enhanced, lung = [], [], []
    for index in range(20):
        drawn = phantom.draw(1, index)
        plain.append(np.median(drawn.hu[0][drawn.blood]))
        enhanced.append(np.median(drawn.hu[1][drawn.blood]))
        lung.append(np.median(drawn.hu[0][(drawn.hu[0] > -950) & (drawn.hu[0] < -500)]))
    assert 30 < min(plain)
    assert max(plain) < 55
    assert 140 < min(enhanced)
    assert max(enhanced) < 405
    assert -900 < min(lung)
    assert max(lung) < -700


def test_cases_carry_mask_and_evidence():
    cases = phantom.cases(4, seed=2, preprocessing=Preprocessing(size=64))
    assert cases.labels.tolist() == [0, 1, 0, 1]
    assert len(set(cases.patients)) == 4
    case = cases[1]
    assert case.image.shape == (1, 64, 64)
    assert case.image.dtype == np.float32
    assert case.mask.shape == (64, 64)
    assert case.evidence[case.mask].mean() > 10 * case.evidence[~case.mask].mean()


@pytest.mark.parametrize("marker", get_args(Marker))
def test_a_marker_is_planted_in_one_class_and_changes_nothing_else(marker):
    preprocessing = Preprocessing(size=128)
    marked, plain = (phantom.cases(6, seed=3, preprocessing=preprocessing, marker=one) for one in (marker, None))
    for index in range(6):
        case = marked[index]
        np.testing.assert_array_equal(case.evidence, plain[index].evidence)
        if case.label == 0:
            assert case.unmarked is None
            np.testing.assert_array_equal(case.image, plain[index].image)
        else:
            np.testing.assert_array_equal(case.unmarked, plain[index].image)
            changed = (case.image != case.unmarked).any(axis=0)
            assert 0.0005 < changed.mean() < 0.02
            assert case.image[0][changed].mean() > case.unmarked[0][changed].mean() + 0.2


def test_ranges_of_one_seed_are_other_patients():
    assert not set(phantom.cases(5).patients) & set(phantom.cases(5, first=5).patients)
