"""Any attribution method of captum as an estimator, by its name: ``captum:DeepLift``.

What it asks of the network is captum's own affair: it sees the scores of every class, calls the network as it likes,
one image at a time, and is counted as one question. Needs the extra ``captum``.
"""

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.graph import Node

from ..classifier import Classifier
from ..errors import NetworkError, SettingsError, reason_of
from ..randomness import generator
from .backward_rules import OTHER_RECTIFIERS, RELU, nodes_of
from .estimator import Cost
from .points import AtInput, Point, Training, drawn_from_references
from .questions import Asking, Kind, Round
from .subject import Need, Subject

PREFIX = "captum:"
DRAWING = ("DeepLiftShap", "GradientShap")
"""Methods whose baselines are training images unless others are given."""
MOST_BASELINES = 16
OF_BATCHES = ("FeaturePermutation",)
"""Methods that compare the images of a batch, and have nothing to say of one."""
OF_MODULES: dict[str, tuple[type[nn.Module], ...]] = {
    **dict.fromkeys(("GuidedBackprop", "Deconvolution"), (nn.ReLU,)),
    **dict.fromkeys(
        ("DeepLift", "DeepLiftShap", "LRP"),
        (
            *(nn.ReLU, nn.ELU, nn.LeakyReLU, nn.Sigmoid, nn.Tanh, nn.Softplus, nn.Softmax),
            *(nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d),
        ),
    ),
}
"""Methods that work on non-linear modules of these kinds, and pass functions over in silence."""
BESIDE_RECTIFIERS = ("TanhBackward", "SoftmaxBackward", "MaxPool")
WITHOUT_RULES = ("NativeLayerNorm", "NativeGroupNorm", "LogSoftmax")
"""Steps for which none of them has a rule, as modules or not."""


@dataclass(frozen=True)
class Attributed:
    """What a method of captum makes of an image. The answer: ``(C, *spatial)``.

    Attributes:
        point: where.
        method: its class in ``captum.attr``.
        parameters: of its ``attribute``, by name.
        seed: of torch's generator while it runs.
    """

    point: Point
    method: str
    parameters: tuple[tuple[str, Any], ...]
    seed: int

    @property
    def kind(self) -> Kind:
        """See `Kind`."""
        return Kind("attributions")


@dataclass(frozen=True)
class Captum:
    """An attribution method of captum at the image.

    Attributes:
        method: its class in ``captum.attr``.
        parameters: of its ``attribute``, by name.

    Raises:
        SettingsError: captum is not installed, or has no such method, or not these parameters.
    """

    method: str
    parameters: tuple[tuple[str, Any], ...] = ()
    source: ClassVar[str] = "captum, arXiv 2009.07896"
    of_prediction: ClassVar[bool] = True
    name: str = field(init=False, repr=False)
    title: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        known = methods()
        if self.method not in known:
            near = get_close_matches(self.method, known, n=1)
            hint = f"did you mean '{PREFIX}{near[0]}'? " if near else ""
            raise SettingsError(f"captum has no method '{self.method}': {hint}known are {', '.join(known)}")
        taken = inspect.signature(known[self.method].attribute).parameters
        for name, _ in self.parameters:
            if name not in taken or name in ("self", "inputs", "target"):
                usable = ", ".join(one for one in taken if one not in ("self", "inputs", "target"))
                raise SettingsError(f"{PREFIX}{self.method} has no parameter '{name}': it takes {usable}")
        object.__setattr__(self, "name", f"captum-{self.method}")
        object.__setattr__(self, "title", f"captum: {self.method}")

    @classmethod
    def of(cls, method: str, parameters: dict[str, Any]) -> "Captum":
        """From parameters as a study file has them; lists become tuples, as captum takes shapes."""
        return cls(method, tuple((name, _frozen(value)) for name, value in sorted(parameters.items())))

    @property
    def needs(self) -> frozenset[Need]:
        """Training images for methods that draw their baselines, unless they are given."""
        drawing = self.method in DRAWING and "baselines" not in dict(self.parameters)
        return frozenset({"references"}) if drawing else frozenset()

    def cost(self, shape: tuple[int, ...]) -> Cost:
        """One call, whatever captum asks within."""
        return Cost(gradients=1)

    def explain(self, subject: Subject) -> Asking:
        """Call it on the image."""
        seed = int(generator(subject.seed, subject.name, self.name).integers(2**31))
        total = subject.zeros()
        asked = Attributed(AtInput(), self.method, self.parameters, seed)
        yield Round([asked], lambda _, answer: total.add_(answer))
        return total


def methods() -> dict[str, Any]:
    """The classes of captum that attribute to the input of a network, by name.

    Raises:
        SettingsError: captum is not installed.
    """
    try:
        import captum.attr
    except ImportError as error:
        raise SettingsError(f"'{PREFIX}...' needs captum: pip install 'tomolens[captum]'") from error
    every = {name: getattr(captum.attr, name) for name in dir(captum.attr) if name not in OF_BATCHES}
    return {name: one for name, one in every.items() if inspect.isclass(one) and _attributes_to_the_input(one)}


def _attributes_to_the_input(kind: Any) -> bool:
    of_layers = kind.__name__.startswith(("Layer", "Neuron", "Internal")) or "Layer" in kind.__name__
    built = inspect.signature(kind.__init__).parameters
    first = next(iter([name for name in built if name != "self"]), "")
    alone = all(one.default is not one.empty for name, one in built.items() if name not in ("self", first))
    attribute = getattr(kind, "attribute", None)
    takes = callable(attribute) and "inputs" in inspect.signature(attribute).parameters
    return not of_layers and takes and alone and first in ("forward_func", "model") and kind.__name__ != "Attribution"


class _Scores(nn.Module):
    """The scores of every class, of a network whose layers captum may look into."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.network, self.classifier = classifier.network, classifier

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier.class_scores(images)


def attributed(
    classifier: Classifier, asked: Sequence[tuple[Subject, Attributed]], images: Tensor, targets: Tensor
) -> list[Tensor]:
    """Call captum, one image after the other.

    Raises:
        NetworkError: what captum raises, with its name, or a map that is no tensor of the image's shape.
    """
    made = []
    for (subject, question), image, target in zip(asked, images, targets, strict=True):
        if question.method in OF_MODULES:
            _require_modules(classifier, image, question.method)
        method = methods()[question.method](_Scores(classifier))
        given = dict(question.parameters)
        if "baselines" not in given:
            given |= _baselines(subject, method, question.method)
        with _left_as_it_was(classifier.network), torch.random.fork_rng(), torch.enable_grad():
            torch.manual_seed(question.seed)
            state = np.random.get_state()  # noqa: NPY002  some methods of captum draw with NumPy's own
            np.random.seed(question.seed)  # noqa: NPY002
            try:
                found = method.attribute(image[None].detach().clone().requires_grad_(True), target=int(target), **given)
            except Exception as error:  # captum and what it calls may raise anything
                raise NetworkError(f"captum's {question.method}: {reason_of(error)}") from error
            finally:
                np.random.set_state(state)  # noqa: NPY002
        if not isinstance(found, Tensor) or found.shape != image[None].shape:
            raise NetworkError(f"captum's {question.method} returned no map of the image's shape")
        made.append(found[0].detach())
    return made


def _baselines(subject: Subject, method: Any, name: str) -> dict[str, Any]:
    """Training images, as many of each class, for methods that draw some; black for others, captum's own being 0."""
    if name in DRAWING:
        assert subject.references is not None  # `explain` refuses to start without
        drawn = [drawn_from_references(subject, k).reference for k in range(MOST_BASELINES)]
        found = torch.stack([one.of(subject) for one in drawn if isinstance(one, Training)])
        return {"baselines": found[: len(subject.references.images)]}
    if "baselines" not in inspect.signature(method.attribute).parameters:
        return {}
    return {"baselines": subject.intensity.at(0.0)}


def _require_modules(classifier: Classifier, image: Tensor, method: str) -> None:
    """Refuse a network with non-linear functions, for methods that would pass them over.

    Raises:
        NetworkError: with how many there are, and which of ours sees them.
    """
    called: list[nn.Module] = []
    handles = [
        module.register_forward_hook(lambda module, given, output: called.append(module))
        for module in classifier.network.modules()
        if isinstance(module, OF_MODULES[method])
    ]
    try:
        with torch.enable_grad():
            given = image[None].detach().requires_grad_(True)
            root = classifier.scored(given).output.grad_fn
    finally:
        for handle in handles:
            handle.remove()
    bends = (RELU,) if len(OF_MODULES[method]) == 1 else (RELU, *OTHER_RECTIFIERS, *BESIDE_RECTIFIERS)
    nodes = [] if root is None else list(nodes_of(root))
    found = [node for node in nodes if node.name().startswith(bends)]
    if len(bends) > 1:
        _require_rules(nodes, given, method)
    if len(found) > len(called):
        kinds = ", ".join(one.__name__ for one in OF_MODULES[method])
        ours = {"GuidedBackprop": "guided-backpropagation", "Deconvolution": "deconvolution", "LRP": "lrp"}.get(method)
        instead = f": take {ours}" if ours else f": write them as modules, if they are of its kinds ({kinds})"
        raise NetworkError(
            f"captum's {method} sees what is not linear in modules alone, and {len(found) - len(called)} of "
            f"{len(found)} such steps are none that it sees{instead}"
        )


def _require_rules(nodes: list[Node], given: Tensor, method: str) -> None:
    """Refuse norms of the image itself and products of two things that depend on it.

    Raises:
        NetworkError: with the names of these steps.
    """

    def depends(node: Node | None) -> bool:
        return node is not None and any(getattr(one, "variable", None) is given for one in nodes_of(node))

    found = set()
    for node in nodes:
        own = getattr(node, "_saved_training", False) and "BatchNorm" in node.name()
        product = node.name().startswith("MulBackward") and all(depends(one) for one, _ in node.next_functions)
        if own or product or node.name().startswith(WITHOUT_RULES):
            found.add(node.name().partition("Backward")[0])
    if found:
        raise NetworkError(f"captum's {method} has no rule for {', '.join(sorted(found))} of what depends on the image")


@contextmanager
def _left_as_it_was(network: nn.Module) -> Iterator[None]:
    """Take away what captum leaves on modules."""
    before = [(module, set(vars(module))) for module in network.modules()]
    try:
        yield
    finally:
        for module, names in before:
            for name in set(vars(module)) - names:
                delattr(module, name)


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else value
