"""Mean ranks, pairs, choices and metrics as charts of the page: what they draw is what the tables say."""

import re

import numpy as np
import pandas as pd
import pytest
from scipy.stats import rankdata

import synthetic_results as made
from tomolens.findings.printing import map_title, printed
from tomolens.report.charts import charts
from tomolens.report.metric_agreement import metric_fields
from tomolens.report.rank_chart import caption, moved, pairs_of

DROP = made.ERASING.numbers[0]


@pytest.fixture(scope="module")
def findings(tmp_path_factory):
    return made.write_study(tmp_path_factory.mktemp("ranks"), (*made.METRICS, made.PLANTED), varied=True)


def squares(drawing, mark):
    """Rows and columns of the fields of a kind."""
    path = re.search(rf'<path d="([^"]+)" class="pair-{mark}">', drawing)
    places = re.findall(r"M([\d.]+) ([\d.]+)h", path.group(1)) if path else []
    return {(float(y), float(x)) for x, y in places}


def test_every_two_maps_are_drawn_as_their_test_says(findings):
    drawn, found = charts(findings)["ranks-drop"], findings.critical_differences["drop"]
    (left, top), size = drawn.data["corner"], drawn.data["size"]
    table = findings.tables["pairs"]
    table = table[table["view"] == "drop"]
    expected = {"apart": set(), "means": set(), "alike": set()}
    for _, row in table.iterrows():
        ends = sorted(
            found.maps.index((row[one], row[form])) for one, form in (("estimator", "form"), ("other", "other_form"))
        )
        zero = row["ci_low"] <= 0 <= row["ci_high"]
        expected["apart" if row["p_holm"] < 0.05 else "alike" if zero else "means"].add((ends[1], ends[0]))
    assert len(expected["apart"]) > 0
    for mark, places in expected.items():
        at = {(int((y - top) // size), int((x - left) // size)) for y, x in squares(drawn.panels[0].drawing, mark)}
        assert at == places
    assert f"By the patients {len(expected['apart'])} of {len(table)} pairs are told apart" in caption(findings, DROP)
    assert "pairs are told apart" in drawn.panels[0].says


def test_a_pair_tells_which_map_is_better_and_by_how_much(findings):
    drawn, found = charts(findings)["ranks-drop"], findings.critical_differences["drop"]
    assert drawn.data["names"] == [map_title(findings, *key) for key in found.maps]
    means = findings.compared["drop"].resampled.point[0]
    numbers = dict(zip(findings.compared["drop"].maps, means, strict=True))
    for place, second in enumerate(found.maps):
        for before, said in zip(found.maps[:place], drawn.data["cells"][place], strict=True):
            better = max((before, second), key=lambda key: numbers[key])
            by = printed(DROP, abs(numbers[before] - numbers[second]))
            assert said.startswith(f"{map_title(findings, *better)} is better by {by} (95 % CI ")
            assert re.search(r"; p (= 0\.\d{3}|< 0\.001)$", said)


def test_where_lower_is_better_pairs_say_the_same(findings, tmp_path):
    turned = made.write_study(tmp_path, (made.lower(made.ERASING), *made.METRICS[1:], made.PLANTED), varied=True)
    lower, higher = (pairs_of(one, one.views["drop"]) for one in (turned, findings))
    assert {key: pair.mark for key, pair in lower.items()} == {key: pair.mark for key, pair in higher.items()}
    strip = re.compile(r"^(.+) is better by")
    for key, pair in lower.items():
        assert strip.match(pair.says).group(1) == strip.match(higher[key].says).group(1)


def test_mean_ranks_are_where_the_axis_says(findings):
    drawn, data = charts(findings)["ranks-drop"], findings.compared["drop"]
    ranks = dict(zip(data.maps, rankdata(-data.means, axis=1).mean(axis=0), strict=True))
    dots = re.findall(r'<circle cx="([\d.]+)" cy="[\d.]+" r="4.6" class="dot">', drawn.panels[0].drawing)
    keys = re.findall(r'data-map="([^"]+)"', drawn.panels[0].drawing)
    found = {tuple(key.split("/")): float(x) for key, x in zip(keys, dots, strict=True)}
    line = np.polyfit([ranks[key] for key in found], list(found.values()), 1)
    np.testing.assert_allclose(list(found.values()), np.polyval(line, [ranks[key] for key in found]), atol=0.02)
    assert [ranks[key] for key in found] == sorted(ranks.values())


def test_a_map_that_a_few_patients_lead_is_named(findings, monkeypatch):
    assert moved(findings, DROP) == ""  # made up so that means and patients agree
    means = findings.means["drop"].copy()
    last = findings.critical_differences["drop"].maps[-1]
    means.loc[(means["estimator"] == last[0]) & (means["form"] == last[1]), "value"] = 9.0
    monkeypatch.setitem(findings.means, "drop", means)
    count = len(findings.critical_differences["drop"].maps)
    said = f", as {map_title(findings, *last)} is number 1 by its mean and number {count} by its mean rank"
    assert moved(findings, DROP) == said
    assert said in caption(findings, DROP)


def test_every_option_has_its_mark(findings):
    drawn, table = charts(findings)["choices"], findings.tables["choices"]
    known = table[table["rank"].notna() & (table["choice"] != "direction")]
    assert [panel.title for panel in drawn.panels] == [f"rank by {v.judges.title}" for v in findings.views.values()]
    own = known["choice"] == "the study's own"
    for panel, view in zip(drawn.panels, findings.views, strict=True):
        rows = known[known["view"] == view]
        assert panel.drawing.count('class="sign ink-') == (~own[rows.index]).sum()
        assert panel.drawing.count('class="own"') == own[rows.index].sum()
        assert "nan" not in panel.drawing
    first = known[own & (known["view"] == "drop")].sort_values("rank").iloc[0]
    assert drawn.panels[0].says.startswith(f"{findings.description.titles[first['estimator']]} 1, over all options ")


def test_fields_of_two_metrics_say_their_tau(findings):
    drawn, found = charts(findings)["metrics"], metric_fields(findings)
    labels = {output.column: output.label for output in findings.description.outputs.values()}
    for _, row in findings.tables["metrics"].iterrows():
        ends = sorted(found.names.index(labels[row[end]] or row[end]) for end in ("first", "second"))
        said = drawn.data["cells"][ends[1]][ends[0]]
        assert said == ("not compared" if pd.isna(row["tau"]) else f"τ = {row['tau']:+.2f}")
        if not pd.isna(row["tau"]):
            assert found.taus[ends[0], ends[1]] == found.taus[ends[1], ends[0]] == row["tau"]
    assert re.match(r"\d+ measures\. Alike: .+\. Most apart: .+, τ = ", drawn.panels[0].says)


def test_without_patients_enough_no_pairs_are_drawn(tmp_path):
    drawn = charts(made.write_study(tmp_path, count=4))
    assert not any(name.startswith("ranks-") for name in drawn)
