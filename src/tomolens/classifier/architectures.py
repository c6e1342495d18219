"""The networks that TomoLens trains itself. The protocol's is ResNet-50 with one channel and one neuron."""

from collections.abc import Callable
from difflib import get_close_matches

from monai.networks.layers.factories import Conv, Norm, Pool
from monai.networks.nets import resnet18, resnet50
from torch import Tensor, nn

from ..errors import NetworkError, SettingsError
from .classifier import Output


def paper_resnet50(channels: int = 1, neurons: int = 1, dimensions: int = 2) -> nn.Module:
    """ResNet-50, by default of one grey channel and one output neuron; MONAI's has a stem of stride 1 unless told."""
    return resnet50(  # type: ignore[no-any-return]
        spatial_dims=dimensions, n_input_channels=channels, num_classes=neurons, conv1_t_stride=2
    )


def small_resnet18(channels: int = 1, neurons: int = 1, dimensions: int = 2) -> nn.Module:
    """ResNet-18 of the same kind, for quick trials."""
    return resnet18(  # type: ignore[no-any-return]
        spatial_dims=dimensions, n_input_channels=channels, num_classes=neurons, conv1_t_stride=2
    )


class LocalNetwork(nn.Module):
    """Six convolutions that see 45 pixels across, and the maximum over all places: is a small thing anywhere?

    Where ResNets average over the whole image, a finding of some pixels is a thousandth of what is averaged, and they
    learn it from many more cases.
    """

    def __init__(self, channels: int, neurons: int, dimensions: int, width: int) -> None:
        super().__init__()
        convolution, norm = Conv[Conv.CONV, dimensions], Norm[Norm.BATCH, dimensions]
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
        self.anywhere = Pool[Pool.ADAPTIVEMAX, dimensions](1)
        self.fc = nn.Linear(before, neurons)

    def forward(self, images: Tensor) -> Tensor:
        """Scores ``(N, neurons)``."""
        scores: Tensor = self.fc(self.anywhere(self.features(images)).flatten(1))
        return scores


def local_network(channels: int = 1, neurons: int = 1, dimensions: int = 2) -> nn.Module:
    """A small network for small findings, see `LocalNetwork`."""
    return LocalNetwork(channels, neurons, dimensions, 24)


ARCHITECTURES: dict[str, Callable[[int, int, int], nn.Module]] = {
    "resnet50": paper_resnet50,
    "resnet18": small_resnet18,
    "local": local_network,
}
"""By name: from channels, output neurons and spatial dimensions to a network."""


def require_known(name: str) -> None:
    """Refuse a name that is not in `ARCHITECTURES`.

    Raises:
        SettingsError: an unknown name, with the nearest known one.
    """
    if name not in ARCHITECTURES:
        near = get_close_matches(name, ARCHITECTURES, n=1)
        hint = f"did you mean '{near[0]}'? " if near else ""
        raise SettingsError(f"unknown architecture '{name}': {hint}known are {', '.join(ARCHITECTURES)}")


def build(name: str, channels: int = 1, classes: int = 2, dimensions: int = 2) -> nn.Module:
    """A new network of a registered architecture, weights random.

    Args:
        name: in `ARCHITECTURES`.
        channels: of the images.
        classes: two have one neuron, the logit of class 1; more have a neuron each.
        dimensions: spatial axes of the images, 2 or 3.

    Raises:
        SettingsError: see `require_known`, or numbers that make no network.
    """
    require_known(name)
    if channels < 1 or classes < 2 or dimensions not in (2, 3):
        raise SettingsError(
            f"a network of {channels} channels, {classes} classes and {dimensions} dimensions: expected at least 1 "
            "channel, at least 2 classes, 2 or 3 dimensions"
        )
    return ARCHITECTURES[name](channels, 1 if classes == 2 else classes, dimensions)


def output_of(classes: int) -> Output:
    """What a network of `build` returns, for `Classifier`."""
    return "logit" if classes == 2 else "logits"


def built_with(network: nn.Module) -> dict[str, int]:
    """The channels, classes and dimensions that a network of `build` was made with, told by its layers.

    Raises:
        NetworkError: a network that does not begin with a convolution and end in a linear layer.
    """
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.Conv3d)]
    endings = [module for module in network.modules() if isinstance(module, nn.Linear)]
    if not convolutions or not endings:
        raise NetworkError(f"{type(network).__name__} is none of {', '.join(ARCHITECTURES)}: its weights are not kept")
    first, neurons = convolutions[0], endings[-1].out_features
    return {
        "channels": first.in_channels,
        "classes": 2 if neurons == 1 else neurons,
        "dimensions": len(first.kernel_size),
    }
