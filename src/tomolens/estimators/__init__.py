"""Estimators: where they need gradients, how they reduce them to a map, and `explain`, which runs them together."""

from .estimators import (
    ESTIMATORS,
    Backpropagation,
    Deconvolution,
    ExpectedGradients,
    IntegratedGradients,
    IntegratedGradientsBlackWhite,
    Random,
    SmoothGrad,
    SmoothGradSquared,
    make_estimator,
)
from .explain import explain
from .probes import References

__all__ = [
    "ESTIMATORS",
    "Backpropagation",
    "Deconvolution",
    "ExpectedGradients",
    "IntegratedGradients",
    "IntegratedGradientsBlackWhite",
    "Random",
    "References",
    "SmoothGrad",
    "SmoothGradSquared",
    "explain",
    "make_estimator",
]
