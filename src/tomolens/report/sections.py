"""The page's sections: for each view its table and charts, then agreement, baselines, strata and networks."""

import pandas as pd

from ..declarations import Breakdown
from ..findings import Findings
from ..findings.choices import OWN
from ..findings.printing import NOTHING, confidence, in_sentence, interval_words, printed, title, values_of
from . import breakdowns, choices, metric_agreement
from .answer import agreement_sentences, audit_sentence, concordance_words
from .classes import several_classes
from .section import Section
from .series import views_beside
from .table import Table
from .trust import (
    card_columns,
    card_rows,
    check_columns,
    check_rows,
    control_columns,
    control_rows,
    named,
    questions,
)
from .view_section import charts_of, view_section

ASKED_OF = (
    "To be believed a map must be faithful, find the truth where that is known, and not fail to depend on the weights "
    "where that was measured. Agreement with the expert stands beside: a network may look elsewhere, and an honest map "
    "then shows it."
)


STRATA = {
    "label": "by label",
    "prediction": "by right and wrong predictions",
    "mask size": "by thirds of the mask's size",
}
"""What each stratum divides the cases by, in words."""


def sections(findings: Findings) -> list[Section]:
    """All sections for which there are measurements."""
    views = [
        view_section(findings, metric, view)
        for metric in findings.description.metrics
        for view in metric.numbers
        if view.column in findings.views and len(values_of(findings, view))
    ]
    others = (
        _agreement_section,
        _shortcut_section,
        _baselines_section,
        _choices_section,
        _trainings_section,
        _strata_section,
        _other_section,
        _metrics_section,
        _networks_section,
    )
    return [
        *_verdict_sections(findings),
        *views,
        *(_breakdown_section(findings, one) for one in breakdowns.breakdowns(findings)),
        *(section for make in others if (section := make(findings)) is not None),
    ]


def _verdict_sections(findings: Findings) -> list[Section]:
    """The trust cards, the checks behind them, and which views can judge maps."""
    controls = Table(control_columns(findings), control_rows(findings), left=3)
    text = (
        "A view can judge maps where the truth itself beats every map that never looks at the network, and no blurred "
        "map beats the truth: masking favours smooth maps. A view that cannot takes no part in the verdict."
    )
    told = any(state != "not controlled" for state in findings.can_judge.values())
    found = [Section("Which views can judge maps", text, controls)] if told else []
    if not findings.verdict.cards:
        return found
    cards = Table(card_columns(), card_rows(findings), left=len(card_columns()))
    checks = Table(check_columns(findings), check_rows(findings), left=4, lower={"p (Holm)"})
    return [
        Section("Trust cards", " ".join(questions()) + f" {ASKED_OF}", cards),
        Section(
            "The checks", "Every check by its number, the best blind map, and how sure it is.", checks, folded=True
        ),
        *found,
    ]


def _breakdown_section(findings: Findings, breakdown: Breakdown) -> Section:
    columns, rows = breakdowns.rows(findings, breakdown)
    charts = [(breakdown.name, breakdowns.caption(findings, breakdown))]
    return Section(breakdown.heading, breakdown.text, Table(columns, rows, left=3), charts)


def _agreement_section(findings: Findings) -> Section | None:
    text, (model, others) = " ".join(agreement_sentences(findings)), views_beside(findings)
    if model is None or not others:
        return Section("The two views", text) if text else None
    charts = [
        (
            f"agreement-{view.column}",
            f"Every map by {named(findings, model)}, and by {named(findings, view)}, with the intervals of both.",
        )
        for view in others
    ]
    return Section("The two views", text, charts=charts)


def _shortcut_section(findings: Findings) -> Section | None:
    found = findings.shortcut
    if found is None:
        return None
    planted, expert = found.by
    rows = [
        [
            title(findings, row["estimator"]),
            row["form"],
            printed(planted, row[planted.column]),
            printed(expert, row[expert.column]),
            interval_words(planted, row),
            "yes" if row["faithful"] else "no",
            "yes" if row["on_shortcut"] else "no",
        ]
        for _, row in found.maps.sort_values(planted.column, ascending=planted.sign < 0).iterrows()
    ]
    difference = f"difference, {confidence(findings)}"
    columns = ("estimator", "map", planted.label, expert.label, difference, "faithful", "on the shortcut")
    text = (
        "A shortcut was planted in one class. Faithful: above the best blind map in the model's view. On the shortcut: "
        "the map finds its place better than the expert's mask."
    )
    return Section("A planted shortcut", text, Table(columns, rows))


def _baselines_section(findings: Findings) -> Section | None:
    rows = []
    for _, row in findings.tables["baselines"].iterrows():
        view = findings.views[row["view"]]
        shown = printed(view, row["value"]), interval_words(view, row)
        if row["not_drawn"]:
            shown = NOTHING, f"not drawn: {row['not_drawn']}"
        rows.append([view.label, title(findings, row["baseline"]), *shown, int(row["cases"]), int(row["patients"])])
    if not rows:
        return None
    of_masks = [in_sentence(one.title) for one in findings.description.estimators if one.of_masks]
    opponents = (
        f" What has looked at experts' masks of training cases ({', '.join(of_masks)}) is a strong opponent against "
        "masks, and the best baseline without masks stands beside it in tables/gains.csv."
    )
    return Section(
        "Blind baselines",
        "Maps that never look at the network, measured in the same way. What does not beat the best of them has "
        f"told nothing about this network that could not be known without it.{opponents if of_masks else ''} Gains are "
        "tested together over all maps and views (Holm).",
        Table(["view", "baseline", "value", confidence(findings), "cases", "patients"], rows),
    )


def _choices_section(findings: Findings) -> Section | None:
    rows, table, model = [], findings.tables["choices"], findings.view_of("model")
    for _, row in findings.tables["rank_ranges"].iterrows():
        mover = f"{row['moved_most_by']}: {row['option']} (by {row['moved']:g})" if row["moved"] else "nothing"
        name, ends = findings.views[row["view"]].judges.title, f"{row['lowest']:g} to {row['highest']:g}"
        rows.append([name, title(findings, row["estimator"]), f"{row['rank']:g}", ends, mover])
    if not rows:
        return None
    changed = ", ".join(choice for choice in table["choice"].unique() if choice != OWN)
    return Section(
        "Choices that matter",
        f"The rank of each estimator's absolute map when one choice is changed and all others stay: {changed}. "
        "Directions are compared among the maps as they are, and take no part in the range. Every option is in "
        f"tables/choices.csv.{'' if model is None else concordance_words(findings, model)}",
        Table(
            ["view", "estimator", "rank", "over all options", "moved most by"],
            rows,
            lower={"rank", "over all options"},
        ),
        [("choices", choices.CAPTION)],
    )


def _trainings_section(findings: Findings) -> Section | None:
    rows, outputs = [], {output.column: output for output in findings.description.outputs.values()}
    table = findings.tables["trainings"]
    for _, row in table[table["output"].isin(list(findings.views))].iterrows() if len(table) else ():
        output = outputs[row["output"]]
        ends = f"{printed(output, row['lowest'])} to {printed(output, row['highest'])}"
        spreads = printed(output, row["between_networks"]), printed(output, row["between_patients"])
        whose = title(findings, row["estimator"]), row["form"]
        counts = row["trainings"], row["networks"], row["cases"], row["patients"]
        rows.append([output.label, *whose, printed(output, row["value"]), *spreads, ends, *counts])
    if not rows:
        return None
    columns = [
        "view",
        "estimator",
        "map",
        "value",
        "SD between trainings",
        "SE over patients",
        "over all networks",
        "trainings",
        "networks",
        "cases",
        "patients",
    ]
    text = (
        "Every case was explained and measured by networks of other trainings too. Another training would change a "
        "number by the standard deviation between trainings that differ in their seed alone, other patients by the "
        "standard error over the patients. Numbers that judge no maps are in tables/trainings.csv."
    )
    others = f" Networks of other architectures: {', '.join(findings.architectures)}." if findings.architectures else ""
    return Section("Another training of the network", f"{text}{others}", Table(columns, rows, left=3))


def _metrics_section(findings: Findings) -> Section | None:
    if findings.tables["metrics"].empty:
        return None
    text = (
        "Whether measures rank the maps alike: two that do say the same, two that do not cannot both be taken for the "
        "quality of a map. Which of them can judge maps is told by their controls. All pairs are in tables/metrics.csv."
    )
    return Section("Metrics against metrics", text, charts=[("metrics", metric_agreement.CAPTION)])


def _strata_section(findings: Findings) -> Section | None:
    rows = []
    for _, row in findings.tables["strata"].iterrows():
        view = findings.views[row["view"]]
        of = findings.description.classes[int(row["of"])] if row["stratum"] == "label" else row["of"]
        shown = printed(view, row["value"]), interval_words(view, row), int(row["cases"]), int(row["patients"])
        rows.append([row["stratum"], of, view.label, title(findings, row["estimator"]), row["form"], *shown])
    columns = ["stratum", "of", "view", "estimator", "map", "value", confidence(findings), "cases", "patients"]
    kinds = {row[0] for row in rows}
    by = [words for kind, words in STRATA.items() if kind in kinds]
    text = (
        f"The same numbers {', '.join(by)}; by patient in tables/patients.csv. A stratum of few patients has a wide "
        "interval, or none."
    )
    return Section("Strata", text, Table(columns, rows, left=5), folded=True) if rows else None


def _other_section(findings: Findings) -> Section | None:
    """The metrics that judge no maps."""
    metrics = [metric for metric in findings.description.metrics if not any(one.view for one in metric.outputs)]
    rows = []
    for output in (output for metric in metrics for output in metric.numbers):
        for _, row in values_of(findings, output).iterrows():
            shown = printed(output, row["value"]), interval_words(output, row), row["cases"], row["patients"]
            rows.append([output.label or output.name, title(findings, row["estimator"]), row["form"], *shown])
    charts = [chart for metric in metrics for chart in charts_of(metric)]
    drawn = any(len(findings.tables[f"{name}_curve"]) for name, _ in charts)
    if not rows and not drawn:
        return None
    columns = ["measure", "estimator", "map", "value", confidence(findings), "cases", "patients"]
    table = Table(columns, rows, left=3) if rows else None
    return Section("Other measures", "Numbers that rank no maps.", table, charts, folded=True)


def _networks_section(findings: Findings) -> Section | None:
    networks = findings.description.get("networks", [])
    if not networks:
        return None
    given = any(network["source"] != "trained" for network in networks)
    mean = ", as the mean of the classes" if several_classes(findings) else ""
    text = f"Accuracy on the held-out cases{mean}. " + (
        "The network was given: whether it saw these patients in training is not known here."
        if given
        else "No network saw a patient it is tested on."
    )
    if takes := networks[0].get("input"):
        text += f" It takes: {takes}."
    rows = []
    for network in networks:
        accuracy = network.get("accuracy")  # none yet while the study runs
        known = NOTHING if accuracy is None or pd.isna(accuracy) else f"{100 * accuracy:.1f} %"
        training = [NOTHING] * 3
        if network["source"] == "trained":
            training = [network["cases"], f"{100 * network['validation_accuracy']:.0f} %", network["epoch"]]
        held_out = network.get("cases_held_out", NOTHING)
        rows.append([network["fold"] + 1, network.get("network", network["source"]), held_out, known, *training])
    columns = ("network", "origin", "cases held out", "accuracy", "trained on", "validation accuracy", "epoch kept")
    return Section("The networks", f"{text} {audit_sentence(findings)}".strip(), Table(columns, rows))
