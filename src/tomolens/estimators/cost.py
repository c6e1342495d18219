"""What a set of estimators asks for one image, equal questions of the first rounds counted once."""

from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import suppress

import numpy as np
import torch

from .estimator import Cost, Estimator
from .questions import Question
from .subject import References, Scene, Subject


def cost_of(estimators: Sequence[Estimator], shape: tuple[int, ...], direction: str = "class") -> Cost:
    """At most so much is asked for an image ``(C, *spatial)``: what each estimator states, less what they share."""
    image, zeros = torch.zeros(shape), np.zeros(shape[1:])
    references = References(torch.stack([image, image]), torch.tensor([0, 1]))
    flat = np.zeros(shape, np.float32)
    scene = Scene(flat, zeros > 0, zeros, flat, zeros.astype(np.int64), (1.0,) * zeros.ndim)
    subject = Subject(image, 0, "0", 0, references, scene=scene)
    asked: Counter[tuple[bool, Question]] = Counter()
    for estimator in estimators:
        of_class_one = direction == "paper" and not estimator.of_prediction
        asked.update((of_class_one, question) for question in _first_round(estimator, subject))
    stated = sum((estimator.cost(shape) for estimator in estimators), Cost())
    shared: Counter[str] = Counter()
    for (_, question), count in asked.items():
        shared[question.kind.asks] += count - 1
    return stated + Cost(-shared["gradients"], -shared["features"], -shared["scores"])


def _first_round(estimator: Estimator, subject: Subject) -> Sequence[Question]:
    """What an estimator asks first; nothing where it breaks on an empty image: then nothing is known to be shared."""
    with suppress(Exception):
        asking = estimator.explain(subject)
        if isinstance(asking, Generator):
            return list(next(asking).questions)
    return []
