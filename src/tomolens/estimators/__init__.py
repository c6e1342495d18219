"""Estimators: what they ask of a network and how they make maps of its answers; `explain` runs them together."""

from .estimator import Cost, Estimator, is_blind, mean_over
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
from .explain import explain
from .occlusion import Occlusion
from .points import AtInput, Constant, OnPath, Twin, WithNoise
from .questions import Features, Gradient, Importance, Round, Score
from .registry import ESTIMATORS, make_estimator
from .subject import References, Scene, Subject

__all__ = [
    "ESTIMATORS",
    "AtInput",
    "Backpropagation",
    "Constant",
    "Cost",
    "Deconvolution",
    "Estimator",
    "ExpectedGradients",
    "Features",
    "Gradient",
    "Importance",
    "IntegratedGradients",
    "IntegratedGradientsBlackWhite",
    "IntegratedGradientsTwin",
    "Occlusion",
    "OnPath",
    "Random",
    "References",
    "Round",
    "Scene",
    "Score",
    "SmoothGrad",
    "SmoothGradSquared",
    "Subject",
    "Twin",
    "WithNoise",
    "explain",
    "is_blind",
    "make_estimator",
    "mean_over",
]
