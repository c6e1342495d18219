"""What a study keeps of its cases for the page: the order in which the network saw pixels go, and what it said."""

import numpy as np

from quick_study import SETTINGS, no_figures, quick_study
from tomolens.report import write
from tomolens.results.store import Store


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
