"""What a study keeps of its cases for the page: the order in which the network saw pixels go, and what it said."""

from types import SimpleNamespace

import numpy as np
import pytest

from quick_study import SETTINGS, no_figures, quick_study
from tomolens.cases.geometry import Grid as VoxelGrid
from tomolens.cases.grid import Grid
from tomolens.cases.meta_tensor import AS_IT_IS
from tomolens.report import write
from tomolens.results.example import Example
from tomolens.results.gallery import read_gallery_case, write_gallery_case
from tomolens.results.store import Store
from tomolens.study.work import _small


def test_order_probability_and_blind_maps_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(write, "_figures", no_figures)
    study = quick_study(count=8)
    study.run(tmp_path / "out")
    cases = list(Store(tmp_path / "out").gallery())
    steps = SETTINGS["metrics"]["steps"]
    assert len(cases) == 8
    for case in cases:
        assert case.explained == case.predicted
        assert case.beside
        for key in {(name, "original") for name in case.beside} | set(case.maps):
            _, counts = np.unique(case.steps[key], return_counts=True)
            assert len(counts) == steps
            assert counts.max() - counts.min() <= 1
            assert case.correct[key].shape == (2, steps + 1)
            along = case.along[key]
            known = ~np.isnan(along)
            # Of two classes the explained one is decided where its probability is above one half.
            decided = (case.correct[key] == 1) == (case.label == case.explained)
            surely = known & (np.abs(along - 0.5) > 1e-3)
            np.testing.assert_array_equal((along > 0.5)[surely], decided[surely])
            assert known[:, 0].all()


def test_what_options_leave_is_not_shown_for_the_studys_own(tmp_path, monkeypatch):
    monkeypatch.setattr(write, "_figures", no_figures)
    options = {"score": False, "direction": False, "noise": [0.3], "steps": [], "fills": ["mean"], "regions": {}}
    quick_study(count=4).run(tmp_path / "plain")
    quick_study(count=4, vary=options).run(tmp_path / "varied")
    plain, varied = (list(Store(tmp_path / name).gallery()) for name in ("plain", "varied"))
    for one, other in zip(plain, varied, strict=True):
        assert one.along.keys() == other.along.keys()
        for key, curves in one.along.items():
            np.testing.assert_array_equal(other.along[key], curves)


@pytest.mark.parametrize(("axes", "upright"), [((2, 1, 0), True), ((2, 0, 1), False)])
def test_marks_of_sides_are_only_of_images_that_lie_so(tmp_path, axes, upright):
    affine = np.eye(4)
    affine[:3, :3] = np.eye(3)[:, list(axes)] @ np.diag([5.0, 0.8, 0.5])
    grid = Grid((8, 9), VoxelGrid((1, 8, 9), affine), AS_IT_IS, 0)
    example = Example("a", 0, 0, np.zeros((1, 8, 9), np.float32))
    plan = SimpleNamespace(metrics=SimpleNamespace(names=[], steps=8))
    evaluation = SimpleNamespace(rankings={}, planes={}, explained=0, along={}, measurements=[], fill=(0.5,))
    content = _small(SimpleNamespace(twin=None, grid=grid), example, evaluation, SimpleNamespace(plan=plan))
    write_gallery_case(tmp_path, 0, content)
    viewed = read_gallery_case(tmp_path / "00000000.npz")
    assert viewed.spacing == pytest.approx((0.8, 0.5))
    assert viewed.upright == upright
