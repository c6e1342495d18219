"""What a metric of one's own yields must be what it declares; else it costs its own rows, and a row says why."""

import re
from dataclasses import replace

import numpy as np
import pytest

from test_metrics_contract import evaluand
from tomolens.declarations import Declaration, Output
from tomolens.metrics.metric import Metric
from tomolens.metrics.registry import METRICS
from tomolens.results.rows import NOT_ASSESSED
from tomolens.study.measure import measured

KEYS = [("one", "original"), ("one", "absolute"), ("two", "original")]


def metric_of(*readings):
    declaration = Declaration("own", (Output("number"), Output("curve", curve=True)))
    return Metric(declaration, lambda evaluand: iter(readings))


@pytest.mark.parametrize(
    ("readings", "message"),
    [
        ([(KEYS[0], "typo", 1.0)], "'typo' of one/original is no declared output of a map of the case"),
        ([(("nobody", "original"), "number", 1.0)], "'number' of nobody/original is no declared output"),
        ([(KEYS[0], "number", np.inf)], "is infinite"),
        ([(KEYS[0], "number", np.zeros(3))], r"has shape \(3,\)"),
        ([(KEYS[0], "curve", 1.0)], r"has shape \(\)"),
        ([(KEYS[0], "curve", np.zeros(4)), (KEYS[1], "curve", np.zeros(2))], "2 points of one/absolute, and 4 of"),
    ],
)
def test_what_is_not_declared_costs_the_metrics_rows(monkeypatch, readings, message):
    monkeypatch.setitem(METRICS, "own", metric_of(*readings))
    (row,) = measured("own", evaluand())
    assert row.metric == NOT_ASSESSED
    assert re.search(message, row.note)


def test_what_is_declared_is_kept(monkeypatch):
    readings = [(key, name, value) for key in KEYS for name, value in (("number", 0.5), ("curve", np.arange(3.0)))]
    monkeypatch.setitem(METRICS, "own", metric_of(*readings, (KEYS[0], "number", float("nan"))))
    rows = measured("own", evaluand())
    assert [row.curve for row in rows if row.metric == "curve"] == [(0.0, 1.0, 2.0)] * 3
    assert [row.value for row in rows if row.metric == "number"][:3] == [0.5] * 3
    lacking = replace(metric_of(*readings), needs=frozenset({"mask"}))
    monkeypatch.setitem(METRICS, "own", lacking)
    assert measured("own", replace(evaluand(), mask=None)) == []
