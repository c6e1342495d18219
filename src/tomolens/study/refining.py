"""Copies of a study's networks that went on learning from randomly masked images, which F-Fidelity asks."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import fx, jit

from ..cases import Cases
from ..classifier import Classifier
from ..classifier.perturbation import REMOVING
from ..classifier.training import Recipe, train
from ..classifier.weights import load_state, save_state, weights_hash
from ..errors import CaseError
from ..progress import Progress
from .settings import StudySettings

NAME = "F-Fidelity (Zheng et al. 2025, arXiv 2410.02970)"


def refined(
    settings: StudySettings,
    cases: Cases,
    classifier: Classifier,
    file: Path,
    device: str,
    stage: str,
    progress: Progress,
    *,
    given: bool,
) -> tuple[Classifier | str, dict[str, Any]]:
    """The network after some more epochs on randomly masked images, read back or trained; and what is told of it.

    Args:
        settings: of the study.
        cases: to learn from; none of those held out.
        classifier: to begin from; it is left alone.
        file: of the refined weights.
        device: where networks run.
        stage: what progress calls it.
        progress: told how far it is.
        given: whether the network is one that is given: its images are not altered but for the masks.

    Returns:
        A string where the network cannot be refined, which says why.
    """
    reason = unrefinable(classifier) or ("" if len(cases) else "there are no training cases")
    if reason:
        return reason, _not_done(reason)
    if not file.exists():
        try:
            _refine(settings, cases, classifier, file, device, stage, progress, given)
        except CaseError as error:  # too few patients to choose an epoch by
            return str(error), _not_done(str(error))
    network = copy.deepcopy(classifier.network)
    notes = load_state(network, file)
    network.to(device).eval()
    chosen = settings.classifier.refining
    told = (
        f"For {NAME} a copy of each network went on learning for up to {chosen.epochs} epochs at a rate of "
        f"{chosen.learning_rate:g}, from images of which a random tenth of the pixels was the mean of their channel."
    )
    facts = {"refining": {**notes, "weights": weights_hash(network)}, "told": [told]}
    return replace(classifier, network=network, quick=None, folded=None), facts


def _not_done(reason: str) -> dict[str, Any]:
    return {"refining": f"not done: {reason}", "told": [f"{NAME} was not assessed: {reason}."]}


def unrefinable(classifier: Classifier) -> str:
    """Why a network cannot go on learning; empty where it can."""
    if classifier.forward_only:
        return classifier.forward_only
    if classifier.output not in ("logit", "logits"):
        return f"the network returns {classifier.output}, and only logits are learned from"
    if classifier.task == "labels":
        return "the network has several labels"
    if not any(weight.is_floating_point() for weight in classifier.network.parameters()):
        return "the network has no weights that could be trained"
    if any(isinstance(one, fx.GraphModule | jit.ScriptModule) for one in classifier.network.modules()):
        return "the network is exported or scripted, and cannot be trained"
    return ""


def _refine(
    settings: StudySettings,
    cases: Cases,
    classifier: Classifier,
    file: Path,
    device: str,
    stage: str,
    progress: Progress,
    given: bool,
) -> None:
    chosen, recipe = settings.classifier.refining, settings.classifier.recipe
    if given:
        recipe = Recipe(batch_size=recipe.batch_size, validation=recipe.validation, augment=False)
    recipe = replace(recipe, epochs=chosen.epochs, learning_rate=chosen.learning_rate, perturb=False)
    progress(stage, 0, recipe.epochs)
    trained = train(
        cases,
        recipe,
        seed=settings.seed,
        start=replace(classifier, score="logit"),
        device=device,
        progress=lambda done, total, note: progress(stage, done, total, note),
        perturbation=REMOVING,
    )
    notes = {"epoch": trained.epoch, "cases": len(cases), "validation_accuracy": trained.validation_accuracy}
    save_state(trained.network, file, notes)
    progress(stage, recipe.epochs, recipe.epochs, f"validation accuracy {trained.validation_accuracy:.3f}")
