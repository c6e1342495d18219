"""The networks that may be built by name: those that TomoLens trains itself, and MONAI's classifiers.

A name and literal arguments are all that a file can ask for: what is not in `ARCHITECTURES` is not built.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib import import_module
from typing import Any

from torch import Tensor, nn

from ..errors import SettingsError, reason_of
from .classifier import Output

MONAI_NETS = "monai.networks.nets"
"""Imported when one of its networks is asked for: it takes five seconds."""
_CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_NORMS = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
_MAXIMA = {1: nn.AdaptiveMaxPool1d, 2: nn.AdaptiveMaxPool2d, 3: nn.AdaptiveMaxPool3d}


class LocalNetwork(nn.Module):
    """Six convolutions that see 45 pixels across, and the maximum over all places: is a small thing anywhere?

    Where ResNets average over the whole image, a finding of some pixels is a thousandth of what is averaged, and they
    learn it from many more cases.
    """

    def __init__(self, channels: int, neurons: int, dimensions: int, width: int) -> None:
        super().__init__()
        convolution, norm = _CONVOLUTIONS[dimensions], _NORMS[dimensions]
        layers: list[nn.Module] = []
        before = channels
        for after, kernel, stride in (
            (width, 5, 2),
            (width, 3, 1),
            (2 * width, 3, 2),
            (2 * width, 3, 1),
            (4 * width, 3, 2),
            (4 * width, 3, 1),
        ):
            layers += [convolution(before, after, kernel, stride, kernel // 2, bias=False), norm(after), nn.ReLU()]
            before = after
        self.features = nn.Sequential(*layers)
        self.anywhere = _MAXIMA[dimensions](1)
        self.fc = nn.Linear(before, neurons)

    def forward(self, images: Tensor) -> Tensor:
        """Scores ``(N, neurons)``."""
        scores: Tensor = self.fc(self.anywhere(self.features(images)).flatten(1))
        return scores


@dataclass(frozen=True)
class Architecture:
    """How a network is built from literal arguments, and how they are called.

    Attributes:
        made_by: the class or function, or its name in `MONAI_NETS`.
        channels: its argument for the channels of the images.
        neurons: its argument for the outputs.
        dimensions: its argument for the number of spatial axes.
        size: its argument for the pixels along each axis; empty where any number will do.
        usual: arguments that are given unless others are.
        fixed: arguments that nobody may give otherwise: they would download, or leave out the head.
        inner: arguments that its maker gives itself, and nobody else can.
        several: whether it puts out several tensors, of which the first are the scores; only those are kept.
    """

    made_by: Callable[..., nn.Module] | str
    channels: str = "in_channels"
    neurons: str = "num_classes"
    dimensions: str = "spatial_dims"
    size: str = ""
    usual: Mapping[str, Any] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    inner: tuple[str, ...] = ()
    several: bool = False

    @property
    def make(self) -> Callable[..., nn.Module]:
        """The class or function."""
        if not isinstance(self.made_by, str):
            return self.made_by
        made: Callable[..., nn.Module] = getattr(import_module(MONAI_NETS), self.made_by)
        return made


def _monai(*names: str, **how: Any) -> dict[str, Architecture]:
    return {f"monai:{name}": Architecture(name, **how) for name in names}


LARGEST, LONGEST = 65_536, 64
"""Of an architecture's numbers, and entries of its lists: more layers would fill any memory before they are refused."""
_NOT_DOWNLOADED = {"pretrained": False}
_RESNET: dict[str, Any] = {
    "channels": "n_input_channels",
    "fixed": _NOT_DOWNLOADED,
    "inner": ("block", "layers", "block_inplanes"),
}

ARCHITECTURES: dict[str, Architecture] = {
    # MONAI's ResNets have a stem of stride 1 unless told.
    "resnet50": Architecture("resnet50", usual={"conv1_t_stride": 2}, **_RESNET),
    "resnet18": Architecture("resnet18", usual={"conv1_t_stride": 2}, **_RESNET),
    "local": Architecture(LocalNetwork, "channels", "neurons", "dimensions", usual={"width": 24}),
    **_monai("DenseNet", neurons="out_channels"),
    **_monai("DenseNet121", "DenseNet169", "DenseNet201", "DenseNet264", neurons="out_channels", fixed=_NOT_DOWNLOADED),
    **_monai("EfficientNetBN", usual={"model_name": "efficientnet-b0"}, fixed=_NOT_DOWNLOADED),
    **_monai(
        *("resnet10", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnet200"),
        **_RESNET,
    ),
    **_monai(
        *("SENet154", "SEResNet50", "SEResNet101", "SEResNet152", "SEResNext50", "SEResNext101"),
        fixed=_NOT_DOWNLOADED,
        inner=("block",),
    ),
    **_monai(
        "ViT",
        size="img_size",
        usual={"patch_size": 16, "post_activation": ""},
        fixed={"classification": True},
        several=True,
    ),
}
"""By name: ours, and ``monai:`` with the name in ``monai.networks.nets``."""


def require_known(name: str) -> None:
    """Refuse a name that is not in `ARCHITECTURES`.

    Raises:
        SettingsError: an unknown name, with the nearest known one.
    """
    if name not in ARCHITECTURES:
        near = get_close_matches(name, ARCHITECTURES, n=1) or get_close_matches(f"monai:{name}", ARCHITECTURES, n=1)
        hint = f"did you mean '{near[0]}'? " if near else ""
        raise SettingsError(f"unknown architecture '{name}': {hint}known are {', '.join(ARCHITECTURES)}")


def require_arguments(name: str, arguments: Mapping[str, Any]) -> None:
    """Refuse what an architecture does not take, before anything is read or built.

    Raises:
        SettingsError: an unknown architecture or argument, with the nearest known one, an argument that may not be
            given, or a value that is no literal.
    """
    require_known(name)
    if not arguments:
        return
    known = ARCHITECTURES[name]
    taken = [one for one in _arguments_of(known.make) if one not in known.inner]
    for argument, value in arguments.items():
        if argument not in taken:
            near = get_close_matches(argument, taken, n=1)
            hint = f"did you mean '{near[0]}'? " if near else ""
            listed = ", ".join(one for one in taken if one not in known.fixed)
            raise SettingsError(f"{name} has no argument '{argument}': {hint}it takes {listed}")
        _require_literal(value, f"{name}: {argument}")
        if argument in known.fixed and value != known.fixed[argument]:
            raise SettingsError(f"{name}: {argument} = {value!r}, only {known.fixed[argument]!r} is allowed here")


def _arguments_of(maker: Callable[..., Any]) -> list[str]:
    """The names that a class or function takes, and those of the classes that it hands the rest on to."""
    kind = maker if inspect.isclass(maker) else inspect.signature(maker, eval_str=True).return_annotation
    kinds = [one.__init__ for one in getattr(kind, "__mro__", ()) if one.__module__.startswith(MONAI_NETS)]
    found: dict[str, None] = {}
    for taker in ([] if inspect.isclass(maker) else [maker]) + (kinds or [maker]):
        parameters = inspect.signature(taker).parameters.values()
        found.update({one.name: None for one in parameters if one.kind is one.POSITIONAL_OR_KEYWORD})
        if not any(one.kind is one.VAR_KEYWORD for one in parameters):
            break
    return [one for one in found if one != "self"]


def make(name: str, arguments: Mapping[str, Any]) -> nn.Module:
    """A network of a known architecture from its own arguments, weights random.

    Args:
        name: in `ARCHITECTURES`.
        arguments: literals: numbers, words, and lists and tables of them.

    Raises:
        SettingsError: an unknown name or argument, one that may not be given, or arguments that make no network.
    """
    require_arguments(name, arguments)
    known = ARCHITECTURES[name]
    given = {name: _tuples(value) for name, value in {**known.usual, **arguments, **known.fixed}.items()}
    try:
        made = known.make(**given)
    except Exception as error:  # MONAI's own checks are of every kind
        raise SettingsError(f"{name} cannot be built with {dict(arguments)} ({reason_of(error)})") from error
    if known.several:
        made.register_forward_hook(_the_first)
    return made


def _the_first(module: nn.Module, given: Any, outputs: Any) -> Any:
    return outputs[0] if isinstance(outputs, tuple) else outputs


def _require_literal(value: Any, what: str) -> None:
    """Refuse what is no literal, or a word that MONAI's configurations would evaluate or look up."""
    if isinstance(value, Mapping):
        for name, one in value.items():
            _require_literal(name, what)
            _require_literal(one, f"{what}.{name}")
    elif isinstance(value, list | tuple):
        if len(value) > LONGEST:
            raise SettingsError(f"{what} has {len(value)} entries, expected at most {LONGEST}")
        for one in value:
            _require_literal(one, what)
    elif isinstance(value, str):
        if value[:1] in ("$", "@", "%") or value == "_target_":
            raise SettingsError(f"{what} = '{value[:80]}' is an expression or a reference, expected a literal")
    elif isinstance(value, int | float) and not abs(value) <= LARGEST:
        raise SettingsError(f"{what} = {value:g}, expected at most {LARGEST}")
    elif value is not None and not isinstance(value, bool | int | float):
        raise SettingsError(f"{what} is {type(value).__name__}, expected a number, a word, or lists and tables of them")


def _tuples(value: Any) -> Any:
    """Lists as tuples, which MONAI asks for in (name, arguments) of norms and activations."""
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value


def arguments_for(
    name: str,
    channels: int = 1,
    classes: int = 2,
    dimensions: int = 2,
    size: Sequence[int] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The arguments of an architecture for images and classes, to be given to `make`.

    Args:
        name: in `ARCHITECTURES`.
        channels: of the images.
        classes: two have one neuron, the logit of class 1; more have a neuron each.
        dimensions: spatial axes of the images, 2 or 3.
        size: pixels along each axis, for architectures that must know.
        extra: more arguments, by the architecture's own names.

    Raises:
        SettingsError: see `require_known`, numbers that make no network, or more arguments that say what the cases say.
    """
    require_known(name)
    if channels < 1 or classes < 2 or dimensions not in (2, 3):
        raise SettingsError(
            f"a network of {channels} channels, {classes} classes and {dimensions} dimensions: expected at least 1 "
            "channel, at least 2 classes, 2 or 3 dimensions"
        )
    known = ARCHITECTURES[name]
    told: dict[str, Any] = {
        known.channels: channels,
        known.neurons: 1 if classes == 2 else classes,
        known.dimensions: dimensions,
    }
    if known.size:
        if size is None:
            raise SettingsError(f"{name} must know the size of the images")
        told[known.size] = list(size)
    for argument in extra or {}:
        if argument in told:
            raise SettingsError(f"{name}: {argument} is told by the cases, and cannot be given")
    return {**known.usual, **told, **(extra or {})}


def build(
    name: str,
    channels: int = 1,
    classes: int = 2,
    dimensions: int = 2,
    size: Sequence[int] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> nn.Module:
    """A new network for images and classes, weights random; see `arguments_for` and `make`."""
    return make(name, arguments_for(name, channels, classes, dimensions, size, extra))


def output_of(classes: int) -> Output:
    """What a network of `build` returns, for `Classifier`."""
    return "logit" if classes == 2 else "logits"


def classes_of(name: str, arguments: Mapping[str, Any]) -> int:
    """Classes of a network that `make` makes with these arguments: 2 of one neuron, as many as neurons of more.

    Raises:
        SettingsError: arguments that do not say how many neurons there are.
    """
    asked = ARCHITECTURES[name].neurons
    neurons = arguments.get(asked)
    if not isinstance(neurons, int) or neurons < 1:
        raise SettingsError(f"{name}: {asked} = {neurons!r}, expected a whole number from 1 on")
    return 2 if neurons == 1 else neurons
