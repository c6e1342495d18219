"""The runner: cases and networks for a study file, then `evaluate` mapped over all held-out cases."""

import hashlib
import json
import platform
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from ..cases import Cases
from ..classifier import Classifier
from ..classifier.quick import Quick
from ..classifier.training import balanced_accuracy
from ..classifier.weights import weights_hash
from ..errors import SettingsError
from ..estimators.explain import needs_references
from ..estimators.probes import References
from ..metrics.fidelity import masked_images
from ..progress import Progress, silent
from ..randomness import generator
from .evaluate import Plan, evaluate
from .networks import networks_of
from .settings import StudySettings
from .sides import Side, sides_of
from .store import Store
from .survey import Survey, survey

LIBRARIES = ("tomolens", "torch", "monai", "numpy", "scipy", "numba", "pandas", "pydicom", "SimpleITK")


def run_study(
    settings: StudySettings,
    store: Store,
    cases: Cases,
    *,
    classifier: Classifier | None = None,
    device: str = "cpu",
    on_error: Literal["stop", "skip"] = "stop",
    progress: Progress = silent,
) -> None:
    """Run a study into its folder, or finish one that was interrupted.

    Args:
        settings: the study file.
        store: of the folder to write.
        cases: all cases, training and held out.
        classifier: to evaluate on all cases; None trains one for each fold, as the study file says.
        device: where the network runs.
        on_error: whether a case that cannot be read ends the study, or is left out and counted.
        progress: told how far it is.

    Raises:
        TomolensError: input that cannot be used, or a folder that holds another study.
    """
    found = survey(cases, progress, on_error=on_error)
    cases = found.cases
    sides = sides_of(settings, cases, everything_held_out=classifier is not None)
    estimators = settings.estimators.make()
    if any(needs_references(estimator) for estimator in estimators) and any(len(side.training) == 0 for side in sides):
        raise SettingsError(
            "expected-gradients draws training images and the study has none: mark some cases as train in the "
            "manifest's split column, or leave this estimator out of estimators.names"
        )
    description = describe(settings, found, cases, classifier)
    store.open(description)
    examples = choose_examples(cases, sides, found.masks, settings)
    plan = Plan(settings.seed, estimators, settings.estimators.signs, settings.metrics, settings.batch_size)
    total = sum(len(side.held_out) for side in sides)
    done = 0
    facts = []
    quick: Quick | None = None
    for side, trained in networks_of(settings, cases, sides, store, classifier, device, progress):
        references = draw_references(cases, side.training, settings)
        left = [int(index) for index in side.held_out if not store.is_finished(index, cases.entries[index].name)]
        pending = frozenset(left)
        quickened = quick_classifier(trained.classifier, settings, cases, left, quick)
        quick = quickened.quick
        progress("explaining and evaluating", done, total)
        for index in side.held_out:
            entry = cases.entries[index]
            if index in pending:
                case = cases[index]
                evaluation = evaluate(case, quickened, plan, references)
                if index in examples:
                    store.write_example(case, evaluation)
                store.write(index, entry, side.fold, found.masks[index], evaluation)
            done += 1
            progress("explaining and evaluating", done, total, entry.name)
        way = {"decisions": "plain" if quick is None else quick.name}
        facts.append({**trained.facts, **way, "fold": side.fold, "weights": weights_hash(trained.classifier.network)})
    store.write_description({**description, "networks": facts, "accuracy": accuracy_of(store)})


def quick_classifier(
    classifier: Classifier, settings: StudySettings, cases: Cases, left: Sequence[int], like: Quick | None
) -> Classifier:
    """The classifier with the quickest way to its decisions on the cases that are left, where the study allows one."""
    if settings.precision == "fp32" or not len(left) or "fidelity" not in settings.metrics.names:
        return classifier
    image = torch.from_numpy(cases[left[0]].image)
    example = image.expand(settings.batch_size, *image.shape).contiguous()
    images = len(left) * len(settings.estimators.names) * masked_images(settings.metrics.steps)
    return classifier.quickened(example, images, like)


def accuracy_of(store: Store) -> dict[str, float]:
    """Balanced and plain accuracy of the networks on the held-out cases."""
    cases = store.measurements().drop_duplicates("case")
    labels, predicted = cases["label"].to_numpy(), cases["predicted"].to_numpy()
    return {"balanced": balanced_accuracy(labels, predicted), "plain": float(np.mean(labels == predicted))}


def describe(settings: StudySettings, found: Survey, cases: Cases, classifier: Classifier | None) -> dict[str, Any]:
    """The content of ``study.json``; ``identity`` is the hash of all that decides the numbers."""
    content: dict[str, Any] = {
        "settings": json.loads(settings.model_dump_json()),
        "cases": {"count": len(cases), "hash": found.hash},
        "classifier": None if classifier is None else weights_hash(classifier.network),
    }
    identity = hashlib.blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=16).hexdigest()
    states = dict(zip(*np.unique(found.masks, return_counts=True), strict=True))
    return {
        "identity": identity,
        "content": content,
        "fingerprints": dict(zip(cases.names, cases.fingerprints, strict=True)),
        "masks": {str(state): int(count) for state, count in states.items()},
        "skipped": found.skipped,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}},
    }


def choose_examples(
    cases: Cases, sides: Sequence[Side], masks: Sequence[str], settings: StudySettings
) -> frozenset[int]:
    """The held-out cases kept whole for the figures: those with usable masks first, the classes in turn."""
    held_out = sorted((index for side in sides for index in side.held_out), key=lambda i: (masks[i] != "usable", i))
    by_label = [[i for i in held_out if cases.entries[i].label == label] for label in range(len(cases.classes))]
    order = sorted((place, label) for label, members in enumerate(by_label) for place in range(len(members)))
    return frozenset(by_label[label][place] for place, label in order[: settings.examples])


def draw_references(cases: Cases, training: NDArray[np.intp], settings: StudySettings) -> References | None:
    """Training images for expected gradients, at most ``references`` of them, drawn class by class."""
    if len(training) == 0:
        return None
    labels = cases.labels[training]
    kinds = np.unique(labels)
    share = max(1, settings.estimators.references // len(kinds))
    random = generator(settings.seed, "references")
    chosen = np.concatenate([np.sort(random.permutation(training[labels == kind])[:share]) for kind in kinds])
    picked = cases.select(chosen)
    return References(torch.from_numpy(picked.images()), torch.from_numpy(picked.labels))
