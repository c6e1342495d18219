"""Shares of a map in structures and in tissues, by hand; and what findings and page make of them."""

import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import synthetic_results as made
from test_metrics_contract import evaluand, measured
from tomolens.cases.tissue import BANDS, tissue_of
from tomolens.declarations import OTHER_STRUCTURES, Breakdown, Declaration, Output, Side
from tomolens.findings.bootstrap import Resampling
from tomolens.findings.breakdowns import breakdown_table
from tomolens.findings.measured import Curves
from tomolens.metrics.anatomy import ANATOMY, TISSUE, shares_of
from tomolens.metrics.ranked import rank_map
from tomolens.report.breakdowns import EVEN, MOST_PARTS, rows, shown
from tomolens.report.charts import charts
from tomolens.report.sections import sections
from tomolens.report.write import write_report
from tomolens.results.description import Description, as_json
from tomolens.results.store import Store

KEY = ("one", "original")
PARTS = np.array([0, 0, 1, 2])


@pytest.mark.parametrize(
    ("scores", "wanted"),
    [
        ([1.0, 3.0, 4.0, 0.0], [0.5, 0.5, 0.0]),
        ([2.0, 2.0, 2.0, 2.0], [0.5, 0.25, 0.25]),  # ties: an even map has the parts' areas
        ([-1.0, 3.0, -5.0, 1.0], [0.75, 0.0, 0.25]),  # what is below 0 takes nothing away
        ([0.0, 0.0, 0.0, 0.0], [np.nan] * 3),
        ([-1.0, -2.0, -3.0, -4.0], [np.nan] * 3),
        ([1e-320, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0]),
    ],
)
def test_shares_by_hand(scores, wanted):
    np.testing.assert_array_equal(shares_of(np.array(scores), PARTS, 3), wanted)


def given(values, anatomy, structures, body=None, tissue=None):
    """A case of one map ``(C, *spatial)``."""
    values = np.asarray(values, dtype=float)
    spatial = values.shape[1:]
    return replace(
        evaluand(),
        rankings={KEY: rank_map(values)},
        anatomy=np.asarray(anatomy),
        structures=structures,
        body=np.ones(spatial, bool) if body is None else np.asarray(body),
        tissue=np.zeros(spatial, np.uint8) if tissue is None else np.asarray(tissue, np.uint8),
    )


def numbers(metric, case):
    return {name: value for _, name, value in metric.measure(case)}


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("volume", [False, True])
def test_every_structure_the_rest_and_the_outside_by_hand(channels, volume):
    # Pixels: heart, heart, lung, nothing, outside of the body, and a lung's pixel that is not told as body.
    plane = [[4.0, -1.0, 2.0], [-3.0, 2.0, 0.0]]
    anatomy, body = [[2, 2, 1], [0, 0, 1]], [[1, 1, 1], [1, 0, 0]]
    values = np.array([plane] + [np.zeros_like(plane)] * (channels - 1))
    values[0] -= values[1:].sum(axis=0)
    if volume:
        values, anatomy, body = (np.stack([one] * 2, axis=-3) for one in (values, anatomy, np.array(body)))
    found = numbers(ANATOMY, given(values, anatomy, ("lung", "heart", "liver"), np.array(body, bool)))
    np.testing.assert_allclose(found["anatomy_positive"], [2 / 8, 4 / 8, 0, 0, 2 / 8])
    np.testing.assert_allclose(found["anatomy_negative"], [0, 1 / 4, 0, 3 / 4, 0])
    areas = [2 / 6, 2 / 6, 0, 1 / 6, 1 / 6]
    np.testing.assert_allclose(found["anatomy_positive_area"], areas)
    np.testing.assert_allclose(found["anatomy_negative_area"], areas)


def test_channels_are_one_map_before_they_are_told_apart_by_sign():
    values = [[[3.0, -1.0]], [[-1.0, -1.0]]]
    found = numbers(ANATOMY, given(values, [[1, 2]], ("left", "right")))
    np.testing.assert_allclose(found["anatomy_positive"], [1, 0, 0, 0])
    np.testing.assert_allclose(found["anatomy_negative"], [0, 1, 0, 0])


def test_a_map_without_a_sign_has_no_shares_and_no_areas_of_it():
    for values, empty in ((-np.ones((1, 2, 2)), "positive"), (np.ones((1, 2, 2)), "negative")):
        found = numbers(TISSUE, given(values, np.zeros((2, 2), int), (), tissue=[[0, 4], [4, 6]]))
        assert np.isnan(found[f"tissue_{empty}"]).all()
        assert np.isnan(found[f"tissue_{empty}_area"]).all()
        other = "negative" if empty == "positive" else "positive"
        np.testing.assert_allclose(found[f"tissue_{other}"], [0.25, 0, 0, 0, 0.5, 0, 0.25, 0])
    nothing = numbers(TISSUE, given(np.zeros((1, 2, 2)), np.zeros((2, 2), int), ()))
    assert all(np.isnan(value).all() for value in nothing.values())


def test_tissue_is_of_the_body_and_the_rest_is_outside():
    case = given([[[1.0, 1.0, 2.0]]], [[0, 0, 0]], (), np.array([[True, True, False]]), [[1, 4, 0]])
    np.testing.assert_allclose(numbers(TISSUE, case)["tissue_positive"], [0, 0.25, 0, 0, 0.25, 0, 0, 0.5])


def test_bands_have_the_densities_of_what_they_are_called():
    told = {-1000: "air", -850: "lung", -300: "dense lung or edge", -100: "fat", 0: "soft tissue", 50: "soft tissue"}
    told |= {250: "enhanced blood or spongy bone", 1000: "dense bone or metal", 3071: "dense bone or metal"}
    names = [band.name for band in BANDS]
    assert {hu: names[tissue_of(np.array([hu]))[0]] for hu in told} == told
    edges = [band.below for band in BANDS[:-1]]
    assert tissue_of(np.array(edges)).tolist() == list(range(1, len(BANDS)))  # an end is of the next band
    assert tissue_of(np.nextafter(edges, -np.inf)).tolist() == list(range(len(BANDS) - 1))


@pytest.mark.parametrize("name", ["anatomy", "tissue"])
@pytest.mark.parametrize("spatial", [(24, 24), (10, 12, 14)])
def test_shares_add_up_to_one(name, spatial):
    for (_, output), value in measured(name, spatial=spatial).items():
        assert value.sum() == pytest.approx(1.0), output


def test_names_of_structures_are_declared_when_a_study_knows_them():
    told = ANATOMY.declared(("lung", "heart")).breakdown
    assert told.parts == ("lung", "heart", "rest of the body", "outside the body")
    assert TISSUE.declared(("lung",)) is TISSUE.declaration
    raw = made.description((ANATOMY.declared(("lung",)),)).raw
    assert Description(raw).metrics[0].breakdown.parts[0] == "lung"
    older = {**raw, "metrics": [{k: v for k, v in as_json(one).items() if k != "breakdown"} for one in made.METRICS]}
    assert [one.breakdown for one in Description(older).metrics] == [None] * len(made.METRICS)


def breaking(count):
    parts = (*(f"part {place}" for place in range(count)), "the rest")
    curves = [Output(name, name, better=None, curve=True, intervals=True) for name in ("up", "up_area", "down")]
    sides = (Side("positive", "up", "up_area"), Side("negative", "down", "down_area"))
    told = Breakdown("places", parts, sides, "Where <they> are", "In {part}.")
    return Declaration(
        "placing", (*curves, Output("down_area", "x", better=None, curve=True, intervals=True)), breakdown=told
    )


def test_enrichment_is_share_over_area_of_the_same_cases(tmp_path):
    declared = breaking(made.STEPS)
    findings = made.write_study(tmp_path, (*made.METRICS, declared))
    table = findings.table("places")
    rows_ = findings.measurements
    for name, sign, curve, area in (("slope", "positive", "up", "up_area"), ("noise", "negative", "down", "down_area")):
        own = rows_[(rows_["estimator"] == name) & (rows_["form"] == "original")]
        shares, areas = (np.stack(own["curve"][own["metric"] == one].tolist()).mean(axis=0) for one in (curve, area))
        found = table[(table["estimator"] == name) & (table["sign"] == sign) & table["form"].isin(["original", "both"])]
        assert found["part"].tolist() == list(declared.breakdown.parts)
        np.testing.assert_allclose(found["share"], shares)
        np.testing.assert_allclose(found["area"], areas)
        wanted = [share / area if area else np.nan for share, area in zip(shares, areas, strict=True)]
        np.testing.assert_allclose(found["enrichment"], wanted)
        inside = found["share_ci_low"].le(found["share"]) & found["share"].le(found["share_ci_high"])
        assert inside.all()
    assert not set(table["estimator"]) & findings.description.baselines
    assert set(table["cases"]) == {24}


def test_a_part_that_few_have_has_no_interval_and_one_that_none_has_no_number():
    patients = 10
    shares, areas = np.zeros((1, patients, 3)), np.zeros((1, patients, 3))
    shares[0, :, 0], areas[0, :, 0] = 1.0, 0.5
    shares[0, 0], areas[0, 0] = [0.8, 0.2, 0.0], [0.4, 0.1, 0.0]
    groups, counts = np.arange(patients), np.ones((1, patients))
    curves = {"up": Curves(groups, shares, counts), "up_area": Curves(groups, areas, counts)}
    owners = pd.DataFrame({"patient": [f"p{place}" for place in range(patients)], "label": 0})
    few = SimpleNamespace(maps=(KEY,), curves=curves, groups=owners)
    told = Breakdown("places", ("most", "few", "none"), (Side("positive", "up", "up_area"),), "")
    table = breakdown_table(few, told, Resampling(200)).set_index("part")
    assert table.loc["most", "enrichment"] == pytest.approx(2.0)
    assert table.loc["most", "enrichment_ci_low"] == pytest.approx(2.0)
    assert table.loc["few", "enrichment"] == pytest.approx(2.0)
    assert table["enrichment_ci_low"].isna().tolist() == [False, True, True]
    assert table["enrichment"].isna().tolist() == [False, False, True]


@pytest.mark.parametrize("window", [1, 8])
def test_the_page_shows_them_and_joins_the_least(tmp_path, window):
    findings = made.write_study(tmp_path, (*made.METRICS, breaking(made.STEPS)))
    told = findings.description.metrics[-1].breakdown
    found = shown(findings, told)
    assert len(found.parts) == MOST_PARTS + 1
    assert OTHER_STRUCTURES in found.parts
    assert len(set(found.parts.values())) == len(found.parts)
    columns, made_rows = rows(findings, told)
    assert made_rows[0][0] == EVEN
    assert {len(row) for row in made_rows} == {len(columns)}
    assert {row[2] for row in made_rows[1:]} == {"positive", "negative"}
    (section,) = (one for one in sections(findings) if one.title == told.heading)
    assert section.charts[0][0] == "places"
    drawn = charts(findings)["places"]
    assert [part for _, _, part in drawn.legend] == list(found.parts)
    begins = [float(one) for panel in drawn.panels for one in re.findall(r'<rect[^>]* x="([0-9.]+)%"', panel.drawing)]
    assert min(begins) < 50 <= max(begins)  # negative values to the left of the middle, positive to the right
    if window == 1:
        return
    write_report(findings, Store(tmp_path), lambda *_: None)
    assert (tmp_path / "tables" / "places.csv").read_text().startswith("estimator,form,sign,part,share")
    assert "Where &lt;they&gt; are" in (tmp_path / "report.html").read_text()


def test_a_study_without_anything_to_tell_has_no_section(tmp_path):
    findings = made.write_study(tmp_path, made.METRICS)
    raw = {**findings.description.raw, "metrics": [as_json(one) for one in (*made.METRICS, breaking(3))]}
    empty = replace(findings, description=Description(raw))
    assert empty.table("places").empty
    assert "places" not in charts(empty)
