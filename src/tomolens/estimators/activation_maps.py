"""Class activation maps: the planes of a layer, weighted by what the score's gradient says of them.

They differ in the weights alone. Signed and not normalised: what speaks against the class is below 0 unless ``clip``.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from ..errors import NetworkError
from .estimator import Cost
from .planes import on_the_grid
from .points import AtInput
from .questions import LAST_PLANES, Asking, Features, LayerFeatures, Round
from .subject import Need, Subject

CANCELLED = 1e-5
"""A plane whose sum is less of the sum of its magnitudes, as behind instance norm, has none to take shares of."""
Weighing = Callable[[Tensor, Tensor], Tensor]
"""From planes and gradients, both ``(K, *coarse)``, to the coarse map ``(*coarse)``."""


def features_at(subject: Subject, layer: str) -> Generator[Round, None, LayerFeatures]:
    """The planes of a layer at the image, the last one with any unless it is named, in the type of maps."""
    found: list[LayerFeatures] = []
    yield Round([Features(AtInput(), layer or LAST_PLANES)], lambda _, answer: found.append(answer))
    kind, shape = subject.zeros().dtype, tuple(found[0].values.shape)
    if len(shape) != subject.image.ndim:
        raise NetworkError(
            f"layer '{layer}' puts out {shape} for an image, expected planes of {subject.image.ndim - 1} axes"
        )
    return LayerFeatures(found[0].values.to(kind), found[0].gradients.to(kind))


def activation_map(subject: Subject, layer: str, clip: bool, weigh: Weighing) -> Generator[Round, None, Tensor]:
    """The map that a way of weighing makes of a layer."""
    found = yield from features_at(subject, layer)
    coarse = weigh(found.values, found.gradients)
    return on_the_grid(coarse.clamp(min=0) if clip else coarse, subject)


def _over_space(planes: Tensor) -> Tensor:
    """Sums of planes ``(K, *coarse)``, each one number that goes with its plane, ``(K, 1, ...)``."""
    return planes.sum(dim=tuple(range(1, planes.ndim)), keepdim=True)


@dataclass(frozen=True)
class GradCam:
    """Planes weighted by the mean of their gradient (equations 1 and 2; the positive part is ``clip``).

    Attributes:
        layer: by its name; the last one with planes unless told.
        clip: whether what speaks against the class becomes 0.
    """

    layer: str = ""
    clip: bool = False
    name: str = field(default="grad-cam", repr=False)
    title: str = field(default="Grad-CAM", repr=False)
    source: ClassVar[str] = "Selvaraju et al. 2017, arXiv 1610.02391"
    needs: ClassVar[frozenset[Need]] = frozenset()
    of_prediction: ClassVar[bool] = True

    def cost(self, shape: tuple[int, ...]) -> Cost:
        """One pass to the layer and back."""
        return Cost(features=1)

    def explain(self, subject: Subject) -> Asking:
        """At the image."""
        return (yield from activation_map(subject, self.layer, self.clip, grad_cam))


def grad_cam(planes: Tensor, gradients: Tensor) -> Tensor:
    """The weighted sum of planes ``(K, *coarse)`` by the mean of their gradients."""
    pixels = planes[0].numel()
    return (planes * _over_space(gradients) / pixels).sum(dim=0)


@dataclass(frozen=True)
class GradCamPlusPlus:
    """Planes weighted by the positive parts of their gradient, places by its higher powers.

    As elsewhere the score is taken for its exponential, whose derivatives are powers of its gradient, and which scales
    the map and nothing else.

    Attributes:
        layer: by its name; the last one with planes unless told.
        clip: whether what speaks against the class becomes 0.
    """

    layer: str = ""
    clip: bool = False
    name: str = field(default="grad-cam-plus-plus", repr=False)
    title: str = field(default="Grad-CAM++", repr=False)
    source: ClassVar[str] = "Chattopadhay et al. 2018, arXiv 1710.11063"
    needs: ClassVar[frozenset[Need]] = frozenset()
    of_prediction: ClassVar[bool] = True

    def cost(self, shape: tuple[int, ...]) -> Cost:
        """One pass to the layer and back."""
        return Cost(features=1)

    def explain(self, subject: Subject) -> Asking:
        """At the image."""
        return (yield from activation_map(subject, self.layer, self.clip, grad_cam_plus_plus))


def grad_cam_plus_plus(planes: Tensor, gradients: Tensor) -> Tensor:
    """Places weighted by powers of their gradient, of planes and gradients ``(K, *coarse)``."""
    exact = gradients.double()  # third powers of small gradients are 0 in single precision
    square = exact.square()
    below = 2 * square + _over_space(planes.double()) * exact * square
    share = torch.where((square > 0) & (below != 0), square / torch.where(below == 0, 1.0, below), 0.0)
    weights = _over_space(share * exact.clamp(min=0))
    return (planes * weights).sum(dim=0).to(planes.dtype)


@dataclass(frozen=True)
class HiResCam:
    """Planes times their gradient, place by place: of a network with a linear head what each place adds to the score.

    Attributes:
        layer: by its name; the last one with planes unless told.
        clip: whether what speaks against the class becomes 0.
    """

    layer: str = ""
    clip: bool = False
    name: str = field(default="hires-cam", repr=False)
    title: str = field(default="HiResCAM", repr=False)
    source: ClassVar[str] = "Draelos & Carin 2020, arXiv 2011.08891"
    needs: ClassVar[frozenset[Need]] = frozenset()
    of_prediction: ClassVar[bool] = True

    def cost(self, shape: tuple[int, ...]) -> Cost:
        """One pass to the layer and back."""
        return Cost(features=1)

    def explain(self, subject: Subject) -> Asking:
        """At the image."""
        return (yield from activation_map(subject, self.layer, self.clip, hires_cam))


def hires_cam(planes: Tensor, gradients: Tensor) -> Tensor:
    """Planes times their gradients, place by place."""
    return (planes * gradients).sum(dim=0)


@dataclass(frozen=True)
class LayerCam:
    """Planes times the positive part of their gradient, place by place.

    Attributes:
        layer: by its name; the last one with planes unless told.
        clip: whether what speaks against the class becomes 0.
    """

    layer: str = ""
    clip: bool = False
    name: str = field(default="layer-cam", repr=False)
    title: str = field(default="LayerCAM", repr=False)
    source: ClassVar[str] = "Jiang et al. 2021, doi 10.1109/TIP.2021.3089943"
    needs: ClassVar[frozenset[Need]] = frozenset()
    of_prediction: ClassVar[bool] = True

    def cost(self, shape: tuple[int, ...]) -> Cost:
        """One pass to the layer and back."""
        return Cost(features=1)

    def explain(self, subject: Subject) -> Asking:
        """At the image."""
        return (yield from activation_map(subject, self.layer, self.clip, layer_cam))


def layer_cam(planes: Tensor, gradients: Tensor) -> Tensor:
    """Planes times the positive parts of their gradients, place by place."""
    return (planes * gradients.clamp(min=0)).sum(dim=0)


@dataclass(frozen=True)
class XGradCam:
    """Planes weighted by the mean of their gradient, each place by its share of the plane.

    Attributes:
        layer: by its name; the last one with planes unless told.
        clip: whether what speaks against the class becomes 0.
    """

    layer: str = ""
    clip: bool = False
    name: str = field(default="xgrad-cam", repr=False)
    title: str = field(default="XGrad-CAM", repr=False)
    source: ClassVar[str] = "Fu et al. 2020, arXiv 2008.02312"
    needs: ClassVar[frozenset[Need]] = frozenset()
    of_prediction: ClassVar[bool] = True

    def cost(self, shape: tuple[int, ...]) -> Cost:
        """One pass to the layer and back."""
        return Cost(features=1)

    def explain(self, subject: Subject) -> Asking:
        """At the image."""
        return (yield from activation_map(subject, self.layer, self.clip, xgrad_cam))


def xgrad_cam(planes: Tensor, gradients: Tensor) -> Tensor:
    """Gradients weighted by each place's share of its plane, of planes and gradients ``(K, *coarse)``."""
    whole = _over_space(planes)
    nothing = whole.abs() <= CANCELLED * _over_space(planes.abs())
    shares = torch.where(nothing, 0.0, planes / torch.where(nothing, 1.0, whole))
    return (planes * _over_space(shares * gradients)).sum(dim=0)


@dataclass(frozen=True)
class EigenCam:
    """The planes projected on their first singular vector, place by place; it does not ask for a class.

    The vector has no sign of its own: that is taken in which the map rises with the mean of the planes.

    Attributes:
        centred: whether planes have a mean of 0 first, as in widely used code; the paper's have not.
        layer: by its name; the last one with planes unless told.
        clip: whether what is below 0 becomes 0.
    """

    centred: bool = False
    layer: str = ""
    clip: bool = False
    name: str = field(default="eigen-cam", repr=False)
    title: str = field(default="Eigen-CAM", repr=False)
    source: ClassVar[str] = "Muhammad & Yeasin 2020, arXiv 2008.00299"
    needs: ClassVar[frozenset[Need]] = frozenset()
    of_prediction: ClassVar[bool] = True

    def cost(self, shape: tuple[int, ...]) -> Cost:
        """One pass to the layer and back."""
        return Cost(features=1)

    def explain(self, subject: Subject) -> Asking:
        """At the image."""
        return (yield from activation_map(subject, self.layer, self.clip, partial(eigen_cam, centred=self.centred)))


def eigen_cam(planes: Tensor, gradients: Tensor, *, centred: bool = False) -> Tensor:
    """Planes ``(K, *coarse)`` projected on their first singular vector, place by place."""
    places = planes.flatten(1).T.double()
    if centred:
        places = places - places.mean(dim=0)
    component = torch.linalg.svd(places, full_matrices=False).Vh[0]
    made = places @ component
    upright = torch.sign((made * places.mean(dim=1)).sum()) or torch.ones((), dtype=made.dtype)
    component_map: Tensor = (upright * made).reshape(planes.shape[1:]).to(planes.dtype)
    return component_map
