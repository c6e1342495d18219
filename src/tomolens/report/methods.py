"""The methods section: every parameter, version and hash of a study, and what CLAIM asks about explainability."""

from collections.abc import Iterator, Mapping
from typing import Any

from ..estimators import ESTIMATORS
from ..findings import Findings
from ..findings.views import TWO_VIEWS, VIEWS
from .answer import values_of
from .style import title

PROTOCOL = (
    "Brocki et al. 2022, “Evaluation of importance estimators in deep learning classifiers for Computed Tomography” "
    "(arXiv 2209.15398)"
)


def paragraphs(findings: Findings) -> list[str]:
    """How the study was done, as a paper would say it."""
    settings = findings.settings
    metrics, statistics, cases = settings.metrics, settings.statistics, settings.cases
    low, high = (f"{end:g}" for end in cases.window)
    size = " × ".join(map(str, cases.size if isinstance(cases.size, tuple) else (cases.size, cases.size)))
    estimators = ", ".join(title(name) for name in settings.estimators.names)
    measured = findings.measured.cases
    fill = "1 for class 0 and 0 for class 1" if metrics.fill == "label" else f"{metrics.fill}"
    return [
        f"The protocol is that of {PROTOCOL}. {len(measured)} held-out images of {measured['patient'].nunique()} "
        f"patients were windowed to {low} to {high} HU, scaled to [0, 1] and resized to {size} "
        "pixels.",
        f"Estimators: {estimators}; each map as it is and as absolute values, for the predicted class "
        f"(signs: {settings.estimators.signs}). Blind baselines: "
        f"{', '.join(title(name) for name in baselines_of(findings)) or 'none'}.",
        f"Fidelity: pixels masked in {metrics.steps} equal steps with {fill}, most and least important first; F is the "
        "area between the accuracies, averaged over the classes, and is printed times 10. ROC: exact area by image "
        f"(ties half), and curves at {metrics.roc_points} thresholds on quantiles and on normalised scores. Region "
        "overlap: XRAI's regions, grown by mean importance, and Dice with the expert's mask at 1 to 100 % of the image "
        "and at the mask's own share.",
        f"Intervals: {100 * statistics.confidence:.0f} % BCa bootstrap over patients ({statistics.resamples} "
        "resamples); "
        "pairs of maps by Wilcoxon's signed-rank test on patient means with Holm's correction; mean ranks by "
        "Friedman's test with Nemenyi's critical difference; rank intervals from the same resamples.",
    ]


def baselines_of(findings: Findings) -> list[str]:
    """The blind baselines that were measured, random among them: those of the table."""
    table = findings.tables["baselines"]
    return [] if table.empty else list(dict.fromkeys(table["baseline"][table["not_drawn"] == ""]))


def parameters(findings: Findings) -> list[tuple[str, str]]:
    """Every choice of the study by its name in the study file, with the parameters of each estimator."""
    chosen = list(_flat(findings.settings.model_dump(mode="json")))
    for estimator in findings.settings.estimators.make():
        name = estimator.name
        source = getattr(ESTIMATORS.get(name), "source", "")
        chosen.append((f"estimator {name}", f"{estimator!r}{f' [{source}]' if source else ''}"))
    return chosen


def hashes(findings: Findings) -> list[tuple[str, str]]:
    """Versions and hashes that identify the study."""
    description = findings.description
    machine = description["machine"]
    return [
        *sorted(description["versions"].items()),
        ("commit", description["commit"] or "not known"),
        ("machine", f"{machine['name']} ({machine['device']}, {machine['executor']})"),
        ("settings, hash", description["settings_hash"]),
        ("cases, hash", description["content"]["cases"]["hash"]),
        *((f"network {one['fold'] + 1}, hash", one["weights"]) for one in description.get("networks", [])),
        ("study, hash", description["identity"]),
    ]


def claim(findings: Findings) -> list[tuple[str, str, str]]:
    """Items of CLAIM (Mongan, Moy, Kahn 2020) that a study of importance maps can fill: number, item, text."""
    cases = findings.measured.cases
    wrong = int((cases["label"] != cases["predicted"]).sum())
    assessed = [view.title for view in VIEWS.values() if view.name in TWO_VIEWS and len(values_of(findings, view))]
    missing = [VIEWS[name].title for name in TWO_VIEWS if VIEWS[name].title not in assessed]
    external = "not assessed: the cases are those of one study; whether they are external is for the authors to say"
    return [
        (
            "28",
            "Metrics of model performance",
            f"Balanced accuracy of the classifier on held-out patients: "
            f"{100 * findings.description.get('accuracy', {}).get('balanced', float('nan')):.1f} %.",
        ),
        (
            "29",
            "Statistical measures of significance and uncertainty",
            "BCa bootstrap over patients; Wilcoxon with Holm's correction; Friedman with Nemenyi; rank intervals "
            "(tables/pairs.csv, tables/ranks.csv).",
        ),
        (
            "30",
            "Robustness or sensitivity analysis",
            f"{len(baselines_of(findings))} blind baselines measured in the same way (tables/baselines.csv, "
            "tables/gains.csv); strata by "
            "label, prediction, mask size and patient (tables/strata.csv, tables/patients.csv).",
        ),
        (
            "31",
            "Methods for explainability or interpretability and how they were validated",
            f"{len(findings.settings.estimators.names)} importance estimators, validated by {', '.join(assessed)}"
            f"{'; not assessed: ' + ', '.join(missing) if missing else ''}.",
        ),
        ("32", "Validation or testing on external data", f"{external[0].upper()}{external[1:]}."),
        (
            "37",
            "Failure analysis of incorrectly classified cases",
            f"{wrong} of {len(cases)} cases were predicted wrongly; their maps are counted in every table and apart in "
            "tables/strata.csv.",
        ),
    ]


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in settings.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            shown = ", ".join(map(str, value)) if isinstance(value, list) else value
            yield f"{prefix}{name}", "–" if shown in (None, "", {}) else str(shown)
