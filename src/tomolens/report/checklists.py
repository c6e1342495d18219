"""Stubs of the checklists that journals and regulators ask for, filled with what a study can say; to be edited.

Items are in our own words, by their numbers or names; the checklists themselves are what counts. What a study cannot
know is left to its authors, and said so.
"""

from collections.abc import Iterable, Iterator

from ..findings import Findings
from .checklist import OPEN, Checklist, Item, of_criteria, of_views
from .claim import claim


def checklists(findings: Findings) -> tuple[Checklist, ...]:
    """All of them."""
    return (
        *claim(findings),
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


def _clix_m(findings: Findings) -> Iterator[Item]:
    experts = _sentences(of_views(findings, "expert"))
    limits = " ".join((findings.verdict.sentence, *findings.verdict.reasons))
    says: dict[str, str] = {
        "Correctness": _sentences(of_views(findings, "model", "truth")),
        "Confidence": _sentences(of_criteria(findings, "confidence")),
        "Consistency": _sentences(of_criteria(findings, "again")),
        "Robustness": _sentences(of_criteria(findings, "robust")),
        "Reasonableness": f"{experts} Whether clinicians find maps coherent is for the authors to ask.",
        "Causal validity": _sentences(of_views(findings, "truth")),
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
    same = _sentences(of_criteria(findings, "robust", "again"))
    yield Item("Consistency", "how much maps of like inputs vary", same)
    yield Item("Plausibility", "how near they are to the reference", _sentences(of_views(findings, "expert", "truth")))
    fidelity = _sentences([*of_views(findings, "model"), *of_criteria(findings, "weights")])
    yield Item("Fidelity", "how well they show the model's own mechanism", f"{fidelity} {findings.verdict.sentence}")
    yield Item("Usefulness", "whether readers perform better with them", f"{OPEN} Not measured: it takes readers.")


def _sentences(parts: Iterable[str]) -> str:
    return " ".join(parts) or f"{OPEN} Not measured in this study."
