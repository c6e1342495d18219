"""The page's sections: for each view its table and charts, then agreement, baselines, strata and networks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..classifier.training import balanced_accuracy
from ..findings import Findings
from ..findings.choices import concordance_over
from ..findings.tables import own_share_rows
from ..findings.views import VIEWS, View
from .answer import (
    NOTHING,
    audit_sentence,
    confidence,
    interval_words,
    printed,
    values_of,
    view_sentences,
)
from .style import number, title

GAIN = "gain over the best blind baseline"
RANKS_CAPTION = (
    "Mean rank over the patients, best on the left. Maps that a bar joins are not told apart (Friedman's test with "
    "Nemenyi's critical difference)."
)
TEXTS = {
    "fidelity": (
        "Fidelity: the model's view",
        "Pixels are masked in the order of a map, most or least important first, with a value that removes the "
        "evidence. F is the area between the two accuracy curves; larger is better.",
        "Accuracy while masking, most important first (solid) and least important first (dashed).",
    ),
    "auc": (
        "ROC: the expert's view, by pixel",
        "How well a map's scores separate the pixels of the expert's mask from all others; 0.5 is chance. Within the "
        "body: without the air around the patient, which every map can tell from a mask.",
        "ROC averaged over the images at each quantile of the scores.",
    ),
    "dice": (
        "Region overlap: the expert's view, by region",
        "Dice of the top share of the region map (XRAI) and the mask, at the mask's own share of the image.",
        "Dice against the share of the region map kept.",
    ),
    "evidence": (
        "True evidence: who is right",
        "Every simulated case has a twin that differs in the label alone. The chance that a pixel, drawn in proportion "
        "to how far the two differ, outranks one in which they do not; 0.5 is chance.",
        "",
    ),
}
CHARTS = {"fidelity": "perturbation", "auc": "roc", "dice": "dice"}
EXTRA = {"auc": ("roc", ("average_precision", "auc_body")), "dice": ("overlap", ("kept",))}
EXTRA_NAMES = {"average_precision": "average precision", "auc_body": "AUC within the body", "kept": "kept (%)"}


@dataclass(frozen=True)
class Table:
    """Rows of text under their headings; the first ``left`` columns are words."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    best: int | None = None
    left: int = 2


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        title: its heading.
        text: what is shown, in words.
        table: below the text.
        charts: name and caption of interactive charts.
        pictures: name and caption of figures.
        folded: whether a reader must ask for the table.
    """

    title: str
    text: str
    table: Table | None = None
    charts: Sequence[tuple[str, str]] = ()
    pictures: Sequence[tuple[str, str]] = ()
    folded: bool = False


def sections(findings: Findings) -> list[Section]:
    """All sections for which there are measurements."""
    parts = [_view_section(findings, view) for view in VIEWS.values() if len(values_of(findings, view))]
    charts = [
        (f"views-{view.name}", f"Every map by fidelity and by {view.title}, with the intervals of both.")
        for view in VIEWS.values()
        if view.name != "fidelity"
    ]
    agreement = " ".join(view_sentences(findings)) or "The two views could not be compared: not assessed."
    parts.append(Section("The two views", agreement, charts=charts))
    parts += [_shortcut_section(findings)] if findings.shortcut is not None else []
    if len(findings.tables["baselines"]):
        parts.append(_baselines_section(findings))
    if len(findings.tables["rank_ranges"]):
        parts.append(_choices_section(findings))
    if len(findings.tables["strata"]):
        parts.append(_strata_section(findings))
    parts.append(_networks_section(findings))
    return parts


def _view_section(findings: Findings, view: View) -> Section:
    heading, text, caption = TEXTS[view.name]
    chart = [(CHARTS[view.name], caption)] if view.name in CHARTS else []
    pictures = [(f"ranks-{view.name}", RANKS_CAPTION)]
    return Section(heading, text, _view_table(findings, view), chart, pictures)


def _view_table(findings: Findings, view: View) -> Table:
    gains = _gains(findings, view)
    source, extra = EXTRA.get(view.name, ("", ()))
    values = values_of(findings, view)
    if extra:
        others = findings.tables[source] if source != "overlap" else own_share_rows(findings.tables[source])
        extra = tuple(name for name in extra if name in others)
        values = values.merge(others[["estimator", "signs", *extra]], on=["estimator", "signs"], how="left")
    rows = []
    for _, row in values.iterrows():
        gain = gains.get((row["estimator"], row["signs"]), NOTHING)
        more = [number(row[name], view.digits) for name in extra]
        basis = row["cases"], row["patients"]
        shown = printed(view, row["value"]), interval_words(view, row)
        rows.append([title(row["estimator"]), row["signs"], *shown, gain, *more, *basis])
    names = [EXTRA_NAMES[name] for name in extra]
    return Table(["estimator", "map", view.label, confidence(findings), GAIN, *names, "cases", "patients"], rows, 0)


def _gains(findings: Findings, view: View) -> dict[tuple[str, str], str]:
    """For each map its gain over the best blind baseline with the interval, or that it has none."""
    gains = findings.tables["gains"]
    words = {}
    for _, row in (gains if gains.empty else gains[gains["view"] == view.name]).iterrows():
        verdict = "" if row["beats"] else "not above: "
        gain, ends = printed(view, row["gain"]), interval_words(view, row)
        words[row["estimator"], row["signs"]] = f"{verdict}{gain}" + ("" if ends == NOTHING else f" ({ends})")
    return words


def _baselines_section(findings: Findings) -> Section:
    table = findings.tables["baselines"]
    rows = []
    for _, row in table.iterrows():
        view = VIEWS[row["view"]]
        shown = printed(view, row["value"]), interval_words(view, row)
        if row["not_drawn"]:
            shown = NOTHING, f"not drawn: {row['not_drawn']}"
        rows.append([view.label, title(row["baseline"]), *shown, row["cases"], row["patients"]])
    return Section(
        "Blind baselines",
        "Maps that never look at the network, measured in the same way. What does not beat the best of them has "
        "told nothing about this network that could not be known without it. The atlas has looked at experts' masks of "
        "training cases: against masks it is a strong opponent, and the best baseline without masks stands beside it "
        "in tables/gains.csv. Gains are tested together over all maps and views (Holm).",
        Table(["view", "baseline", "value", confidence(findings), "cases", "patients"], rows),
    )


def _shortcut_section(findings: Findings) -> Section:
    assert findings.shortcut is not None
    rows = [
        [
            title(row["estimator"]),
            row["signs"],
            number(row["marker"], 3),
            number(row["auc"], 3),
            NOTHING if pd.isna(row["ci_low"]) else f"{number(row['ci_low'], 3)} to {number(row['ci_high'], 3)}",
            "yes" if row["faithful"] else "no",
            "yes" if row["on_marker"] else "no",
        ]
        for _, row in findings.shortcut.maps.sort_values("marker", ascending=False).iterrows()
    ]
    columns = (
        "estimator",
        "map",
        "AUC, marker",
        "AUC, mask",
        f"difference, {confidence(findings)}",
        "faithful",
        "on the marker",
    )
    text = (
        "A marker was planted in one class. Faithful: fidelity above that of random maps. On the marker: its AUC "
        "against the marker is above that against the mask."
    )
    return Section("A planted shortcut", text, Table(columns, rows))


def _choices_section(findings: Findings) -> Section:
    rows = []
    for _, row in findings.tables["rank_ranges"].iterrows():
        mover = f"{row['moved_most_by']}: {row['option']} (by {row['moved']:g})" if row["moved"] else "nothing"
        ends = f"{row['lowest']:g} to {row['highest']:g}"
        rows.append([VIEWS[row["view"]].title, title(row["estimator"]), f"{row['rank']:g}", ends, mover])
    agreement = concordance_over(findings.tables["choices"], "fidelity", "fill")
    fills = "" if np.isnan(agreement) else f" Kendall's W of the ranks by fidelity over the fills: {agreement:.2f}."
    return Section(
        "Choices that matter",
        "The rank of each estimator's absolute map when one choice is changed and all others stay: score, maps as they "
        "are, rule for signs, thresholds of the ROC, what masked pixels become, noise, steps, constants of the "
        "regions. The rule for signs is compared among the maps as they are, and takes no part in the range. Every "
        f"option is in tables/choices.csv.{fills}",
        Table(["view", "estimator", "rank", "over all options", "moved most by"], rows),
        pictures=[("choices", "Rank under each option; the study's own in black.")],
    )


def _strata_section(findings: Findings) -> Section:
    rows = []
    for _, row in findings.tables["strata"].iterrows():
        view = VIEWS[row["view"]]
        value, ends = printed(view, row["value"]), interval_words(view, row)
        of = findings.settings.cases.classes[int(row["of"])] if row["stratum"] == "label" else row["of"]
        basis = row["cases"], row["patients"]
        estimator = title(row["estimator"])
        rows.append([row["stratum"], of, view.label, estimator, row["signs"], value, ends, *basis])
    columns = ["stratum", "of", "view", "estimator", "map", "value", confidence(findings), "cases", "patients"]
    text = (
        "The same numbers by label, by right and wrong predictions, and by thirds of the mask's size; by patient in "
        "tables/patients.csv. A stratum of few patients has a wide interval, or none."
    )
    return Section("Strata", text, Table(columns, rows, left=5), folded=True)


def _networks_section(findings: Findings) -> Section:
    given = any(network["source"] != "trained" for network in findings.description.get("networks", []))
    text = "Accuracy on the held-out cases, as the mean of the classes. " + (
        "The network was given: whether it saw these patients in training is not known here."
        if given
        else "No network saw a patient it is tested on."
    )
    text += f" {audit_sentence(findings)}"
    cases, rows = findings.measured.cases, []
    for network in findings.description.get("networks", []):
        held_out = cases[cases["fold"] == network["fold"]]
        accuracy = balanced_accuracy(held_out["label"].to_numpy(), held_out["predicted"].to_numpy())
        training = ["–"] * 3
        if network["source"] == "trained":
            training = [network["cases"], f"{100 * network['validation_accuracy']:.0f} %", network["epoch"]]
        rows.append([network["fold"] + 1, network["source"], len(held_out), f"{100 * accuracy:.1f} %", *training])
    columns = ("network", "origin", "cases held out", "accuracy", "trained on", "validation accuracy", "epoch kept")
    return Section("The networks", text, Table(columns, rows))
