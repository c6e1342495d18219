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
    )
    file.write_text(text, encoding="utf-8")


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
            f"{_confidence(findings)} {low} to {high}."
        )
    taus = [f"τ = {value:+.2f} between {pair}" for pair, value in findings.agreement.items()]
    if taus:
        sentences.append(f"Agreement of the rankings of all maps (Kendall): {', '.join(taus)}.")
    return sentences


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
            _rows(findings.tables["fidelity"], "fidelity", 10.0, 2),
            ("estimator", "map", "F × 10", confidence, "cases", "patients"),
            [("perturbation", "Accuracy while masking; solid: absolute maps, dashed: as they are.")],
            figures,
        ),
        _section(
            "ROC: the expert's view, by pixel",
            "How well a map's scores separate the pixels of the expert's mask from all others; 0.5 is chance.",
            _rows(findings.tables["roc"], "auc", 1.0, 3, extra="average_precision"),
            ("estimator", "map", "AUC", confidence, "average precision", "cases", "patients"),
            [("roc", "ROC averaged over the images at each quantile; the exact mean AUC in the legend.")],
            figures,
        ),
        _section(
            "Region overlap: the expert's view, by region",
            "Dice of the top share of the region map (XRAI) and the mask, at the mask's own share of the image.",
            _rows(overlap, "dice", 1.0, 3, extra="kept"),
            ("estimator", "map", "Dice", confidence, "kept (%)", "cases", "patients"),
            [("dice", "Dice against the share of the region map kept.")],
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
    table: pd.DataFrame, column: str, factor: float, digits: int, extra: str | None = None
) -> list[dict[str, Any]]:
    if table.empty:
        return []
    rows: list[dict[str, Any]] = []
    for _, row in table.sort_values(column, ascending=False).iterrows():
        value, low, high = (number(factor * row[name], digits) for name in (column, "ci_low", "ci_high"))
        cells = [title(row["estimator"]), row["signs"], value, f"{low} to {high}"]
        if extra is not None:
            cells.append(number(row[extra], digits))
        rows.append({"cells": [*cells, row["cases"], row["patients"]], "best": not rows})
    return rows
