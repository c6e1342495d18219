"""TomoLens: which saliency map can we believe?

Importance maps of CT classifiers, evaluated by the model's own behaviour and by the expert's masks, after
Brocki et al. 2022 (arXiv 2209.15398). Names are loaded when first used, so that importing is quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import metrics as metrics
    from .api import Study as Study
    from .api import report as report
    from .cases import Case as Case
    from .cases import Cases as Cases
    from .cases import Preprocessing as Preprocessing
    from .cases import from_manifest as from_manifest
    from .cases import phantom as phantom
    from .classifier import Classifier as Classifier
    from .classifier import InputContract as InputContract
    from .classifier import Intensity as Intensity
    from .classifier.network_file import load_classifier as load_classifier
    from .classifier.patches import Patches as Patches
    from .errors import CaseError as CaseError
    from .errors import MapError as MapError
    from .errors import NetworkError as NetworkError
    from .errors import SettingsError as SettingsError
    from .errors import TomolensError as TomolensError
    from .estimators import AblationCam as AblationCam
    from .estimators import AttentionRollout as AttentionRollout
    from .estimators import Backpropagation as Backpropagation
    from .estimators import BlurIntegratedGradients as BlurIntegratedGradients
    from .estimators import Cdam as Cdam
    from .estimators import Deconvolution as Deconvolution
    from .estimators import EigenCam as EigenCam
    from .estimators import ExpectedGradients as ExpectedGradients
    from .estimators import FeatureAblation as FeatureAblation
    from .estimators import GradCam as GradCam
    from .estimators import GradCamPlusPlus as GradCamPlusPlus
    from .estimators import GradientAttention as GradientAttention
    from .estimators import GradientShap as GradientShap
    from .estimators import GuidedBackpropagation as GuidedBackpropagation
    from .estimators import GuidedGradCam as GuidedGradCam
    from .estimators import GuidedIntegratedGradients as GuidedIntegratedGradients
    from .estimators import HiResCam as HiResCam
    from .estimators import InputTimesGradient as InputTimesGradient
    from .estimators import IntegratedCdam as IntegratedCdam
    from .estimators import IntegratedGradients as IntegratedGradients
    from .estimators import IntegratedGradientsBlackWhite as IntegratedGradientsBlackWhite
    from .estimators import IntegratedGradientsTwin as IntegratedGradientsTwin
    from .estimators import KernelShap as KernelShap
    from .estimators import LayerCam as LayerCam
    from .estimators import Lime as Lime
    from .estimators import Lrp as Lrp
    from .estimators import Occlusion as Occlusion
    from .estimators import Random as Random
    from .estimators import RectifiedGradient as RectifiedGradient
    from .estimators import References as References
    from .estimators import Rise as Rise
    from .estimators import Scene as Scene
    from .estimators import ScoreCam as ScoreCam
    from .estimators import SmoothCdam as SmoothCdam
    from .estimators import SmoothGrad as SmoothGrad
    from .estimators import SmoothGradSquared as SmoothGradSquared
    from .estimators import VarGrad as VarGrad
    from .estimators import XGradCam as XGradCam
    from .estimators import explain as explain
    from .export import explain_scan as explain_scan
    from .export import find_sources as find_sources
    from .export import write_nifti as write_nifti
    from .export import write_parametric_map as write_parametric_map
    from .export import write_segmentation as write_segmentation
    from .findings import Findings as Findings
    from .probes import check_network as check_network
    from .regions import RegionSettings as RegionSettings
    from .regions import segment as segment
    from .regions import xrai as xrai
    from .report.show import show as show
    from .study.settings import StudySettings as StudySettings

_HOMES = {
    "api": ("Study", "report"),
    "cases": ("Case", "Cases", "Preprocessing", "from_manifest"),
    "classifier": ("Classifier", "InputContract", "Intensity"),
    "classifier.network_file": ("load_classifier",),
    "classifier.patches": ("Patches",),
    "errors": ("CaseError", "MapError", "NetworkError", "SettingsError", "TomolensError"),
    "estimators": (
        "AblationCam",
        "AttentionRollout",
        "Backpropagation",
        "BlurIntegratedGradients",
        "Cdam",
        "Deconvolution",
        "EigenCam",
        "ExpectedGradients",
        "FeatureAblation",
        "GradCam",
        "GradCamPlusPlus",
        "GradientAttention",
        "GradientShap",
        "GuidedBackpropagation",
        "GuidedGradCam",
        "GuidedIntegratedGradients",
        "HiResCam",
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
        "Random",
        "RectifiedGradient",
        "References",
        "Rise",
        "Scene",
        "ScoreCam",
        "SmoothCdam",
        "SmoothGrad",
        "SmoothGradSquared",
        "VarGrad",
        "XGradCam",
        "explain",
    ),
    "export": ("explain_scan", "find_sources", "write_nifti", "write_parametric_map", "write_segmentation"),
    "findings": ("Findings",),
    "probes": ("check_network",),
    "regions": ("RegionSettings", "segment", "xrai"),
    "report.show": ("show",),
    "study.settings": ("StudySettings",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}
_MODULES = {"metrics": "tomolens.metrics", "phantom": "tomolens.cases.phantom"}

__all__ = sorted([*_HOME_OF, *_MODULES])


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(_MODULES[name])
    if name in _HOME_OF:
        value = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'tomolens' has no attribute '{name}'")


def __dir__() -> list[str]:
    return list(__all__)
