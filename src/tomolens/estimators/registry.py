"""The estimators and blind baselines there are, by name."""

from collections.abc import Callable, Mapping
from difflib import get_close_matches

from ..errors import SettingsError
from .activation_maps import EigenCam, GradCam, GradCamPlusPlus, HiResCam, LayerCam, XGradCam
from .attention_maps import AttentionRollout, GradientAttention
from .baselines import BASELINES, TRUTH
from .captum_adapter import PREFIX as OF_CAPTUM
from .captum_adapter import Captum
from .cdam import Cdam, IntegratedCdam, SmoothCdam
from .coalitions import FeatureAblation, KernelShap, Lime
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
from .guided import GuidedBackpropagation, GuidedGradCam, RectifiedGradient
from .lrp import Lrp
from .noise import GradientShap, InputTimesGradient, VarGrad
from .occlusion import Occlusion
from .paths import BlurIntegratedGradients, GuidedIntegratedGradients
from .rise import Rise
from .scored_planes import AblationCam, ScoreCam
from .smoothed import PREFIX as SMOOTH
from .smoothed import Smoothed

GROUPS: dict[str, tuple[Callable[..., Estimator], ...]] = {
    "the protocol's": (
        Backpropagation,
        Deconvolution,
        IntegratedGradients,
        IntegratedGradientsBlackWhite,
        ExpectedGradients,
        SmoothGrad,
        SmoothGradSquared,
        Random,
    ),
    "gradients": (InputTimesGradient, VarGrad, GuidedBackpropagation, RectifiedGradient, Lrp),
    "paths": (IntegratedGradientsTwin, GradientShap, BlurIntegratedGradients, GuidedIntegratedGradients),
    "maps of features": (
        GradCam,
        GradCamPlusPlus,
        HiResCam,
        LayerCam,
        XGradCam,
        EigenCam,
        ScoreCam,
        AblationCam,
        GuidedGradCam,
    ),
    "perturbations": (Occlusion, Rise, FeatureAblation, Lime, KernelShap),
    "vision transformers": (AttentionRollout, GradientAttention, Cdam, SmoothCdam, IntegratedCdam),
}
"""By what they look at."""
ESTIMATORS: dict[str, Callable[..., Estimator]] = {
    estimator.name: estimator  # type: ignore[attr-defined]
    for group in GROUPS.values()
    for estimator in group
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
SETS: dict[str, tuple[str, ...]] = {
    "paper": PROTOCOL,
    "common": (
        *PROTOCOL,
        *("input-x-gradient", "vargrad", "guided-backpropagation", "gradient-shap"),
        *("grad-cam", "grad-cam-plus-plus", "hires-cam", "layer-cam", "occlusion"),
    ),
    "all": tuple(ESTIMATORS),
}
"""By the word for them in a study file: the paper's, those that most studies compare, every one."""


def group_of(estimator: Estimator) -> str:
    """Of which group an estimator is; captum's, smoothed ones and those of one's own are groups beside `GROUPS`."""
    if isinstance(estimator, Captum):
        return "captum's"
    if isinstance(estimator, Smoothed):
        return "smoothed"
    return next((group for group, members in GROUPS.items() if type(estimator) in members), "others")


def make_estimator(name: str, **parameters: object) -> Estimator:
    """An estimator, a blind baseline or the truth by its registered name.

    Raises:
        SettingsError: an unknown name, with the nearest known one, or a parameter it does not have.
    """
    measured_beside = {**BASELINES, TRUTH.name: TRUTH}
    if name in measured_beside and not parameters:
        return measured_beside[name]
    if name.startswith(OF_CAPTUM):
        return Captum.of(name.removeprefix(OF_CAPTUM), parameters)
    if name.startswith(SMOOTH):
        return _smoothed(name.removeprefix(SMOOTH), parameters)
    if name not in ESTIMATORS:
        near = get_close_matches(name, [*ESTIMATORS, *BASELINES], n=1, cutoff=0.4)
        hint = f"did you mean '{near[0]}'? " if near else ""
        raise SettingsError(f"unknown estimator '{name}': {hint}known are {', '.join(ESTIMATORS)}")
    try:
        return ESTIMATORS[name](**parameters)
    except (TypeError, SettingsError) as error:
        raise SettingsError(f"estimator '{name}': {error}") from error


def _smoothed(name: str, parameters: Mapping[str, object]) -> Smoothed:
    """The mean over noisy copies of an estimator, whose own parameters are under ``of``."""
    others = parameters.get("of", {})
    if not isinstance(others, Mapping):
        raise SettingsError(f"{SMOOTH}{name}: of = {others!r}, expected the parameters of {name} in a table")
    own = {one: value for one, value in parameters.items() if one != "of"}
    try:
        return Smoothed(make_estimator(name, **others), **own)  # type: ignore[arg-type]
    except TypeError as error:
        raise SettingsError(f"estimator '{SMOOTH}{name}': {error}") from error
