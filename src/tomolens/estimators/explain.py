"""`explain`: importance maps of images by several estimators, whose questions are answered together."""

from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..classifier import Classifier
from ..errors import MapError, NetworkError, SettingsError, TomolensError, reason_of
from ..randomness import draw_names
from .answers import Answers, answers, layer_of
from .captum_adapter import Attributed, attributed
from .estimator import Estimator, spelled
from .given import (
    Direction,
    Targets,
    classifier_of,
    images_of,
    network_of,
    require_direction,
    require_images,
    require_references,
    require_scenes,
    targets_of,
)
from .maps import Maps
from .questions import Asking, ChangedScore, Features, Importance, Kind, Question
from .registry import make_estimator
from .schedule import Schedule, Work
from .subject import References, Scene, Subject

AnyEstimator = str | Estimator
NEEDED = {
    "references": "draws training images: give references=tl.References(images, labels)",
    "fill": "looks at what masked pixels become: give scenes=[tl.Scene(fill=...), ...], one an image",
    "body": "looks at the body: give scenes=[tl.Scene(body=...), ...], one an image",
    "twin": "compares with the image's twin: give scenes=[tl.Scene(twin=...), ...], one an image",
    "anatomy": "leaves out structures: give scenes=[tl.Scene(anatomy=...), ...], one an image",
    "spacing": "is told in millimetres: give scenes=[tl.Scene(spacing=...), ...], one an image",
    "atlas": "looks at the mean of experts' masks: give scenes=[tl.Scene(atlas=...), ...], one an image",
}


@dataclass
class Explained:
    """What came of explaining some images.

    Attributes:
        maps: of each estimator for which every image has one, ``(N, C, *spatial)``.
        failed: why the others have none.
        notes: what must be said beside a map.
        completeness: of each estimator whose map should add up to a difference of scores, what it misses of it, as a
            share, ``(N,)``; NaN where the scores are the same.
    """

    maps: dict[str, Tensor] = field(default_factory=dict)
    failed: dict[str, TomolensError] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    completeness: dict[str, NDArray[np.float64]] = field(default_factory=dict)


@overload
def explain(
    classifier: Classifier | nn.Module,
    images: Tensor,
    estimators: Sequence[AnyEstimator] | AnyEstimator,
    targets: Targets | None = ...,
    *,
    references: References | None = ...,
    scenes: Sequence[Scene] | None = ...,
    direction: Direction = ...,
    seed: int = ...,
    names: Sequence[str] | None = ...,
    batch_size: int = ...,
) -> dict[str, Tensor]: ...
@overload
def explain(
    classifier: Classifier | nn.Module,
    images: NDArray[np.floating],
    estimators: Sequence[AnyEstimator] | AnyEstimator,
    targets: Targets | None = ...,
    *,
    references: References | None = ...,
    scenes: Sequence[Scene] | None = ...,
    direction: Direction = ...,
    seed: int = ...,
    names: Sequence[str] | None = ...,
    batch_size: int = ...,
) -> dict[str, NDArray[np.floating]]: ...
def explain(
    classifier: Classifier | nn.Module,
    images: Tensor | NDArray[np.floating],
    estimators: Sequence[AnyEstimator] | AnyEstimator,
    targets: Targets | None = None,
    *,
    references: References | None = None,
    scenes: Sequence[Scene] | None = None,
    direction: Direction = "class",
    seed: int = 0,
    names: Sequence[str] | None = None,
    batch_size: int = 32,
) -> dict[str, Tensor] | dict[str, NDArray[np.floating]]:
    """Importance maps of images by several estimators.

    Args:
        classifier: whose class scores are explained, or a bare network; it is left exactly as it came. What a bare
            network returns is found by asking it once, see `kind_of`, and its images lie in [0, 1].
        images: ``(N, C, *spatial)``, within the classifier's `Intensity`, a tensor of the network's floating type or
            a floating array.
        estimators: names or estimator objects. Where one is given with several parameterisations, each is named by
            what differs from its defaults, e.g. ``smoothgrad(sigma=0.3)``.
        targets: class explained for each image, ``(N,)``; by default the predicted one.
        references: training images, needed by expected gradients.
        scenes: what blind baselines see beside each image.
        direction: ``class``: every map is of the target's score, so that positive speaks for it. ``paper``:
            backpropagation, deconvolution and SmoothGrad always of class 1, as in the paper; two classes only.
        seed: of all random draws.
        names: identifies each image in those draws; its position by default.
        batch_size: images the network sees at a time, for every estimator; halved where they do not fit in memory.

    Returns:
        For each estimator's name the maps, ``(N, C, *spatial)``, not normalised; float32 where images have fewer
        bits, float64 of blind baselines. Tensors on the images' device, or arrays where images are one. A notebook
        shows them as pictures.

    Raises:
        SettingsError: unknown or doubled estimator, or one that lacks what it needs; a bare network whose outputs may
            be probabilities.
        MapError: images that are not finite, out of range or of another shape than ``(N, C, *spatial)``.
        NetworkError: an estimator that the network does not allow, or a map that is 0 because the score is clamped;
            see `Classifier.class_scores` and `answers` for more.
    """
    shown = images_of(images, network_of(classifier))
    explained = explain_each(
        classifier_of(classifier, shown, batch_size),
        shown,
        estimators,
        targets,
        references=references,
        scenes=scenes,
        direction=direction,
        seed=seed,
        names=names,
        batch_size=batch_size,
    )
    for error in explained.failed.values():
        raise error
    if isinstance(images, Tensor):
        return Maps(explained.maps)
    return Maps({name: stack.numpy() for name, stack in explained.maps.items()})


def explain_each(
    classifier: Classifier,
    images: Tensor,
    estimators: Sequence[AnyEstimator] | AnyEstimator,
    targets: Targets | None = None,
    *,
    references: References | None = None,
    scenes: Sequence[Scene] | None = None,
    direction: Direction = "class",
    seed: int = 0,
    names: Sequence[str] | None = None,
    batch_size: int = 32,
) -> Explained:
    """As `explain`, but an estimator that fails costs its own maps, with the reason, and not those of the others.

    Raises:
        TomolensError: see `explain`, for what concerns all estimators.
    """
    chosen = _named(estimators)
    require_images(classifier, images, batch_size)
    require_direction(direction)
    if references is not None:
        require_references(references, classifier, images)
    names = draw_names(names, len(images))
    require_scenes(scenes or (), images)
    with classifier.frozen():
        # A copy: an ordinary tensor outside the caller's inference mode, which an estimator may spoil.
        placed = images.detach().to(classifier.device).clone()
        classes = targets_of(classifier, images, targets, batch_size)
        if direction == "paper":
            _require_two_classes(classifier, images)
        subjects = [
            Subject(image, int(target), name, seed, references, classifier.intensity, scene, classifier.task)
            for image, target, name, scene in zip(
                placed, classes, names, scenes or [Scene()] * len(images), strict=True
            )
        ]
        layer = cache(partial(layer_of, classifier, placed))
        making = _Making(list(chosen), len(subjects))
        making.explained.failed |= _lacking(chosen, subjects)
        asked_of = _Asked(classifier, placed[:1])
        schedule = Schedule(
            lambda kind, asked: _answers(asked_of.classifier, replace(kind, layer=layer(kind.layer)), asked),
            batch_size,
            done=making.done,
            failed=making.failed,
            note=making.note,
            alive=lambda name: name not in making.explained.failed,
            spare=asked_of.spare,
        )
        able = {name: one for name, one in chosen.items() if name not in making.explained.failed}
        schedule.run(_works(able, index, subject, direction) for index, subject in enumerate(subjects))
    return making.finished(images.device)


@dataclass
class _Asked:
    """Who is asked: the classifier, or from where memory did not do on, to the same bits, one that takes less.

    Attributes:
        classifier: that is asked now.
        example: an image ``(1, C, *spatial)``.
    """

    classifier: Classifier
    example: Tensor
    _spared: bool = False

    def spare(self) -> bool:
        """Take less memory from here on; returns whether there is a way."""
        before, again = self.classifier, not self._spared
        self._spared = True
        if again:
            self.classifier = before.with_checkpoints(self.example)
        return self.classifier is not before


def _works(chosen: Mapping[str, Estimator], index: int, subject: Subject, direction: Direction) -> Iterator[Work]:
    """Every estimator at work on one image; in the paper's direction some always explain class 1."""
    for name, estimator in chosen.items():
        of_class_one = direction == "paper" and not estimator.of_prediction
        turned = replace(subject, target=1) if of_class_one else subject
        yield Work(name, index, turned, _asking(estimator, turned), partial(_most, estimator, subject))


def _most(estimator: Estimator, subject: Subject) -> int:
    return estimator.cost(tuple(subject.image.shape)).questions


def _asking(estimator: Estimator, subject: Subject) -> Asking:
    made = estimator.explain(subject)
    return (yield from made) if isinstance(made, Generator) else made


def _answers(classifier: Classifier, kind: Kind, asked: Sequence[tuple[Subject, Question]]) -> Answers:
    points = torch.stack([question.point.image(subject) for subject, question in asked])
    targets = torch.tensor([subject.target for subject, _ in asked], device=points.device)
    if kind.asks == "attributions":
        calls = [(subject, question) for subject, question in asked if isinstance(question, Attributed)]
        return Answers(attributed(classifier, calls, points, targets), [False] * len(calls))
    changes = [
        partial(question.change.of, subject=subject)
        if isinstance(question, Features | ChangedScore) and question.change is not None
        else None
        for subject, question in asked
    ]
    return answers(classifier, kind, points, targets, changes)


class _Making:
    """Maps while they are made; an estimator that fails costs its own alone."""

    def __init__(self, names: Sequence[str], count: int) -> None:
        self.names, self.count = names, count
        self.explained = Explained()
        self.notes: dict[str, dict[str, None]] = {}

    def failed(self, work: Work, error: Exception) -> None:
        """Remember why an estimator has no map."""
        self.explained.failed.setdefault(work.name, _as_own(error))

    def note(self, work: Work, words: Sequence[str]) -> None:
        """Remember what must be said beside a map."""
        self.notes.setdefault(work.name, {}).update(dict.fromkeys(words))

    def done(self, work: Work, made: object) -> None:
        """Take the map of one image."""
        importance = made if isinstance(made, Importance) else Importance(made)  # type: ignore[arg-type]
        values, image = importance.values, work.subject.image
        if not isinstance(values, Tensor) or values.shape != image.shape or not values.is_floating_point():
            found = f"{tuple(values.shape)}, {values.dtype}" if isinstance(values, Tensor) else type(values).__name__
            wanted = f"a floating tensor of shape {tuple(image.shape)}"
            raise MapError(f"{work.name} made {found}, expected {wanted}")
        values = values.detach()
        self._judge(work, values)
        self.note(work, importance.notes)
        kind = torch.promote_types(values.dtype, torch.float32)
        stack = self.explained.maps.get(work.name, values.new_zeros((self.count, *values.shape), dtype=kind))
        stack = stack.to(torch.promote_types(stack.dtype, kind))
        stack[work.index] = values
        self.explained.maps[work.name] = stack
        if importance.completeness_error is not None:
            errors = self.explained.completeness.setdefault(work.name, np.full(self.count, np.nan))
            errors[work.index] = float(importance.completeness_error)

    def _judge(self, work: Work, values: Tensor) -> None:
        """Whether a map is one, and what must be said of it."""
        name, image = work.name, work.subject.name
        wrong = int((~torch.isfinite(values)).sum())
        if wrong:
            overflow = f"{name} of image {image} has {wrong} values that are not finite, beyond {values.dtype}"
            self.failed(work, NetworkError(overflow))
        if work.clamped and not bool(values.any()):
            self.failed(work, NetworkError(_saturated(image, name)))
        elif work.derived and not bool(values.any()):
            self.note(work, ["0 everywhere, so that its ranking is chance"])
        if work.clamped:
            share = 100 * work.clamped / work.derived
            self.note(work, [f"the score is saturated at {share:.0f} % of the points of its gradients"])

    def finished(self, device: torch.device) -> Explained:
        """What came of it, on a device."""
        made = self.explained
        whole = [name for name in self.names if name in made.maps and name not in made.failed]
        notes = {name: "; ".join(self.notes.get(name, ())) for name in whole}
        return Explained(
            {name: made.maps[name].to(device) for name in whole},
            {name: made.failed[name] for name in self.names if name in made.failed},
            {name: words for name, words in notes.items() if words},
            {name: made.completeness[name] for name in whole if name in made.completeness},
        )


def _saturated(image: str, name: str) -> str:
    return (
        f"{name} of image {image} is 0 everywhere, because the network's probability is 0 or 1 there and its gradient "
        "vanishes: explain the logit (score='logit'), of the network without its last sigmoid or softmax"
    )


def _as_own(error: Exception) -> TomolensError:
    """An error of a network or estimator of one's own as one of ours."""
    if isinstance(error, TomolensError):
        return error
    return NetworkError(reason_of(error))


def _require_two_classes(classifier: Classifier, images: Tensor) -> None:
    count = classifier.predicted_scores(images[:1]).shape[1]
    if count != 2:
        raise SettingsError(f"direction = 'paper' is defined for two classes, the network has {count}")


def _named(estimators: Sequence[AnyEstimator] | AnyEstimator) -> dict[str, Estimator]:
    """The estimators by name; several parameterisations of one by what they change."""
    given = [estimators] if isinstance(estimators, str | Estimator) else estimators
    made = [make_estimator(one) if isinstance(one, str) else one for one in given]
    for one in made:
        if isinstance(one, type) or not isinstance(one, Estimator):
            raise SettingsError(f"{one!r} is no estimator: expected a name, or an instance with all of its attributes")
    several = {name for name, count in Counter(one.name for one in made).items() if count > 1}
    chosen: dict[str, Estimator] = {}
    for estimator in made:
        name = spelled(estimator) if estimator.name in several else estimator.name
        if name in chosen:
            raise SettingsError(f"estimator '{name}' is given twice")
        chosen[name] = estimator
    return chosen


def _lacking(chosen: Mapping[str, Estimator], subjects: Sequence[Subject]) -> dict[str, TomolensError]:
    """The estimators for which something that they need is not known, with what to give."""
    return {
        name: SettingsError(f"estimator '{name}' {NEEDED[need]}")
        for name, estimator in chosen.items()
        for need in sorted(estimator.needs)
        if not all(subject.has(need) for subject in subjects)
    }
