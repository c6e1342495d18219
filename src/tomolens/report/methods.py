"""The methods section: every parameter, version and hash of a study."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..cases.preprocessing import mm_in_words
from ..cases.windows import in_words
from ..findings import Findings
from ..findings.printing import judged, title, values_of
from .classes import several_classes

PROTOCOL = (
    "Brocki et al. 2022, “Evaluation of importance estimators in deep learning classifiers for Computed Tomography” "
    "(arXiv 2209.15398)"
)


def paragraphs(findings: Findings) -> list[str]:
    """How the study was done, as a paper would say it."""
    description, settings = findings.description, findings.description.settings
    metrics, statistics, cases = settings["metrics"], settings["statistics"], settings["cases"]
    estimators = "; ".join(one.title for one in description.estimators if not one.baseline)
    baselines = "; ".join(title(findings, name) for name in baselines_of(findings)) or "none"
    measured, prepared = findings.measured.cases, description.raw["content"]["cases"]
    sides = " × ".join(map(str, prepared["shape"][1:]))
    unit = "voxels" if len(prepared["shape"]) == 4 else "pixels"
    made = (
        f"windowed to {in_words(cases['window'])}, scaled to [0, 1]{_cropped(cases.get('crop'))}"
        f"{_resampled(cases.get('spacing'))}"
        if prepared["windowed"]
        else "given as arrays,"
    )
    networks = description.get("networks", [])
    held_out = " held-out" if networks and all(one["source"] == "trained" for one in networks) else ""
    chosen = "; ".join(f"{name} {value}" for name, value in _flat(metrics) if name != "names")
    return [
        f"The protocol is that of {PROTOCOL}. {len(measured)}{held_out} images of {measured['patient'].nunique()} "
        f"patients were {made} to {sides} {unit}, {prepared['shape'][0]} channel(s).",
        f"Estimators: {estimators}; each map as it is and as absolute values, for {explained_class(settings)} "
        f"(direction: {settings['estimators']['direction']}). Blind baselines: {baselines}.",
        *(
            f"{view.label} ({judged(view)}): {view.judges.text}"
            for view in findings.views.values()
            if view.judges.text and len(values_of(findings, view))
        ),
        f"Settings of the measures: {chosen}.",
        *_given(findings),
        *_trained(findings),
        *_accuracy(findings),
        *_software(findings),
        *_told(findings),
        f"Intervals: {100 * statistics['confidence']:.0f} % BCa bootstrap over patients ({statistics['resamples']} "
        "resamples); pairs of maps by Wilcoxon's signed-rank test on patient means with Holm's correction; mean ranks "
        "by Friedman's test with Nemenyi's critical difference; rank intervals from the same resamples. A map surely "
        "beats the best blind map, chosen anew in every resample, where the interval of its gain lies above 0 and its "
        "one-sided p (Student's t of the gain by its bootstrap standard error), with Holm's correction over all maps "
        f"and views, is below {1 - findings.confidence:.2g}: filled dots, no † behind the gain, and the verdict.",
    ]


def _given(findings: Findings) -> list[str]:
    """The file of a network that was given, as a paper would cite it."""
    cited = [one for one in findings.description.get("networks", []) if "file_hash" in one]
    return [
        f"The network was given: {one['network']}, whose content has the hash {one['file_hash']}." for one in cited[:1]
    ]


def _trained(findings: Findings) -> list[str]:
    """How the networks of the study were trained, as a paper would say it."""
    trained = [one for one in findings.description.get("networks", []) if one["source"] == "trained"]
    if not trained:
        return []
    recipe = findings.description.settings["classifier"]["recipe"]
    sizes = ", ".join(str(one["cases"]) for one in trained)
    epochs = ", ".join(str(one["epoch"]) for one in trained)
    of = "The network" if len(trained) == 1 else f"{len(trained)} networks, one a fold,"
    verb = "was" if len(trained) == 1 else "were"
    return [
        f"{of} ({recipe['architecture']}) {verb} trained on {sizes} cases for at most {recipe['epochs']} epochs "
        f"(batches of {recipe['batch_size']}, AdamW, largest learning rate {recipe['learning_rate']:g}), a share of "
        f"{recipe['validation']:g} held out to choose the epoch that is kept ({epochs})."
    ]


def _accuracy(findings: Findings) -> list[str]:
    accuracy = findings.description.get("accuracy", {}).get("balanced")
    if accuracy is None or accuracy != accuracy:
        return []
    what = "Accuracy, the mean of the classes," if several_classes(findings) else "Accuracy"
    return [f"{what} on the cases that are explained: {100 * accuracy:.1f} %."]


def _software(findings: Findings) -> list[str]:
    versions = findings.description.raw["versions"]
    named = {"tomolens": "TomoLens", "torch": "PyTorch", "numpy": "NumPy", "monai": "MONAI", "python": "Python"}
    shown = [f"{title} {versions[name]}" for name, title in named.items() if name in versions]
    return [f"Software: {', '.join(shown)}."]


def _told(findings: Findings) -> list[str]:
    """What the networks' own training has to say beside the settings."""
    return list(
        dict.fromkeys(one for network in findings.description.get("networks", []) for one in network.get("told", []))
    )


def explained_class(settings: Mapping[str, Any]) -> str:
    """Whose maps a study makes, in words."""
    chosen = settings["estimators"].get("explained", "predicted")
    return {
        "predicted": "the predicted class",
        "true": "the true class",
        "each": "the predicted class, and beside it for each class",
    }.get(chosen, f"the class “{chosen}”")


def _cropped(crop: str | None) -> str:
    return "" if crop is None else f", cropped to the {crop} as found in HU"


def _resampled(spacing: float | Sequence[float] | None) -> str:
    return " and resized" if spacing is None else f", resampled to pixels of {mm_in_words(spacing)}, and cut or padded"


def baselines_of(findings: Findings) -> list[str]:
    """All that is blind and was measured: those of the table."""
    table = findings.tables["baselines"]
    return [] if table.empty else list(dict.fromkeys(table["baseline"][table["not_drawn"] == ""]))


def parameters(findings: Findings) -> list[tuple[str, str]]:
    """Every choice of the study by its name in the study file, with the parameters of each estimator."""
    given = findings.description.raw["content"].get("classifier") is not None
    trained = ("classifier.recipe", "classifier.pretraining")  # not of a network that was given
    return [
        *(one for one in _flat(findings.description.settings) if not (given and one[0].startswith(trained))),
        *(
            (f"estimator {one.name}", f"{one.parameters}{f' [{one.source}]' if one.source else ''}")
            for one in findings.description.estimators
            if not one.baseline
        ),
    ]


def hashes(findings: Findings) -> list[tuple[str, str]]:
    """Versions and hashes that identify the study."""
    description = findings.description.raw
    machine = description["machine"]
    return [
        *sorted(description["versions"].items()),
        ("commit", description["commit"] or "not known"),
        ("machine", f"{machine['name']} ({machine['device']}, {machine['executor']})"),
        ("settings, hash", description["settings_hash"]),
        ("cases, hash", description["content"]["cases"]["hash"]),
        *((f"network {one['fold'] + 1}, hash", one["weights"]) for one in description.get("networks", [])),
        *(
            (f"file of network {one['fold'] + 1}, hash", one["file_hash"])
            for one in description.get("networks", [])
            if "file_hash" in one
        ),
        ("study, hash", description["identity"]),
    ]


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in settings.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            shown = ", ".join(map(str, value)) if isinstance(value, list) else value
            yield f"{prefix}{name}", "–" if shown in (None, "", {}) else str(shown)
