"""Whether maps hold over the choices that were varied: gains under each option, solved by hand, and the check."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import synthetic_results as made
from test_findings import QUICK, measurements
from tomolens.findings import Findings
from tomolens.findings.measured import read_measured
from tomolens.findings.over_choices import option_gains_table
from tomolens.findings.verdict import Check
from tomolens.results.rows import CALIBRATION, NETWORK, SCHEMA
from tomolens.results.store import Store

WITH_TRUTH = made.description(estimators=(*made.ESTIMATORS, made.TRUTH_MAP))
LABELS, PATIENTS = [0, 1] * 8, [f"p{i}" for i in range(16)]
BLIND = {"edges-only": 0.4, "mask-atlas": 0.5}
MAPS = {"slope": 0.9, "steep-slope": 0.7}


def rows_of(values, form, option=("", "")):
    return [
        measurements([value] * 16, LABELS, PATIENTS, "drop", name, form, choice=option)
        for name, value in values.items()
    ]


def gains(*rows, lower=False, can_judge="yes"):
    """By option and map: gain, blind map and whether the view can judge maps under the option."""
    view = made.lower(made.ERASING).outputs[0] if lower else made.ERASING.outputs[0]
    frame = pd.concat(rows).sort_values("index", kind="stable", ignore_index=True)
    if lower:
        frame["value"] = -frame["value"]
    table = pa.Table.from_pandas(frame, schema=SCHEMA, preserve_index=False)
    measured = read_measured([table], WITH_TRUTH)
    found = option_gains_table(measured, [view], WITH_TRUTH, {"drop": can_judge}, QUICK, 0.95, 0.0)
    return {
        (row["option"], row["estimator"]): (pytest.approx(row["gain"]), row["baseline"], row["can_judge"])
        for _, row in found.iterrows()
    }


@pytest.mark.parametrize("lower", [False, True])
def test_what_changes_a_map_leaves_the_blind_ones_what_they_are(lower):
    own = rows_of(MAPS, "absolute") + rows_of(BLIND, "original")
    found = gains(*own, *rows_of({"slope": 0.2}, "absolute", ("noise", "much")), lower=lower)
    assert found == {("much", "slope"): (-0.3, "mask-atlas", "yes")}
    assert gains(*own, *rows_of({"slope": 0.2}, "absolute", ("noise", "much")), can_judge="no") == {
        ("much", "slope"): (-0.3, "mask-atlas", "no")
    }


def test_what_changes_a_view_measures_the_blind_maps_again():
    own = rows_of(MAPS, "absolute") + rows_of({**BLIND, "the-truth": 1.0}, "original")
    option = ("fill", "blur")
    under = rows_of({"slope": 0.3}, "absolute", option) + rows_of({"edges-only": 0.1}, "original", option)
    # The atlas has no number under it, and its own, of another view, does not stand for it; neither does steep-slope's.
    assert gains(*own, *under) == {("blur", "slope"): (0.2, "edges-only", "not controlled")}
    known = rows_of({"the-truth": 0.6}, "original", option)
    assert gains(*own, *under, *known) == {("blur", "slope"): (0.2, "edges-only", "yes")}
    below = rows_of({"the-truth": 0.05}, "original", option)
    assert gains(*own, *under, *below) == {("blur", "slope"): (0.2, "edges-only", "no")}


@pytest.mark.parametrize("choice", [CALIBRATION, NETWORK, "class"])
def test_other_cases_networks_and_classes_are_no_choices(choice):
    own = rows_of(MAPS, "absolute") + rows_of(BLIND, "original")
    assert gains(*own, *rows_of({"slope": 0.2}, "absolute", (choice, "one"))) == {}
    assert gains(*own) == {}


def varied(folder, **options):
    """A study whose maps were measured under options too, each a share of its own number."""
    findings = made.write_study(folder)
    rows = findings.measurements
    drop = rows[(rows["metric"] == "drop") & rows["form"].isin(["absolute"])]
    more = []
    for option, share in options.items():
        changed = drop[~drop["estimator"].isin(["noise"])].assign(choice="noise", option=option)
        more.append(changed.assign(value=changed["value"] * share))
    store = Store(folder)
    whole = pd.concat([rows, *more]).sort_values("index", kind="stable", ignore_index=True)
    for file in store.shards.folder.glob("*"):
        file.unlink()
    store.shards.write([pa.Table.from_pandas(whole[SCHEMA.names], schema=SCHEMA, preserve_index=False)], range(24))
    return Findings.from_folder(folder)


@pytest.mark.parametrize(
    ("options", "state", "reason"),
    [
        ({"a": 1.0, "b": 0.9}, "passed", "least under noise b, of 2 options"),
        ({"a": 0.9, "b": 0.2, "c": 0.1}, "failed", "worst under noise c, of 3 options"),
        ({"a": 0.45 / 0.7, "b": 1.0}, "not assessed", "cannot be told under noise a, of 2 options"),
    ],
)
def test_the_option_that_decides_is_named(tmp_path, options, state, reason):
    verdict = varied(tmp_path / "s", **options).verdict
    (card,) = [card for card in verdict.cards if card.estimator == "steep-slope"]
    (check,) = card.of("choices")
    assert (check.state, check.view, check.reason) == (state, "drop", reason)
    assert check.gain == pytest.approx(check.value - check.against_value)
    assert check.interval[0] < check.gain < check.interval[1]
    assert (check.against, check.cases, check.patients) == ("mask-atlas", 24, 24)
    assert card.believed  # it stands beside, and is not asked for


def test_a_view_that_cannot_judge_is_not_asked(tmp_path, monkeypatch):
    findings = varied(tmp_path / "s", a=0.1)
    table = findings.tables["option_gains"].assign(can_judge="no")
    changed = replace(findings)
    monkeypatch.setitem(changed.tables, "option_gains", table)
    (check,) = changed.verdict.cards[0].of("choices")
    assert check == Check("choices", "not assessed", "drop", reason="under no option this view can judge maps here")


def test_gains_of_constants_have_no_width():
    own = rows_of(MAPS, "absolute") + rows_of(BLIND, "original")
    rows = pd.concat([*own, *rows_of({"slope": 0.2}, "absolute", ("noise", "much"))])
    table = pa.Table.from_pandas(
        rows.sort_values("index", kind="stable", ignore_index=True), schema=SCHEMA, preserve_index=False
    )
    measured = read_measured([table], WITH_TRUTH)
    found = option_gains_table(measured, [made.ERASING.outputs[0]], WITH_TRUTH, {"drop": "yes"}, QUICK, 0.95, 0.0)
    np.testing.assert_allclose(found[["ci_low", "ci_high"]], -0.3)
