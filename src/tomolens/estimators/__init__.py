"""Estimators: what they ask of a network and how they make maps of its answers; `explain` runs them together."""

from .activation_maps import EigenCam, GradCam, GradCamPlusPlus, HiResCam, LayerCam, XGradCam
from .attention_maps import AttentionRollout, GradientAttention
from .cdam import Cdam, IntegratedCdam, SmoothCdam
from .coalitions import FeatureAblation, KernelShap, Lime
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
from .guided import GuidedBackpropagation, GuidedGradCam, RectifiedGradient
from .lrp import Lrp
from .noise import GradientShap, InputTimesGradient, VarGrad
from .occlusion import Occlusion
from .paths import BlurIntegratedGradients, GuidedIntegratedGradients
from .points import AtInput, Constant, OnPath, Twin, WithNoise
from .questions import Attention, ChangedScore, Features, Gradient, Importance, Round, Score
from .registry import ESTIMATORS, GROUPS, make_estimator
from .rise import Rise
from .scored_planes import AblationCam, ScoreCam
from .subject import References, Scene, Subject

__all__ = [
    "ESTIMATORS",
    "GROUPS",
    "AblationCam",
    "AtInput",
    "Attention",
    "AttentionRollout",
    "Backpropagation",
    "BlurIntegratedGradients",
    "Cdam",
    "ChangedScore",
    "Constant",
    "Cost",
    "Deconvolution",
    "EigenCam",
    "Estimator",
    "ExpectedGradients",
    "FeatureAblation",
    "Features",
    "GradCam",
    "GradCamPlusPlus",
    "Gradient",
    "GradientAttention",
    "GradientShap",
    "GuidedBackpropagation",
    "GuidedGradCam",
    "GuidedIntegratedGradients",
    "HiResCam",
    "Importance",
    "InputTimesGradient",
    "IntegratedCdam",
    "IntegratedGradients",
    "IntegratedGradientsBlackWhite",
    "IntegratedGradientsTwin",
    "KernelShap",
    "LayerCam",
    "Lime",
    "Lrp",
    "Occlusion",
    "OnPath",
    "Random",
    "RectifiedGradient",
    "References",
    "Rise",
    "Round",
    "Scene",
    "Score",
    "ScoreCam",
    "SmoothCdam",
    "SmoothGrad",
    "SmoothGradSquared",
    "Subject",
    "Twin",
    "VarGrad",
    "WithNoise",
    "XGradCam",
    "explain",
    "is_blind",
    "make_estimator",
    "mean_over",
]
