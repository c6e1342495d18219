"""The estimators and blind baselines there are, by name."""

from collections.abc import Callable
from difflib import get_close_matches

from ..errors import SettingsError
from .baselines import BASELINES, TRUTH
from .estimator import Estimator
from .estimators import (
    Backpropagation,
    Deconvolution,
    ExpectedGradients,
    IntegratedGradients,
    IntegratedGradientsBlackWhite,
    IntegratedGradientsTwin,
    Random,
    SmoothGrad,
    SmoothGradSquared,
)
from .occlusion import Occlusion

ESTIMATORS: dict[str, Callable[..., Estimator]] = {
    estimator.name: estimator
    for estimator in (
        Backpropagation,
        Deconvolution,
        IntegratedGradients,
        IntegratedGradientsBlackWhite,
        ExpectedGradients,
        SmoothGrad,
        SmoothGradSquared,
        Random,
        IntegratedGradientsTwin,
        Occlusion,
    )
}

PROTOCOL = (
    "backpropagation",
    "deconvolution",
    "integrated-gradients",
    "integrated-gradients-bw",
    "expected-gradients",
    "smoothgrad",
    "smoothgrad-squared",
    "random",
)
"""Those that the paper compares: a study's, unless it names others."""
OF_SCORES = ("occlusion", "random")
"""Those that do without gradients: a study's of a network that gives none, unless it names others."""


def make_estimator(name: str, **parameters: object) -> Estimator:
    """An estimator, a blind baseline or the truth by its registered name.

    Raises:
        SettingsError: an unknown name, with the nearest known one, or a parameter it does not have.
    """
    measured_beside = {**BASELINES, TRUTH.name: TRUTH}
    if name in measured_beside and not parameters:
        return measured_beside[name]
    if name not in ESTIMATORS:
        near = get_close_matches(name, [*ESTIMATORS, *BASELINES], n=1, cutoff=0.4)
        hint = f"did you mean '{near[0]}'? " if near else ""
        raise SettingsError(f"unknown estimator '{name}': {hint}known are {', '.join(ESTIMATORS)}")
    try:
        return ESTIMATORS[name](**parameters)
    except TypeError as error:
        raise SettingsError(f"estimator '{name}': {error}") from error
