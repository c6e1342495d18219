"""What training cases lend to the evaluation of others: reference images, and the atlas of their masks."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from ..cases import Cases
from ..estimators.probes import References
from ..randomness import generator
from .settings import StudySettings
from .sides import Side
from .survey import Survey


def mean_mask_of(found: Survey, training: NDArray[np.intp], settings: StudySettings) -> NDArray[np.float64] | None:
    """Mean of the usable masks of at most ``references`` training cases; None where there are none.

    Cases are drawn at random, one of each patient before the second of any.
    """
    if "mean-mask" not in settings.estimators.baselines:
        return None
    masked = [int(index) for index in training if found.masks[index] == "usable"]
    shuffled = generator(settings.seed, "mean-mask").permutation(np.array(masked, dtype=np.intp))
    turns: Counter[str] = Counter()
    order = []
    for place, index in enumerate(shuffled.tolist()):
        patient = found.cases.entries[index].patient
        order.append((turns[patient], place, index))
        turns[patient] += 1
    chosen = sorted(index for _, _, index in sorted(order)[: settings.estimators.references])
    masks = [mask for index in chosen if (mask := found.cases[index].mask) is not None]
    return np.mean(masks, axis=0) if masks else None


def missing_baselines(settings: StudySettings, found: Survey, sides: Sequence[Side]) -> dict[str, str]:
    """The blind baselines that cannot be drawn in some fold, with the reason."""
    if "mean-mask" not in settings.estimators.baselines:
        return {}
    without = [side for side in sides if not any(found.masks[index] == "usable" for index in side.training)]
    if not without:
        return {}
    lacking = "training cases" if all(len(side.training) == 0 for side in without) else "training masks"
    return {"mean-mask": f"no {lacking}" + (f" in {len(without)} of {len(sides)} folds" if len(sides) > 1 else "")}


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
