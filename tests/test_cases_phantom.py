from typing import get_args

import numpy as np
import pytest
from scipy.ndimage import binary_dilation

from tomolens.cases import Preprocessing, phantom
from tomolens.cases.phantom import findings
from tomolens.cases.phantom.anatomy import paint
from tomolens.cases.phantom.drawing import Canvas
from tomolens.cases.phantom.findings import Finding, aerated, paint_finding, window_of
from tomolens.cases.phantom.markers import Marker
from tomolens.cases.phantom.measures import draw_body
from tomolens.errors import SettingsError
from tomolens.randomness import generator


def test_the_same_seed_and_index_give_the_same_phantom():
    first, second = phantom.draw(4, 7), phantom.draw(4, 7)
    np.testing.assert_array_equal(first.hu, second.hu)
    np.testing.assert_array_equal(first.mask, second.mask)
    assert not np.array_equal(first.hu, phantom.draw(4, 8).hu)
    assert not np.array_equal(first.hu, phantom.draw(5, 7).hu)


@pytest.mark.parametrize("index", range(12))
def test_twins_differ_only_where_blood_or_heart_muscle_is(index):
    drawn = phantom.draw(0, index)
    difference = drawn.hu[1] - drawn.hu[0]
    assert difference.min() > -1e-3
    assert (difference[drawn.mask] > 50).mean() > 0.9
    assert (difference > 60)[~drawn.mask].mean() < 0.02
    assert 0.01 < drawn.mask.mean() < 0.2
    assert drawn.label == index % 2
    np.testing.assert_array_equal(drawn.image, drawn.hu[drawn.label])
    np.testing.assert_array_equal(drawn.twin, drawn.hu[1 - drawn.label])


def test_tissue_has_the_hounsfield_units_of_tissue():
    plain, enhanced, lung = [], [], []
    for index in range(20):
        drawn = phantom.draw(1, index)
        plain.append(np.median(drawn.hu[0][drawn.mask]))
        enhanced.append(np.median(drawn.hu[1][drawn.mask]))
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


MASKED = [4620, 2815, 3444, 2730, 3174, 3525, 3850, 2219]
MEANS = [-563.9333, -654.1373, -526.2929, -672.5158, -590.7423, -595.6149, -506.0797, -728.4933]
FINDINGS = [finding for finding in get_args(Finding) if finding != "contrast"]


@pytest.mark.parametrize("finding", FINDINGS)
def test_twins_differ_only_where_the_finding_is(finding):
    for index in range(12):
        drawn = phantom.draw(6, index, finding=finding)
        difference = np.abs(drawn.hu[1] - drawn.hu[0])
        assert drawn.mask.any()
        assert difference[~binary_dilation(drawn.mask, iterations=5)].max() < 0.01
        assert difference[drawn.mask].mean() > 20
        np.testing.assert_array_equal(drawn.hu, phantom.draw(6, index, finding=finding).hu)


@pytest.mark.parametrize("finding", ["nodule", "consolidation", "emphysema"])
def test_findings_of_the_lung_lie_where_air_was(finding):
    for index in range(12):
        drawn = phantom.draw(7, index, finding=finding)
        assert np.median(drawn.hu[0][drawn.mask]) < -700
        assert (drawn.hu[0][drawn.mask] < -500).mean() > 0.7


def test_findings_have_the_sizes_and_densities_they_are_said_to_have():
    def changes(finding):
        drawn = [phantom.draw(8, index, finding=finding) for index in range(40)]
        area = [one.mask.sum() * one.spacing**2 for one in drawn]
        change = [float((one.hu[1] - one.hu[0])[one.mask].mean()) for one in drawn]
        return np.array(area), np.array(change)

    area, change = changes("nodule")
    assert np.pi * 1.5**2 < area.min()
    assert area.max() < np.pi * 10.5**2
    assert 0.15 < (change < 450).mean() < 0.6, "about a third are ground glass"
    _, change = changes("calcification")
    assert change.min() > 20
    _, change = changes("consolidation")
    assert change.min() > 500
    _, change = changes("lesion")
    assert -80 < change.min()
    assert change.max() < -20


def test_emphysema_is_a_texture_of_the_same_mean():
    for index in range(12):
        drawn = phantom.draw(9, index, finding="emphysema")
        without, with_it = (layer[drawn.mask] for layer in drawn.hu)
        assert abs(with_it.mean() - without.mean()) < 2
        lung = without < -700
        assert with_it[lung].std() ** 2 > without[lung].std() ** 2 + 20**2


def test_nodules_lie_anywhere_in_both_lungs():
    centres = []
    for index in range(60):
        drawn = phantom.draw(10, index, finding="nodule")
        centres.append(np.argwhere(drawn.mask).mean(axis=0) * drawn.spacing)
    rows, columns = np.array(centres).T
    assert rows.std() > 20
    assert columns.std() > 50


def test_contrast_agent_is_no_clue_to_a_finding():
    drawn = [phantom.draw(11, index, finding="nodule") for index in range(60)]
    contrast = [phantom.draw(11, index) for index in range(60)]
    blood = np.array([np.median(one.hu[0][other.mask]) > 100 for one, other in zip(drawn, contrast, strict=True)])
    label = np.arange(60) % 2 == 1
    assert 0.3 < blood[label].mean() < 0.7
    assert 0.3 < blood[~label].mean() < 0.7


def test_cases_without_the_finding_have_a_twin_and_neither_mask_nor_evidence():
    cases = phantom.cases(4, seed=2, preprocessing=Preprocessing(size=64, window=(-1000, 400)), finding="consolidation")
    assert [case.mask is None for case in cases] == [True, False, True, False]
    assert [case.evidence is None for case in cases] == [True, False, True, False]
    assert all(np.abs(case.image - case.twin).max() > 0.3 for case in cases)
    np.testing.assert_array_equal(cases[1].evidence, np.abs(cases[1].image - cases[1].twin)[0])
    assert cases[1].evidence[cases[1].mask].mean() > 10 * cases[1].evidence[~cases[1].mask].mean()


def test_a_marker_goes_with_the_finding():
    marked = phantom.cases(4, marker="port", finding="nodule")
    assert [case.unmarked is None for case in marked] == [True, False, True, False]
    for case in marked:
        if case.label == 1:
            np.testing.assert_array_equal(case.evidence, np.abs(case.unmarked - case.twin)[0])
            assert case.evidence[case.mask].mean() > 0.1


def test_the_window_that_is_taken_by_itself_shows_every_finding():
    for finding in get_args(Finding):
        cases = phantom.cases(24, seed=3, finding=finding)
        assert all(case.evidence.max() > 0.03 for case in cases if case.label == 1), finding


def test_nothing_of_contrast_phantoms_depends_on_findings():
    """Values of before there were any."""
    drawn = [phantom.draw(0, index) for index in range(8)]
    assert [int(one.mask.sum()) for one in drawn] == MASKED
    means = [float(one.hu.mean(dtype=np.float64)) for one in drawn]
    np.testing.assert_allclose(means, MEANS, rtol=1e-6)


def painted(finding, count, seed):
    """Chests with contrast agent, which no scanner has touched: before, after, and the finding's share of a pixel."""
    for index in range(count):
        random = generator(seed, "test", index)
        canvas, body = Canvas(128, 350.0, 0.0, (0.0, 0.0)), draw_body(random)
        lungs = paint(canvas, body, random)
        canvas.hu[0] = canvas.hu[1]  # with contrast agent
        before = canvas.hu[1].copy()
        share = paint_finding(canvas, aerated(canvas, lungs), finding, random)
        yield before, canvas.hu[1], share


def test_ground_glass_hides_no_vessel():
    glass = 0
    for before, after, _ in painted("nodule", 80, 5):
        changed = before != after
        if after[changed & (before < -700)].max() < -390:
            glass += 1
            assert (after >= before).all()
            assert after[changed].max() < -390
    assert 15 < glass < 40


def test_calcium_is_brighter_than_the_blood_around_it():
    for before, after, share in painted("calcification", 60, 12):
        assert (after >= before).all()
        blood = (before > 30) & (before < 401) & (share > 0)
        # What a pixel half of calcium, half of blood gains is half of it.
        assert ((after - before)[blood] > 149 * share[blood]).mean() > 0.95


@pytest.mark.parametrize("finding", FINDINGS)
def test_a_case_with_the_finding_has_a_mask_at_every_size(finding):
    for index in range(1, 121, 2):
        assert phantom.draw(13, index, 64, finding=finding).mask.any()
    for size in (32, 64, (48, 96)):
        cases = phantom.cases(40, 13, preprocessing=Preprocessing(size, window_of(finding)), finding=finding)
        for case in cases:
            if case.label == 1:
                assert case.mask.any()
                assert case.evidence[case.mask].max() > 0.3 * case.evidence.max()


def test_emphysema_has_its_spread_at_several_places():
    centres, spreads = [], []
    for index in range(80):
        drawn = phantom.draw(14, index, finding="emphysema")
        without, with_it = (layer[drawn.mask] for layer in drawn.hu)
        assert (without < -500).mean() > 0.98, "the vessels are spared"
        spreads.append(float((with_it - without).std()))
        centres.append(np.argwhere(drawn.mask).mean(axis=0) * drawn.spacing)
    assert min(spreads) > 20
    assert max(spreads) < 70
    assert np.std(centres, axis=0).min() > 12


def test_emphysema_fits_at_more_places_than_one(monkeypatch):
    places, place = [], findings._place

    def counted(depth, margin, *rest):
        places.append(int((depth >= margin).sum()))
        return place(depth, margin, *rest)

    monkeypatch.setattr(findings, "_place", counted)
    for index in range(80):
        phantom.draw(14, index, finding="emphysema")
    assert min(places) > 10


def test_a_finding_has_the_diameters_that_are_asked_for():
    for index in range(40):
        drawn = phantom.draw(15, index, finding="nodule", finding_mm=(12.0, 16.0))
        area = drawn.mask.sum() * drawn.spacing**2
        assert 0.8 * np.pi * 5.5**2 < area < np.pi * 8.8**2


def test_a_finding_of_another_name_is_refused():
    for make in (
        lambda: phantom.cases(2, finding="tumour"),
        lambda: phantom.draw(0, 1, finding="tumour"),
        lambda: phantom.PhantomReader(0, Preprocessing(), finding="tumour"),
    ):
        with pytest.raises(SettingsError, match="finding 'tumour': simulated cases know contrast, nodule"):
            make()


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(SettingsError, match="count -1: simulated cases are counted from 0"):
        phantom.cases(-1)
    with pytest.raises(SettingsError, match="first -2"):
        phantom.cases(1, first=-2)
    with pytest.raises(SettingsError, match=r"finding_mm \[8, 20\]: contrast agent has no size"):
        phantom.cases(1, finding_mm=(8, 20))
    for diameters in ((20.0, 4.0), (0.0, 4.0), (4.0, 1000.0), (float("nan"), 4.0)):
        with pytest.raises(SettingsError, match="expected the least diameter and the largest"):
            phantom.draw(0, 1, finding="nodule", finding_mm=diameters)
