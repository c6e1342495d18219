"""Maps while they are made from gradients, batch by batch; an estimator that fails costs its own maps alone."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..classifier import Classifier
from ..errors import NetworkError, TomolensError, is_out_of_memory
from .backward_rules import Gradients, gradients
from .estimators import BlindEstimator, Estimator
from .probes import Subject
from .schedule import Item


@dataclass
class Explained:
    """What came of explaining some images.

    Attributes:
        maps: of each estimator for which every image has one, ``(N, C, *spatial)``.
        failed: why the others have none.
        notes: what must be said beside a map.
    """

    maps: dict[str, Tensor]
    failed: dict[str, TomolensError] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)


class Making:
    """Maps while they are made."""

    def __init__(self, classifier: Classifier, maps: dict[str, Tensor], names: Sequence[str]) -> None:
        self.classifier, self.maps, self.names = classifier, maps, names
        self.failed: dict[str, TomolensError] = {}
        self.notes: dict[str, list[str]] = {}
        self.points: Counter[tuple[str, int]] = Counter()
        self.clamped: Counter[tuple[str, int]] = Counter()

    def draw(self, name: str, index: int, estimator: BlindEstimator, subject: Subject) -> None:
        """The map of an estimator that does not look at the network."""
        try:
            self.maps[name][index] = estimator.draw(subject)
        except Exception as error:
            self.failed.setdefault(name, _as_own(error))

    def add(self, batch: Sequence[Item]) -> None:
        """Take a batch of gradients; where that fails, one by one, so that each failure is its estimators' own."""
        batch = [item for item in batch if any(name not in self.failed for name, _, _ in item.run.readers)]
        if not batch:
            return
        try:
            taken = self._taken(batch)
        except Exception as error:
            if is_out_of_memory(error):
                raise
            if len(batch) > 1:
                for item in batch:
                    self.add([item])
                return
            for name, _, _ in batch[0].run.readers:
                self.failed.setdefault(name, _as_own(error))
            return
        for item, gradient, clamped in zip(batch, taken.values, taken.clamped.tolist(), strict=True):
            for name, estimator, share in item.run.readers:
                self._add_term(name, estimator, share, item, gradient)
                self.points[name, item.index] += 1
                self.clamped[name, item.index] += clamped
        for name in {name for item in batch for name, _, _ in item.run.readers}:
            self._note(name, taken.coverage.words())
            if taken.log_odds:
                self._note(name, "of the log-odds: the network's softmax could not be seen through")

    def _add_term(self, name: str, estimator: Estimator, share: float, item: Item, gradient: Tensor) -> None:
        try:
            term = estimator.term(gradient, item.point.displacement)
            image_map = self.maps[name][item.index]
            image_map += share * item.point.weight * term
        except Exception as error:
            self.failed.setdefault(name, _as_own(error))

    def _taken(self, batch: Sequence[Item]) -> Gradients:
        points = torch.stack([item.point.image for item in batch])
        targets = torch.tensor([item.target for item in batch], device=points.device)
        return gradients(self.classifier, points, targets, batch[0].run.probe.rule)

    def _note(self, name: str, words: str) -> None:
        if words and words not in self.notes.setdefault(name, []):
            self.notes[name].append(words)

    def explained(self, device: torch.device) -> Explained:
        """What came of it, on a device."""
        for name, stack in self.maps.items():
            for index, importance in enumerate(stack):
                self._judge(name, index, importance)
        maps = {name: stack.to(device) for name, stack in self.maps.items() if name not in self.failed}
        notes = {name: "; ".join(words) for name, words in self.notes.items() if words and name in maps}
        return Explained(maps, self.failed, notes)

    def _judge(self, name: str, index: int, importance: Tensor) -> None:
        """Whether a map is one, and what must be said of it."""
        image = self.names[index]
        wrong = int((~torch.isfinite(importance)).sum())
        if wrong:
            overflow = f"{name} of image {image} has {wrong} values that are not finite, beyond {importance.dtype}"
            self.failed.setdefault(name, NetworkError(overflow))
        count, points = self.clamped[name, index], self.points[name, index]
        if count and not bool(importance.any()):
            self.failed.setdefault(name, NetworkError(_saturated(image, name)))
        elif points and not bool(importance.any()):
            self._note(name, "0 everywhere, so that its ranking is chance")
        if count:
            self._note(name, f"the score is saturated at {100 * count / points:.0f} % of the points of its gradients")


def _saturated(image: str, name: str) -> str:
    return (
        f"{name} of image {image} is 0 everywhere, because the network's probability is 0 or 1 there and its gradient "
        "vanishes: explain the logit (score='logit'), of the network without its last sigmoid or softmax"
    )


def _as_own(error: Exception) -> TomolensError:
    """An error of a network of one's own as one of ours."""
    if isinstance(error, TomolensError):
        return error
    return NetworkError(f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")


def wide(images: Tensor) -> torch.dtype:
    """The type in which means are taken: float32 at least."""
    return torch.promote_types(images.dtype, torch.float32)
