"""What may be declared, and the areas of curves."""

from dataclasses import replace

import numpy as np
import pytest

from tomolens.declarations import Chart, CurveArea, Declaration, Output, View, require_distinct
from tomolens.errors import SettingsError
from tomolens.metrics.registry import METRICS
from tomolens.results.description import Description

ROC = METRICS["roc"].declaration


def test_what_is_registered_is_distinct():
    require_distinct([metric.declaration for metric in METRICS.values()])


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (Declaration("roc", (Output("x"),)), "metric 'roc' is declared twice"),
        (Declaration("own", (Output("auc"),)), "output 'auc' is declared twice"),
        (Declaration("own", (Output("auc_linear_height"),)), "output 'auc_linear_height' is declared twice"),
        (Declaration("own", (Output("x", view=View("auc", "x", "model")),)), "view 'auc' is declared twice"),
        (Declaration("own", (Output("x", view=View("mean", "x", "model")),)), "or is a word of the tables"),
        (Declaration("own", (), (replace(ROC.charts[0]),)), "chart 'roc' is declared twice"),
        (Declaration("a/b", (Output("x"),)), "metric 'a/b': expected a name without slashes"),
        (Declaration("own", (), (Chart("p/q", (), (0, 1), "", "", "", "x"),)), "chart 'p/q': expected a name"),
        (Declaration("own", (Output(" x"),)), "output ' x': expected a name"),
    ],
)
def test_names_that_collide_or_make_no_file_are_refused(other, message):
    with pytest.raises(SettingsError, match=message):
        require_distinct([ROC, other])


@pytest.mark.parametrize("options", [{"curve": True}, {"better": None}, {"better": "up"}])
def test_what_judges_maps_is_a_number_with_a_good_end(options):
    with pytest.raises(SettingsError, match="output 'x' judges maps: it must be a number"):
        Output("x", view=View("x", "x", "model"), **options)


def test_areas_by_hand_whichever_end_the_curve_begins_with():
    heights, widths = np.array([0.0, 0.5, 1.0]), np.array([0.0, 0.2, 0.6])
    trapezoid = CurveArea("a", "b", "c", "d", "h", "w", "trapezoid")
    wanted = 0.5 * 0.5 * 0.2 + 0.75 * 0.4 + 1.0 * 0.4
    assert trapezoid.area(heights, widths) == pytest.approx(wanted)
    assert trapezoid.area(heights[::-1], widths[::-1]) == pytest.approx(wanted)
    assert replace(trapezoid, rule="height").area(heights, widths) == pytest.approx(0.5)
    assert np.isnan(trapezoid.area(heights * np.nan, widths))


WHOLE = {
    "identity": "i",
    "format": 2,
    "estimators": [],
    "metrics": [],
    "content": {
        "settings": {"name": "n", "seed": 0, "statistics": {"resamples": 100, "confidence": 0.95}},
        "task": ["a", "b"],
        "cases": {"count": 1},
    },
}


def test_a_description_is_read_or_named():
    assert Description.read(WHOLE, "f").name == "n"
    for spoiled, message in (
        ([], "f: not a study's description"),
        ({**WHOLE, "format": 1}, "results of format 1, this version of TomoLens reads format 2"),
        ({**WHOLE, "format": "2"}, "results of format '2'"),
        ({name: one for name, one in WHOLE.items() if name != "metrics"}, "f: damaged .KeyError: 'metrics'"),
        ({**WHOLE, "content": {}}, "f: damaged"),
        ({**WHOLE, "estimators": [{"name": "x"}]}, "f: damaged .TypeError"),
        ({**WHOLE, "networks": [{}]}, "f: damaged .KeyError: 'fold'"),
    ):
        with pytest.raises(SettingsError, match=message):
            Description.read(spoiled, "f")
