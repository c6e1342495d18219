"""How far ranks move when a choice changes."""

import numpy as np
import pytest

import synthetic_results as made
from test_findings import QUICK, measurements, read
from tomolens.findings.choices import OWN, choices_table, concordance_over, rank_ranges_table
from tomolens.findings.tables import means_table, metric_table
from tomolens.results.rows import NOT_ASSESSED

LABELS, PATIENTS = [0, 1] * 8, [f"p{i}" for i in range(16)]
VALUES = {"a": (0.1, 0.9), "b": (0.5, 0.7), "c": (0.3, 0.5), "d": (0.9, 0.3)}
"""Of maps as they are and absolute, which rank otherwise."""


def rows_of(option, values, form="absolute", metric="drop"):
    return [
        measurements([value] * 16, LABELS, PATIENTS, metric, name, form, choice=option)
        for name, value in values.items()
    ]


def own(sign=1.0):
    forms = zip(("original", "absolute"), (0, 1), strict=True)
    return [
        row
        for form, at in forms
        for row in rows_of(("", ""), {name: sign * of[at] for name, of in VALUES.items()}, form)
    ]


def table_of(*rows, metric=made.ERASING):
    measured = read(*rows)
    means = {one.name: means_table(measured, one, QUICK) for one in metric.numbers}
    return choices_table(measured, [metric], means, {metric.name: metric_table(measured, metric, means)}, QUICK)


def test_an_option_that_changes_nothing_moves_no_rank():
    rows = own()
    for choice, option, at in (("direction", "paper", 0), ("noise", "sigma 0.3", 1), ("fill", "blur", 1)):
        values = {name: of[at] for name, of in VALUES.items()}
        rows += rows_of((choice, option), values, ("original", "absolute")[at])
    table = table_of(*rows)
    changed = table[~table["choice"].isin([OWN, "maps"])]
    assert len(changed) == 12
    assert (changed["moved"] == 0).all()
    still = rank_ranges_table(table[table["choice"] != "maps"])
    assert (still["lowest"] == still["rank"]).all()
    assert (still["highest"] == still["rank"]).all()
    assert set(still["moved_most_by"]) == {""}
    moved = rank_ranges_table(table).set_index("estimator")
    assert moved["moved"].to_dict() == {"a": 3, "b": 0, "c": 0, "d": 3}


@pytest.mark.parametrize("lower", [False, True])
def test_ranks_move_as_solved_by_hand(lower):
    sign = -1.0 if lower else 1.0
    metric = made.lower(made.ERASING) if lower else made.ERASING
    # Only a is measured again: it falls from the first rank to the last, and the others rise by one.
    table = table_of(*own(sign), *rows_of(("fill", "blur"), {"a": sign * 0.2}), metric=metric)
    blur = table[table["option"] == "blur"].set_index("estimator")
    assert blur["rank"].to_dict() == {"a": 4, "b": 1, "c": 2, "d": 3}
    assert blur["moved"].to_dict() == {"a": 3, "b": -1, "c": -1, "d": -1}
    ranges = rank_ranges_table(table[table["choice"] != "maps"]).set_index("estimator")
    assert ranges.loc["a", ["rank", "lowest", "highest", "moved_most_by", "option"]].tolist() == [
        1,
        1,
        4,
        "fill",
        "blur",
    ]


def test_an_estimator_that_failed_under_an_option_has_no_rank_there():
    failed = measurements([0.0] * 16, LABELS, PATIENTS, NOT_ASSESSED, "a", "", choice=("fill", "blur"))
    table = table_of(*own(), *rows_of(("fill", "blur"), {"b": 0.1}), failed)
    blur = table[table["option"] == "blur"].set_index("estimator")
    assert np.isnan(blur["rank"]["a"])
    assert blur["rank"].drop("a").to_dict() == {"b": 3, "c": 1, "d": 2}


def test_areas_of_mean_curves_are_options_of_what_they_stand_for():
    up, down = np.array([0.0, 1.0, 1.0]), np.array([0.0, 0.0, 1.0])
    rows, x = [], np.array([0.0, 0.5, 1.0])
    for name, value, heights in (("a", 0.9, down), ("b", 0.1, up)):
        rows.append(measurements([value] * 16, LABELS, PATIENTS, "share_inside", name, "absolute"))
        rows.append(measurements([heights] * 16, LABELS, PATIENTS, "heights", name, "absolute"))
        rows.append(measurements([x] * 16, LABELS, PATIENTS, "widths", name, "absolute"))
    varied = [measurements([0.9] * 16, LABELS, PATIENTS, "share_inside", "a", "absolute", choice=("fill", "blur"))]
    table = table_of(*rows, *varied, metric=made.INSIDE)
    grid = table[table["choice"] == "GRID"].set_index("estimator")
    assert grid["value"].to_dict() == {"a": 0.25, "b": 0.75}  # trapezoids under both curves
    assert grid["rank"].to_dict() == {"a": 2, "b": 1}
    assert table_of(*rows, metric=made.INSIDE).empty  # nothing was varied


def test_the_options_of_a_choice_agree_as_kendall_says():
    same = {name: of[1] for name, of in VALUES.items()}
    turned = {name: 1 - value for name, value in same.items()}
    rows = rows_of(("fill", "blur"), same) + rows_of(("fill", "mean"), turned) + rows_of(("noise", "much"), turned)
    found = concordance_over(table_of(*own(), *rows), "drop")
    # Two rankings alike and one reversed: sums 1 + 1 + 4, 2 + 2 + 3, ... = 6, 7, 8, 9; W = 12 * 5 / (9 * 60).
    assert found == {"fill": pytest.approx(1 / 9)}
    assert concordance_over(table_of(*own(), *rows), "inside") == {}


def test_a_shortcut_has_no_choices():
    rows = rows_of(("", ""), {"a": 0.1, "b": 0.2}, metric="planted")
    assert table_of(*rows, *rows_of(("fill", "blur"), {"a": 0.3}, metric="planted"), metric=made.PLANTED).empty


def test_a_map_of_some_cases_has_no_rank_under_any_option():
    """Neither of the study's own numbers nor of an option's: 4 cases of 16 say nothing of the others."""
    labels, patients = [0, 1] * 8, [f"p{i}" for i in range(16)]
    few = [0.9] * 4 + [np.nan] * 12
    rows = [
        measurements([value] * 16, labels, patients, "drop", name, "absolute")
        for name, value in (("a", 0.5), ("b", 0.3))
    ]
    rows.append(measurements(few, labels, patients, "drop", "c", "absolute"))
    rows.append(measurements(few, labels, patients, "drop", "b", "absolute", choice=("noise", "more")))
    rows.append(measurements([0.2] * 16, labels, patients, "drop", "a", "absolute", choice=("noise", "more")))
    measured, metric = read(*rows), made.ERASING
    means = {output.name: means_table(measured, output, QUICK) for output in metric.numbers}
    table = choices_table(measured, [metric], means, {metric.name: metric_table(measured, metric, means)}, QUICK)
    ranks = table.set_index(["choice", "estimator"])["rank"]
    assert ranks[OWN, "a"] == 1
    assert ranks[OWN, "b"] == 2
    assert np.isnan(ranks[OWN, "c"])
    assert ranks["noise", "a"] == 1
    assert np.isnan(ranks["noise", "b"])
