"""CLAIM, the checklist for artificial intelligence in medical imaging: its 2024 update, and the edition of 2020."""

import numpy as np

from ..findings import Findings
from ..findings.printing import values_of
from .checklist import OPEN, Checklist, Item, of_criteria
from .methods import baselines_of, explained_class, paragraphs

TITLE = "Checklist for Artificial Intelligence in Medical Imaging (CLAIM)"


def claim(findings: Findings) -> tuple[Checklist, Checklist]:
    """Both editions: journals ask for one or the other, and they number items differently."""
    said = _said(findings)
    update = (Item(str(number), asks, said.get(number, OPEN)) for number, asks in enumerate(CLAIM_2024, start=1))
    first = (
        Item(str(number), asks, said.get(same, OPEN) if same else OPEN)
        for number, (asks, same) in enumerate(CLAIM_2020, start=1)
    )
    return (
        Checklist(
            "claim",
            f"{TITLE}, 2024 update",
            "Tejani et al. 2024, Radiology: Artificial Intelligence 6(4):e240300, doi 10.1148/ryai.240300",
            tuple(update),
        ),
        Checklist(
            "claim-2020",
            f"{TITLE}, edition of 2020, which the update replaces",
            "Mongan, Moy and Kahn 2020, Radiology: Artificial Intelligence 2(2):e200029, doi 10.1148/ryai.2020200029",
            tuple(first),
        ),
    )


def _said(findings: Findings) -> dict[int, str]:
    """What this study can say on items of the 2024 update, by number."""
    cases, settings = findings.measured.cases, findings.description.settings
    failed, skipped = len(findings.measured.failed), len(findings.description.get("skipped", {}))
    networks = findings.description.get("networks", [])
    every, patients = len(cases) + failed + skipped, cases["patient"].nunique()
    trained = bool(networks) and networks[0]["source"] == "trained"
    methods = paragraphs(findings)
    said = {
        9: methods[0],
        12: f"Of {every} cases {skipped} could not be read and {failed} could not be evaluated; each is named with its "
        "reason in study.json or the measurements."
        if skipped + failed
        else f"None of {every} cases is missing: all could be read and evaluated.",
        20: "Patients: no network saw a patient it is tested on." if trained else OPEN,
        22: f"{settings['classifier']['recipe']['architecture']}." if trained else OPEN,
        23: ", ".join(f"{name} {version}" for name, version in sorted(findings.description.raw["versions"].items())),
        24: _starts(findings) if trained else OPEN,
        25: _recipe(findings) if trained else OPEN,
        26: "The epoch with the least validation loss on held-out patients of the training cases." if trained else OPEN,
        27: "None: each case is decided by one network."
        if trained
        else "Each case is decided by the network that was given; whether that is an ensemble is not known here.",
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
        37: f"{_accuracy(findings, trained)} {findings.verdict.sentence}",
        39: _wrong(findings),
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
        said |= {
            14: "Known by simulation: label and mask are those that the image was drawn with, the mask as the pixels "
            "that blood or a finding covers for the most part. The known truth of maps is another: where an image "
            "differs from its twin."
        }
    return said


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
CLAIM_2020 = (
    ("title or abstract names the kind of artificial intelligence", 1),
    ("structured summary", 2),
    ("background and clinical role", 3),
    ("aims and hypotheses", 4),
    ("prospective or retrospective", 5),
    ("goal of the study", 6),
    ("sources of data", 7),
    ("who was eligible", 8),
    ("preprocessing", 9),
    ("selection of parts of the data", 10),
    ("definitions of data elements", None),
    ("de-identification", 11),
    ("missing data", 12),
    ("definition of the reference standard", 14),
    ("why that reference standard", 15),
    ("who made the reference annotations", 16),
    ("tools of annotation", None),
    ("variability between and within raters", 18),
    ("intended number of cases", 21),
    ("how cases were assigned to partitions", 19),
    ("at which level partitions are disjoint", 20),
    ("the model in detail", 22),
    ("software", 23),
    ("initial weights", 24),
    ("training in detail", 25),
    ("selection of the final model", 26),
    ("ensembling", 27),
    ("metrics of performance", 28),
    ("significance and uncertainty", 29),
    ("robustness or sensitivity", 30),
    ("methods of explainability and how they were validated", 31),
    ("testing on external data", 33),
    ("flow of the cases", 35),
    ("characteristics of the cases in each partition", 36),
    ("performance in all partitions", 37),
    ("diagnostic accuracy with its precision", 38),
    ("failure analysis", 39),
    ("limitations", 40),
    ("implications for practice", 41),
    ("registration", 34),
    ("where the full protocol is", 42),
    ("funding", 44),
)
"""Likewise, each with the number of the 2024 item that asks for the same; None for none."""


def _accuracy(findings: Findings, trained: bool) -> str:
    accuracy = findings.description.get("accuracy", {}).get("balanced")
    if accuracy is None or np.isnan(accuracy):
        return "Accuracy of the classifier: not known here."
    held_out = " on held-out patients" if trained else ""
    return f"Balanced accuracy of the classifier{held_out}: {100 * accuracy:.1f} %."


def _wrong(findings: Findings) -> str:
    """How many cases were predicted wrongly, and in how many of them each view has a number."""
    cases, table = findings.measured.cases, findings.tables["strata"]
    wrong = int((cases["label"] != cases["predicted"]).sum())
    if not wrong:
        return f"None of {len(cases)} cases was predicted wrongly."
    rows = table[(table["stratum"] == "prediction") & (table["of"] == "wrong")] if len(table) else table
    parts = [
        f"{int(of_view['cases'].max())} by {findings.views[str(view)].judges.title}"
        for view, of_view in (rows.groupby("view", sort=False) if len(rows) else ())
    ]
    apart = f" Maps of these were measured in {', '.join(parts)}, apart in tables/strata.csv." if parts else ""
    return f"{wrong} of {len(cases)} cases were predicted wrongly.{apart}"


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
    parts += of_criteria(findings, "weights", "again", "robust")
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
