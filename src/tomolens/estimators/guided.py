"""Backpropagation with other rules at the rectifiers: guided, rectified, and guided by a class activation map."""

from dataclasses import dataclass, field
from typing import ClassVar

from ..errors import SettingsError
from .activation_maps import activation_map, grad_cam
from .backward_rules import GuidedGradients, RectifiedGradients
from .estimator import Cost, mean_over
from .points import AtInput
from .questions import Asking
from .subject import Need, Subject


@dataclass(frozen=True)
class GuidedBackpropagation:
    """Backward pass in which each ReLU passes the positive part of the gradient where its input was positive.

    Attributes:
        partial: whether rectifiers other than ReLU pass the plain gradient; otherwise a network that has any is
            refused.
    """

    partial: bool = False
    name: str = field(default="guided-backpropagation", repr=False)
    title: str = field(default="Guided backpropagation", repr=False)
    source: ClassVar[str] = "Springenberg et al. 2014, arXiv 1412.6806"
    needs: ClassVar[frozenset[Need]] = frozenset()
    of_prediction: ClassVar[bool] = False

    def cost(self, shape: tuple[int, ...]) -> Cost:
        """One gradient."""
        return Cost(gradients=1)

    def explain(self, subject: Subject) -> Asking:
        """The guided gradient at the image."""
        return (yield from mean_over(subject, [AtInput()], rule=GuidedGradients(self.partial)))


@dataclass(frozen=True)
class RectifiedGradient:
    """Backward pass in which each ReLU passes the gradient only where it matters most, times the image.

    Attributes:
        percentile: of output times gradient of each layer below which nothing passes, 0 to 100.
        partial: whether rectifiers other than ReLU pass the plain gradient; otherwise a network that has any is
            refused.
    """

    percentile: float = 98.0
    partial: bool = False
    name: str = field(default="rectified-gradient", repr=False)
    title: str = field(default="Rectified gradient", repr=False)
    source: ClassVar[str] = "Kim et al. 2019, arXiv 1902.04467"
    needs: ClassVar[frozenset[Need]] = frozenset()
    of_prediction: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 0 <= self.percentile <= 100:
            raise SettingsError(f"percentile {self.percentile:g}, expected 0 to 100")

    def cost(self, shape: tuple[int, ...]) -> Cost:
        """One gradient."""
        return Cost(gradients=1)

    def explain(self, subject: Subject) -> Asking:
        """The rectified gradient at the image, times the image."""
        rule = RectifiedGradients(self.percentile, self.partial)
        return (yield from mean_over(subject, [AtInput()], lambda _, gradient: subject.image * gradient, rule))


@dataclass(frozen=True)
class GuidedGradCam:
    """Guided backpropagation times the positive part of Grad-CAM.

    Attributes:
        layer: of Grad-CAM, by its name; the last one with planes unless told.
        partial: whether rectifiers other than ReLU pass the plain gradient; otherwise a network that has any is
            refused.
    """

    layer: str = ""
    partial: bool = False
    name: str = field(default="guided-grad-cam", repr=False)
    title: str = field(default="Guided Grad-CAM", repr=False)
    source: ClassVar[str] = "Selvaraju et al. 2017, arXiv 1610.02391, section 3.2"
    needs: ClassVar[frozenset[Need]] = frozenset()
    of_prediction: ClassVar[bool] = True

    def cost(self, shape: tuple[int, ...]) -> Cost:
        """One guided gradient, and one pass to the layer and back."""
        return Cost(gradients=1, features=1)

    def explain(self, subject: Subject) -> Asking:
        """Both at the image."""
        guided = yield from mean_over(subject, [AtInput()], rule=GuidedGradients(self.partial))
        return guided * (yield from activation_map(subject, self.layer, True, grad_cam)) * len(subject.image)
