"""Stubs of the checklists that journals and regulators ask for, filled with what a study can say; to be edited.

Items are in our own words, by their numbers or names; the checklists themselves are what counts. What a study cannot
know is left to its authors, and said so.
"""

import base64
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from ..declarations import Criterion, Judge, Output
from ..findings import Findings
from ..findings.printing import NOTHING, interval_words, map_title, printed, values_of
from .methods import baselines_of, explained_class, paragraphs

OPEN = "For the authors to say."


@dataclass(frozen=True)
class Item:
    """One item.

    Attributes:
        name: its number, or what it is called.
        asks: for what, in short.
        says: what this study can say.
    """

    name: str
    asks: str
    says: str = OPEN


@dataclass(frozen=True)
class Checklist:
    """A checklist as far as a study can fill it.

    Attributes:
        name: of its file.
        title: what it is called.
        source: to cite.
        items: all of them.
    """

    name: str
    title: str
    source: str
    items: tuple[Item, ...]

    @property
    def filled(self) -> int:
        """Items that the study says something on."""
        return sum(not item.says.startswith(OPEN) for item in self.items)

    @property
    def markdown(self) -> str:
        """As a file to edit."""
        rows = [f"| {_cell(one.name)} | {_cell(one.asks)} | {_cell(one.says)} |" for one in self.items]
        head = ["| item | asks for | this study |", "|---|---|---|"]
        note = f"A stub to edit: the items in short, filled as far as the study can. {self.source}."
        return "\n".join([f"# {self.title}", "", note, "", *head, *rows, ""])

    @property
    def link(self) -> str:
        """The file as a link that needs no other file."""
        return f"data:text/markdown;charset=utf-8;base64,{base64.b64encode(self.markdown.encode()).decode()}"


def checklists(findings: Findings) -> tuple[Checklist, ...]:
    """All of them."""
    return (
        Checklist(
            "claim",
            "Checklist for Artificial Intelligence in Medical Imaging (CLAIM), 2024 update",
            "Tejani et al. 2024, Radiology: Artificial Intelligence 6(4):e240300, doi 10.1148/ryai.240300",
            tuple(_claim(findings)),
        ),
        Checklist(
            "clix-m",
            "Clinician-informed XAI evaluation checklist with metrics (CLIX-M)",
            "Brankovic et al. 2025, npj Digital Medicine 8:364, doi 10.1038/s41746-025-01764-2",
            tuple(_clix_m(findings)),
        ),
        Checklist(
            "four-criteria",
            "Four criteria for explainable AI in medical imaging: consistency, plausibility, fidelity, usefulness",
            "Lago et al. 2025 (U.S. Food and Drug Administration), arXiv 2506.13917; no guidance of the agency",
            tuple(_four_criteria(findings)),
        ),
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _claim(findings: Findings) -> Iterator[Item]:
    cases, settings = findings.measured.cases, findings.description.settings
    failed, skipped = len(findings.measured.failed), len(findings.description.get("skipped", {}))
    networks = findings.description.get("networks", [])
    every, patients = len(cases) + failed + skipped, cases["patient"].nunique()
    trained = bool(networks) and networks[0]["source"] == "trained"
    methods = paragraphs(findings)
    wrong = int((cases["label"] != cases["predicted"]).sum())
    accuracy = findings.description.get("accuracy", {}).get("balanced", float("nan"))
    said = {
        9: methods[0],
        12: f"Of {every} cases {skipped} could not be read and {failed} could not be evaluated; each is named with its "
        "reason in study.json or the measurements.",
        20: "Patients: no network saw a patient it is tested on." if trained else OPEN,
        22: f"{settings['classifier']['recipe']['architecture']}." if trained else OPEN,
        23: ", ".join(f"{name} {version}" for name, version in sorted(findings.description.raw["versions"].items())),
        24: _starts(findings) if trained else OPEN,
        25: _recipe(findings) if trained else OPEN,
        26: "The epoch with the least validation loss on held-out patients of the training cases." if trained else OPEN,
        27: "None: each case is decided by one network.",
        28: "Of the classifier: balanced accuracy. Of the maps: "
        + "; ".join(f"{view.label} ({view.judges.title})" for view in findings.views.values())
        + ".",
        29: methods[-1],
        30: _robust(findings),
        31: _explained(findings),
        32: f"{len(cases)} cases of {patients} patients"
        + (", held out from training." if trained else "; whether the network saw them in training is not known here."),
        35: f"{len(cases)} cases of {patients} patients explained, {skipped + failed} left out; exclusions before the "
        "study file are for the authors to say.",
        37: f"Balanced accuracy of the classifier{' on held-out patients' if trained else ''}: {100 * accuracy:.1f} %. "
        f"{findings.verdict.sentence}",
        39: f"{wrong} of {len(cases)} cases were predicted wrongly; their maps are counted in every table and apart in "
        "tables/strata.csv.",
        40: " ".join(findings.verdict.reasons) or OPEN,
        42: f"Every parameter, version and hash is in the report; study {findings.description.raw['identity']}, seed "
        f"{findings.description.seed}.",
        43: f"{'Weights, tables' if trained else 'Tables'} and figures are in the study's folder; whether they may be "
        "shared is for the authors to say.",
    }
    if settings["cases"].get("source") == "phantom":
        said |= {
            5: "Neither: simulated cases.",
            7: "Simulated chest CT.",
            11: "None needed: simulated cases.",
            33: "None.",
        }
        said |= {14: "Known by simulation: where an image differs from its twin without the finding."}
    yield from (Item(str(number), asks, said.get(number, OPEN)) for number, asks in enumerate(CLAIM_2024, start=1))


CLAIM_2024 = (
    "title names the kind of artificial intelligence",
    "structured abstract",
    "background and clinical role",
    "aims and hypotheses",
    "prospective or retrospective",
    "goal of the study",
    "sources of data",
    "who was included and excluded",
    "preprocessing",
    "selection of parts of the data",
    "de-identification",
    "missing data",
    "how images were acquired",
    "definition of the reference standard",
    "why that reference standard",
    "who made the reference annotations",
    "annotation of the test set",
    "variability within and between annotators",
    "how cases were assigned to partitions",
    "at which level partitions are disjoint",
    "intended size of the test set",
    "the model in detail",
    "software with versions",
    "initial weights",
    "training in detail",
    "selection of the final model",
    "ensembling",
    "metrics of performance",
    "significance and uncertainty",
    "robustness or sensitivity",
    "methods of explainability and how they were validated",
    "evaluation on internal data",
    "testing on external data",
    "registration of a clinical trial",
    "numbers included and excluded",
    "characteristics of the cases in each partition",
    "performance with its uncertainty",
    "diagnostic performance with its precision",
    "failure analysis",
    "limitations",
    "implications for practice",
    "full protocol or technical details",
    "availability of software, model and data",
    "funding",
)
"""What each item of CLAIM asks for, in short."""


def _starts(findings: Findings) -> str:
    before = findings.description.settings.get("classifier", {}).get("pretraining")
    if before is None:
        return "Drawn from the study's seed."
    return f"Trained on {before['cases']} simulated cases of the same task first."


def _recipe(findings: Findings) -> str:
    recipe = findings.description.settings["classifier"]["recipe"]
    return "; ".join(f"{name} {value}" for name, value in recipe.items() if value not in ({}, None)) + "."


def _robust(findings: Findings) -> str:
    count, tables = len(baselines_of(findings)), findings.tables
    parts = [f"{count} blind baseline{'s' if count != 1 else ''} measured in the same way (tables/baselines.csv)."]
    parts += ["Blurred maps as a control (tables/blurred.csv)."] if len(tables["blurred"]) else []
    if len(tables["strata"]):
        kinds = ", ".join(dict.fromkeys(tables["strata"]["stratum"]))
        parts.append(f"Strata by {kinds} (tables/strata.csv) and by patient (tables/patients.csv).")
    parts += _of_criteria(findings, "weights", "again", "robust")
    if not tables["rank_ranges"].empty:
        parts.append("Choices that the literature leaves open were varied (tables/choices.csv).")
    if not tables["trainings"].empty:
        parts.append("Other trainings of the network were measured (tables/trainings.csv).")
    return " ".join(parts)


def _explained(findings: Findings) -> str:
    names = [one.title for one in findings.description.estimators if not one.baseline]
    found = [view for view in findings.views.values() if len(values_of(findings, view))]
    by = "; ".join(f"{view.judges.title} ({_judge(view.judges.judge)})" for view in found) or "nothing"
    maps = explained_class(findings.description.settings)
    return f"{len(names)} importance estimators of {maps}, evaluated by {by}. {findings.verdict.sentence}"


def _judge(judge: str) -> str:
    return {"model": "the model's own behaviour", "expert": "the expert's masks", "truth": "the known truth"}[judge]


def _clix_m(findings: Findings) -> Iterator[Item]:
    experts = _sentences(_of_views(findings, "expert"))
    limits = " ".join((findings.verdict.sentence, *findings.verdict.reasons))
    says: dict[str, str] = {
        "Correctness": _sentences(_of_views(findings, "model", "truth")),
        "Confidence": _sentences(_of_criteria(findings, "confidence")),
        "Consistency": _sentences(_of_criteria(findings, "again")),
        "Robustness": _sentences(_of_criteria(findings, "robust")),
        "Reasonableness": f"{experts} Whether clinicians find maps coherent is for the authors to ask.",
        "Causal validity": _sentences(_of_views(findings, "truth")),
        "Bias and fairness": f"{OPEN} Strata of the cases, but no groups of patients, are in tables/strata.csv.",
        "Limitations": limits,
    }
    yield from (Item(name, asks, says.get(name, OPEN)) for name, asks in CLIX_M)


CLIX_M = (
    ("Purpose", "what explanations are for, and for whom"),
    ("Domain relevance", "how relevant they are to the clinical task (clinicians)"),
    ("Reasonableness", "whether they agree with clinical knowledge (clinicians)"),
    ("Actionability", "whether they help to act (clinicians)"),
    ("Correctness", "whether they show what the model used"),
    ("Confidence", "whether they go with the model's confidence"),
    ("Consistency", "whether they come out alike again"),
    ("Robustness", "whether small changes of the image leave them alone"),
    ("Causal validity", "whether what they show makes the difference"),
    ("Narrative reasoning", "whether they can be told as a reason"),
    ("Bias and fairness", "whether they differ between groups"),
    ("Troubleshooting", "whether they help to find faults of the model"),
    ("Interpretation", "how a user is to read them"),
    ("Limitations", "what they cannot show"),
)
"""The fourteen items of CLIX-M, by short names, and what they ask in our words."""


def _four_criteria(findings: Findings) -> Iterator[Item]:
    same = _sentences(_of_criteria(findings, "robust", "again"))
    yield Item("Consistency", "how much maps of like inputs vary", same)
    yield Item("Plausibility", "how near they are to the reference", _sentences(_of_views(findings, "expert", "truth")))
    fidelity = _sentences([*_of_views(findings, "model"), *_of_criteria(findings, "weights")])
    yield Item("Fidelity", "how well they show the model's own mechanism", f"{fidelity} {findings.verdict.sentence}")
    yield Item("Usefulness", "whether readers perform better with them", f"{OPEN} Not measured: it takes readers.")


def _sentences(parts: Iterable[str]) -> str:
    return " ".join(parts) or f"{OPEN} Not measured in this study."


def _of_views(findings: Findings, *judges: Judge) -> list[str]:
    return _told(findings, [view for view in findings.views.values() if view.judges.judge in judges])


def _of_criteria(findings: Findings, *criteria: Criterion) -> list[str]:
    numbers = [output for metric in findings.description.metrics for output in metric.numbers]
    return _told(findings, [output for output in numbers if output.criterion in criteria])


def _told(findings: Findings, outputs: Iterable[Output]) -> list[str]:
    """For each output that was measured the best map that looks at the network, and the range of all such maps."""
    found, blind = [], findings.description.blind
    for output in outputs:
        values = values_of(findings, output)
        values = values if values.empty else values[~values["estimator"].isin(blind)]
        if values.empty:
            continue
        best, ends = values.iloc[0], interval_words(output, values.iloc[0])
        numbers = values["value"].to_numpy(float)
        reach = f"{printed(output, float(np.nanmin(numbers)))} to {printed(output, float(np.nanmax(numbers)))}"
        sure = "" if ends == NOTHING else f" ({ends})"
        whose = map_title(findings, best["estimator"], best["form"])
        found.append(
            f"{output.label}: {printed(output, best['value'])}{sure} of {whose}, {reach} over {len(values)} maps, "
            f"{int(best['cases'])} cases of {int(best['patients'])} patients."
        )
    return found
