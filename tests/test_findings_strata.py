import numpy as np
import pandas as pd
import pytest

import synthetic_results as made
from test_findings import QUICK, measurements, read
from tomolens.findings.strata import patients_table, strata_table

LABELS = [0, 1] * 6
PATIENTS = [f"p{i // 2}" for i in range(12)]
VIEWS = [made.INSIDE.numbers[0]]
VALUES = np.random.default_rng(0).random(12)


def studied(predicted=None, shares=None):
    rows = measurements(VALUES.tolist(), LABELS, PATIENTS, "share_inside")
    if predicted is not None:
        rows["predicted"] = predicted
    parts = [rows]
    if shares is not None:
        alone = rows.assign(estimator="", form="", metric="mask_share", value=shares)
        parts.append(alone)
    return read(*parts)


def of(table, stratum, value):
    return table[(table["stratum"] == stratum) & (table["of"] == value)].iloc[0]


def test_by_label_and_by_prediction():
    predicted = np.array(LABELS)
    predicted[:3] = 1 - predicted[:3]
    table = strata_table(studied(predicted.tolist()), VIEWS, QUICK)
    assert of(table, "label", "0")["value"] == pytest.approx(VALUES[::2].mean())
    assert of(table, "label", "1")["value"] == pytest.approx(VALUES[1::2].mean())
    assert of(table, "prediction", "wrong")["value"] == pytest.approx(VALUES[:3].mean())
    assert of(table, "prediction", "correct")["cases"] == 9
    assert of(table, "prediction", "wrong")["patients"] == 2
    assert not (table["stratum"] == "mask size").any()


def test_a_stratum_of_all_cases_is_not_repeated():
    table = strata_table(studied(), VIEWS, QUICK)
    assert set(table["stratum"]) == {"label"}


def test_by_thirds_of_the_masks_size():
    shares = np.linspace(0.01, 0.4, 12)
    table = strata_table(studied(shares=shares.tolist()), VIEWS, QUICK)
    for name, members in (("small", slice(0, 4)), ("middle", slice(4, 8)), ("large", slice(8, 12))):
        row = of(table, "mask size", name)
        assert row["cases"] == 4
        assert row["value"] == pytest.approx(VALUES[members].mean())


def test_by_patient():
    table = patients_table(studied(), VIEWS)
    assert len(table) == 6
    expected = pd.Series(VALUES).groupby(PATIENTS).mean()
    np.testing.assert_allclose(table.set_index("patient")["value"], expected)
    assert (table["cases"] == 2).all()
