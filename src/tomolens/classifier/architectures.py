"""The networks that TomoLens trains itself. The protocol's is ResNet-50 with one channel and one neuron."""

from collections.abc import Callable
from difflib import get_close_matches

from monai.networks.nets import resnet18, resnet50
from torch import nn

from ..errors import SettingsError


def paper_resnet50(spatial_dims: int = 2) -> nn.Module:
    """ResNet-50 with one grey input channel and one output neuron; MONAI's has a stem of stride 1 unless told."""
    return resnet50(spatial_dims=spatial_dims, n_input_channels=1, num_classes=1, conv1_t_stride=2)  # type: ignore[no-any-return]


def small_resnet18(spatial_dims: int = 2) -> nn.Module:
    """ResNet-18 of the same kind, for quick trials."""
    return resnet18(spatial_dims=spatial_dims, n_input_channels=1, num_classes=1, conv1_t_stride=2)  # type: ignore[no-any-return]


ARCHITECTURES: dict[str, Callable[[], nn.Module]] = {"resnet50": paper_resnet50, "resnet18": small_resnet18}


def require_known(name: str) -> None:
    """Refuse a name that is not in `ARCHITECTURES`.

    Raises:
        SettingsError: an unknown name, with the nearest known one.
    """
    if name not in ARCHITECTURES:
        near = get_close_matches(name, ARCHITECTURES, n=1)
        hint = f"did you mean '{near[0]}'? " if near else ""
        raise SettingsError(f"unknown architecture '{name}': {hint}known are {', '.join(ARCHITECTURES)}")


def build(name: str) -> nn.Module:
    """A new network of a registered architecture, weights random.

    Raises:
        SettingsError: see `require_known`.
    """
    require_known(name)
    return ARCHITECTURES[name]()
