"""The page: one self-contained HTML file with the answer in words, the tables and the figures, everything escaped."""

import base64
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment

from ..classifier.training import balanced_accuracy
from ..findings import Findings
from ..findings.tables import own_share_rows, undefined_masks
from .style import number, title

TITLES = {"fidelity": "fidelity", "auc": "AUC", "dice": "Dice"}
GAIN = "gain over the best blind baseline"
RANKS_CAPTION = (
    "Mean rank over the patients, best on the left. Maps that a bar joins are not told apart (Friedman's test with "
    "Nemenyi's critical difference)."
)
Figures = Mapping[str, Path]


def write_page(findings: Findings, figures: Figures, file: Path) -> None:
    """Write the page; ``figures`` are PNG files by name, embedded."""
    environment = Environment(autoescape=True, trim_blocks=False)
    template = environment.from_string(resources.files("tomolens.report").joinpath("page.html").read_text())
    description = findings.description
    text = template.render(
        name=findings.settings.name,
        headline=headline(findings),
        facts=_facts(findings),
        warnings=warnings(findings),
        sections=_sections(findings, figures),
        settings=json.dumps(description["content"]["settings"], indent=2),
        versions=description["versions"],
        identity=description["identity"],
        commit=description["commit"],
        machine=description["machine"],
    )
    file.write_text(text, encoding="utf-8")


def gain_words(findings: Findings, view: str, factor: float, digits: int) -> dict[tuple[str, str], str]:
    """For each map its gain over the best blind baseline with the interval, or that it has none."""
    gains = findings.tables["gains"]
    if gains.empty:
        return {}
    words = {}
    for _, row in gains[gains["view"] == view].iterrows():
        gain, low, high = (number(factor * row[name], digits) for name in ("gain", "ci_low", "ci_high"))
        verdict = "" if row["beats"] else "not above: "
        words[row["estimator"], row["signs"]] = f"{verdict}{gain} ({low} to {high})"
    return words


def blind_sentences(findings: Findings) -> list[str]:
    """How many maps beat the best blind baseline in each view."""
    gains = findings.tables["gains"]
    sentences = []
    for view, name in TITLES.items():
        rows = gains if gains.empty else gains[gains["view"] == view]
        if rows.empty:
            continue
        beaten, best = int(rows["beats"].sum()), rows.iloc[0]
        factor, digits = (10.0, 1) if view == "fidelity" else (1.0, 3)
        value = number(factor * best["baseline_value"], digits)
        sentences.append(
            f"{beaten} of {len(rows)} maps beat the best blind baseline by {name} "
            f"({title(best['baseline']).lower()}, {value}), which never looks at the network."
        )
    return sentences


def headline(findings: Findings) -> list[str]:
    """The answer in words, made from the tables; what was not measured is said to be not assessed."""
    views = [
        ("fidelity (the model's view)", findings.tables["fidelity"], "fidelity", "F × 10 = {:.1f}", 10.0),
        ("ROC (the expert's view, by pixel)", findings.tables["roc"], "auc", "AUC {:.3f}", 1.0),
        ("region overlap (the expert's view)", own_share_rows(findings.tables["overlap"]), "dice", "Dice {:.3f}", 1.0),
    ]
    sentences = []
    for view, table, column, form, factor in views:
        if table.empty:
            sentences.append(f"{view[0].upper()}{view[1:]}: not assessed.")
            continue
        best = table.iloc[int(table[column].to_numpy().argmax())]
        low, high = (form.split()[-1].format(factor * best[end]) for end in ("ci_low", "ci_high"))
        sentences.append(
            f"{title(best['estimator'])} ({best['signs']}) leads {view}: {form.format(factor * best[column])}, "
            f"{_confidence(findings)} {low} to {high}{_rank_words(findings, column, best)}."
        )
    sentences += blind_sentences(findings)
    taus = [f"τ = {value:+.2f} between {pair}" for pair, value in findings.agreement.items()]
    if taus:
        sentences.append(
            f"Agreement of the rankings of all maps (Kendall): {', '.join(taus)}; W = {findings.concordance:.2f}."
        )
    return sentences


def view_sentences(findings: Findings) -> list[str]:
    """Case by case: whether the model's view and the expert's rank the maps alike."""
    sentences = []
    for _, row in findings.tables["views"].iterrows():
        if row["view"] != "fidelity":
            continue
        sentences.append(
            f"Case by case, fidelity and {TITLES[row['other']]} rank the maps with τ = {row['tau']:+.2f} "
            f"({_confidence(findings)} {row['ci_low']:+.2f} to {row['ci_high']:+.2f}); "
            f"in {100 * row['disagree']:.0f} % of {row['cases']} cases they rank them the other way round, "
            f"most in case {row['part_most']}."
        )
    return sentences


def _rank_words(findings: Findings, view: str, best: pd.Series) -> str:
    ranks = findings.tables["ranks"]
    if f"{view}_rank_low" not in ranks:
        return ""
    row = ranks[(ranks["estimator"] == best["estimator"]) & (ranks["signs"] == best["signs"])].iloc[0]
    low, high = int(row[f"{view}_rank_low"]), int(row[f"{view}_rank_high"])
    return f", rank {low}" if low == high else f", rank {low} to {high}"


def _confidence(findings: Findings) -> str:
    return f"{100 * findings.settings.statistics.confidence:.0f} % CI"


def _facts(findings: Findings) -> list[tuple[str, str]]:
    cases = findings.measured.cases
    accuracy = findings.description.get("accuracy", {})
    return [
        ("cases explained", f"{len(cases)}, of {cases['patient'].nunique()} patients"),
        ("with a mask to compare with", str(int((cases["mask"] == "usable").sum()))),
        ("accuracy, mean of the classes", f"{100 * accuracy.get('balanced', float('nan')):.1f} %"),
        ("networks", str(len(findings.description.get("networks", [])))),
        ("seed", str(findings.settings.seed)),
    ]


def warnings(findings: Findings) -> list[str]:
    """What a reader must know before believing the tables: cases and masks left out, networks that are often wrong."""
    found = []
    skipped: dict[str, str] = findings.description.get("skipped", {})
    if skipped:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in list(skipped.items())[:5])
        total = len(skipped) + findings.description["content"]["cases"]["count"]
        more = f"; and {len(skipped) - 5} more, in study.json" if len(skipped) > 5 else ""
        found.append(f"{len(skipped)} of {total} cases could not be read and were left out ({reasons}{more})")
    failed = findings.measured.failed
    if len(failed):
        reasons = "; ".join(f"{row.case}: {row.note}" for row in failed.head(5).itertuples())
        more = f"; and {len(failed) - 5} more" if len(failed) > 5 else ""
        found.append(
            f"{len(failed)} of {len(failed) + len(findings.measured.cases)} cases failed and are not in the tables "
            f"({reasons}{more}); the same command tries them again"
        )
    remarked = findings.measured.cases[findings.measured.cases["note"] != ""]
    if len(remarked):
        found.append(f"{len(remarked)} cases went another way: {remarked['note'].iloc[0]}")
    for state, names in undefined_masks(findings.measured).items():
        if names:
            shown = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
            found.append(f"{state.capitalize()} masks, left out of ROC and overlap: {len(names)} ({shown})")
    balanced = findings.description.get("accuracy", {}).get("balanced", 1.0)
    if balanced < 0.9:
        found.append(
            f"The networks are right on {100 * balanced:.0f} % of the held-out cases only. Maps of wrong predictions "
            "explain a mistake, and fidelity starts from this accuracy: read the rankings with that in mind."
        )
    return found


def _sections(findings: Findings, figures: Figures) -> list[dict[str, Any]]:
    overlap = own_share_rows(findings.tables["overlap"])
    confidence = _confidence(findings)
    sections = [
        _section(
            "Fidelity: the model's view",
            "Pixels are masked in the order of a map, most or least important first, with a value that removes the "
            "evidence. F is the area between the two accuracy curves; larger is better.",
            _rows(findings, "fidelity", findings.tables["fidelity"], 10.0, 2),
            ("estimator", "map", "F × 10", confidence, GAIN, "cases", "patients"),
            [
                ("perturbation", "Accuracy while masking; solid: absolute maps, dashed: as they are."),
                ("ranks-fidelity", RANKS_CAPTION),
            ],
            figures,
        ),
        _section(
            "ROC: the expert's view, by pixel",
            "How well a map's scores separate the pixels of the expert's mask from all others; 0.5 is chance.",
            _rows(findings, "auc", findings.tables["roc"], 1.0, 3, extra="average_precision"),
            ("estimator", "map", "AUC", confidence, GAIN, "average precision", "cases", "patients"),
            [
                ("roc", "ROC averaged over the images at each quantile; the exact mean AUC in the legend."),
                ("ranks-auc", RANKS_CAPTION),
            ],
            figures,
        ),
        _section(
            "Region overlap: the expert's view, by region",
            "Dice of the top share of the region map (XRAI) and the mask, at the mask's own share of the image.",
            _rows(findings, "dice", overlap, 1.0, 3, extra="kept"),
            ("estimator", "map", "Dice", confidence, GAIN, "kept (%)", "cases", "patients"),
            [("dice", "Dice against the share of the region map kept."), ("ranks-dice", RANKS_CAPTION)],
            figures,
        ),
        _section(
            "The two views",
            " ".join(view_sentences(findings)) or "The two views could not be compared: not assessed.",
            [],
            (),
            [("views", "Every map by fidelity and by the expert's view, with intervals.")],
            figures,
        ),
        _section(
            "Blind baselines",
            "Maps that never look at the network, measured in the same way. What does not beat the best of them has "
            "told nothing about this network that could not be known without it.",
            _baseline_rows(findings),
            ("view", "baseline", "value", confidence, "cases", "patients"),
            [],
            figures,
        ),
    ]
    examples = [(name, "") for name in figures if name.startswith("example-")]
    if examples:
        text = (
            "What the network saw, the mask, every map (red speaks for the explained class, blue against it; colours "
            "end at the 99th percentile of the absolute map), and the top 1 to 5 % of every region map."
        )
        sections.append(_section("Examples", text, [], (), examples, figures))
    given = any(network["source"] != "trained" for network in findings.description.get("networks", []))
    text = "Accuracy on the held-out cases, as the mean of the classes. " + (
        "The network was given: whether it saw these patients in training is not known here."
        if given
        else "No network saw a patient it is tested on."
    )
    columns = ("network", "origin", "cases held out", "accuracy", "trained on", "validation accuracy", "epoch kept")
    sections.append(_section("The networks", text, _network_rows(findings), columns, [], figures))
    return sections


def _network_rows(findings: Findings) -> list[dict[str, Any]]:
    cases = findings.measured.cases
    rows = []
    for network in findings.description.get("networks", []):
        held_out = cases[cases["fold"] == network["fold"]]
        accuracy = balanced_accuracy(held_out["label"].to_numpy(), held_out["predicted"].to_numpy())
        trained = network["source"] == "trained"
        training = (
            [network["cases"], f"{100 * network['validation_accuracy']:.0f} %", network["epoch"]]
            if trained
            else ["–"] * 3
        )
        cells = [network["fold"] + 1, network["source"], len(held_out), f"{100 * accuracy:.1f} %", *training]
        rows.append({"cells": cells, "best": False})
    return rows


def _baseline_rows(findings: Findings) -> list[dict[str, Any]]:
    table = findings.tables["baselines"]
    rows: list[dict[str, Any]] = []
    for _, row in table.iterrows():
        factor, digits = (10.0, 2) if row["view"] == "fidelity" else (1.0, 3)
        value, low, high = (number(factor * row[name], digits) for name in ("value", "ci_low", "ci_high"))
        name = {"fidelity": "F × 10", "auc": "AUC", "dice": "Dice"}[row["view"]]
        best = row["value"] == table["value"][table["view"] == row["view"]].max()
        cells = [name, title(row["baseline"]), value, f"{low} to {high}", row["cases"], row["patients"]]
        rows.append({"cells": cells, "best": bool(best)})
    return rows


def _section(
    heading: str,
    text: str,
    rows: list[dict[str, Any]],
    columns: Sequence[str],
    pictures: Sequence[tuple[str, str]],
    figures: Figures,
) -> dict[str, Any]:
    embedded = [
        {
            "data": base64.b64encode(figures[name].read_bytes()).decode(),
            "caption": caption or name.replace("-", " ").capitalize(),
        }
        for name, caption in pictures
        if name in figures
    ]
    return {"title": heading, "text": text, "rows": rows, "columns": list(columns), "pictures": embedded}


def _rows(
    findings: Findings, view: str, table: pd.DataFrame, factor: float, digits: int, extra: str | None = None
) -> list[dict[str, Any]]:
    if table.empty:
        return []
    column = view
    gains = gain_words(findings, view, factor, digits)
    rows: list[dict[str, Any]] = []
    for _, row in table.sort_values(column, ascending=False).iterrows():
        value, low, high = (number(factor * row[name], digits) for name in (column, "ci_low", "ci_high"))
        gain = gains.get((row["estimator"], row["signs"]), "–")
        cells = [title(row["estimator"]), row["signs"], value, f"{low} to {high}", gain]
        if extra is not None:
            cells.append(number(row[extra], digits))
        rows.append({"cells": [*cells, row["cases"], row["patients"]], "best": not rows})
    return rows
