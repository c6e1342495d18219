"""What training cases lend to the evaluation of others: reference images, masked ones, and the atlas of their masks."""

from collections import Counter
from collections.abc import Collection, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..cases import Case
from ..classifier.intensity import Intensity
from ..classifier.perturbation import random_mask
from ..estimators.baselines import BASELINES
from ..estimators.subject import References, Scene
from ..imputers.fills import imputer, of_class
from ..randomness import generator
from .folds import Fold
from .plan import Plan
from .settings import StudySettings
from .survey import Survey


def atlas_of(found: Survey, training: NDArray[np.intp], settings: StudySettings) -> NDArray[np.float64] | None:
    """Mean of the usable masks of at most ``references`` training cases; None where there are none.

    Cases are drawn at random, one of each patient before the second of any.
    """
    if not _needing_atlas(settings):
        return None
    masked = [int(index) for index in training if found.masks[index] == "usable"]
    shuffled = generator(settings.seed, "mean-mask").permutation(np.array(masked, dtype=np.intp))
    turns: Counter[str] = Counter()
    order = []
    for position, index in enumerate(shuffled.tolist()):
        patient = found.cases.entries[index].patient
        order.append((turns[patient], position, index))
        turns[patient] += 1
    chosen = sorted(index for _, _, index in sorted(order)[: settings.estimators.references])
    masks = [mask for index in chosen if (mask := found.cases[index].mask) is not None]
    return np.mean(masks, axis=0) if masks else None


def missing_baselines(settings: StudySettings, found: Survey, folds: Sequence[Fold]) -> dict[str, str]:
    """The blind baselines that cannot be drawn in some fold, with the reason."""
    needing = _needing_atlas(settings)
    if not needing:
        return {}
    without = [fold for fold in folds if not any(found.masks[index] == "usable" for index in fold.training)]
    if not without:
        return {}
    lacking = "training cases" if all(len(fold.training) == 0 for fold in without) else "training masks"
    reason = f"no {lacking}" + (f" in {len(without)} of {len(folds)} folds" if len(folds) > 1 else "")
    return dict.fromkeys(needing, reason)


def _needing_atlas(settings: StudySettings) -> list[str]:
    baselines = [BASELINES[name] for name in settings.estimators.baselines]
    return [one.name for one in (*settings.estimators.make(), *baselines) if "atlas" in one.needs]


def draw_references(found: Survey, training: NDArray[np.intp], settings: StudySettings) -> References | None:
    """Training images, at most ``references`` of them, drawn class by class, with what estimators see beside them."""
    if len(training) == 0:
        return None
    labels = found.cases.labels[training]
    kinds = np.unique(labels)
    share = max(1, settings.estimators.references // len(kinds))
    random = generator(settings.seed, "references")
    chosen = np.concatenate([np.sort(random.permutation(training[labels == kind])[:share]) for kind in kinds])
    picked, needs = found.cases.select(chosen), {need for one in settings.estimators.make() for need in one.needs}
    images, scenes = [], []
    for case in picked:
        images.append(case.image)
        scenes.append(_scene(case, needs, found.structures))
    return References(torch.from_numpy(np.stack(images)), torch.from_numpy(picked.labels), tuple(scenes))


def _scene(case: Case, needs: Collection[str], structures: Sequence[str]) -> Scene:
    """What a case has beside its image, as far as estimators need it; what is made of the image itself is not kept."""
    anatomy = None
    if "anatomy" in needs and case.anatomy is not None:
        anatomy = case.anatomy.numbered(structures).astype(np.min_scalar_type(len(structures)))
    return Scene(
        body=case.body if "body" in needs else None,
        twin=case.twin if "twin" in needs else None,
        anatomy=anatomy,
        spacing=None if case.grid is None else case.grid.spacing,
    )


MASKED = 64
"""Training images to which quick backends in eight bits are fitted."""


def masked_references(references: References | None, plan: Plan, intensity: Intensity) -> Tensor | None:
    """Training images with parts of them masked as for fidelity, ``(MASKED, C, *spatial)``; None where there are none.

    What is masked is where smooth noise is lowest: of each image another share, from nothing to all of it.
    """
    if references is None or not len(references.images):
        return None
    images, random = torch.as_tensor(references.images), generator(plan.seed, "masked references")
    labels = np.asarray(references.labels)
    made = []
    for number in range(MASKED):
        at = number % len(images)
        hidden = random_mask(images.shape[2:], random)[None]
        fill = of_class(plan.metrics.fill, int(labels[at]))
        masking = imputer("mean" if fill == "twin" else fill, images[at], int(labels[at]), intensity=intensity)
        made.append(masking.fill(hidden))
    return torch.cat(made)
