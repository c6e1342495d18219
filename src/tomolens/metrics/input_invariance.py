"""Whether maps depend on where the scale of pixel values begins: input invariance (Kindermans et al. 2019).

A network that is given every pixel higher by a constant, and takes it off again, decides as before, and its maps should
be the same (arXiv 1711.00867). Its black and white move along, as its user would declare them: what is compared with a
declared black does not change, what multiplies with the pixel itself does.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from torch import nn

from ..declarations import Declaration, Output
from .evaluand import Evaluand
from .likeness import magnitudes, rank_correlation
from .metric import Metric, Reading

SHIFT = 1.0
"""By which pixels are raised, as a share from black to white."""


def measure_input_invariance(evaluand: Evaluand) -> Iterator[Reading]:
    """Likeness of each estimator's map to that on a shifted scale, and its distance over the map's own length."""
    intensity = evaluand.classifier.intensity
    shift = SHIFT * (intensity.white - intensity.black)
    moved = replace(intensity, black=intensity.black + shift, white=intensity.white + shift)
    classifier = replace(evaluand.classifier, intensity=moved, quick=None, folded=None)
    with _taking_off(classifier.network, shift):
        made = evaluand.explain(evaluand.image + shift, classifier)
    own, shifted = magnitudes(evaluand.maps), magnitudes(made)
    for name, values in own.items():
        if name not in made:
            continue  # an estimator that fails on it costs its own numbers alone
        before, after = (one[name].detach().cpu().double().numpy() for one in (evaluand.maps, made))
        length = float(np.linalg.norm(before))
        yield (name, "original"), "shift_similarity", rank_correlation(values, shifted[name])
        distance = float(np.linalg.norm(before - after)) / length if length > 0 else float("nan")
        yield (name, "original"), "shift_distance", distance


@contextmanager
def _taking_off(network: nn.Module, shift: float) -> Iterator[None]:
    def lowered(module: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
        return given[0] - shift, *given[1:]

    handle = network.register_forward_pre_hook(lowered)
    try:
        yield
    finally:
        handle.remove()


INPUT_INVARIANCE = Metric(
    Declaration(
        "input-invariance",
        (
            Output("shift_similarity", "like itself on a shifted scale (Spearman)", criterion="robust"),
            Output("shift_distance", "distance to itself on a shifted scale", better="lower"),
        ),
    ),
    measure_input_invariance,
    needs=frozenset({"explanations"}),
    explanations=1,
)
