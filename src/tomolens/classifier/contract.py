"""The input contract: what a network takes, said in Hounsfield units, millimetres and pixels.

Images of a study are from 0 (black) to 1 (white), one channel a window. What a network was trained on is made of them
inside it, so that black, white, fills and references mean the same for every network.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from ..errors import NetworkError, SettingsError
from .intensity import Intensity

OURS = "SPL"
"""Where the indices of a case's axes rise to: slices to the head, rows to the back, columns to the patient's left."""

LONGEST = 65_536
"""Pixels along an axis, at most."""
OPPOSITE = dict(zip("LRAPSI", "RLPAIS", strict=True))


@dataclass(frozen=True)
class InputContract:
    """What a network takes.

    Attributes:
        windows: Hounsfield units of black and white, one pair for each channel of the images; empty where images are
            no windowed CT or nothing is known.
        size: pixels along each axis, slices before rows before columns; empty where any number will do.
        spacing: millimetres of a pixel along each axis; empty where that is not said.
        channels: of the network's input; images of one channel are repeated. 0 takes the images' own.
        black: what the network was trained on where the image is black, before ``mean`` and ``std``.
        white: the same for white.
        mean: subtracted, one number or one for each channel; empty subtracts nothing.
        std: divided by, likewise.
        orientation: where the indices of the network's axes rise to, in the letters of MONAI's and nibabel's axis codes
            (``RAS``: to the right, to the front, to the head); in two dimensions those of rows and columns. Empty takes
            images as they are, `OURS`.
        not_translated: what its makers do to images that none of these says, in words.

    Raises:
        SettingsError: numbers that cannot be, with the name of the setting.

    Example:
        >>> InputContract(((-160.0, 240.0),), channels=3, mean=(0.5,), std=(0.5,)).given(torch.ones(1, 1, 2, 2)).shape
        torch.Size([1, 3, 2, 2])
    """

    windows: tuple[tuple[float, float], ...] = ()
    size: tuple[int, ...] = ()
    spacing: tuple[float, ...] = ()
    channels: int = 0
    black: float = 0.0
    white: float = 1.0
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    orientation: str = ""
    not_translated: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("black", "white"):
            object.__setattr__(self, name, float(getattr(self, name)))
        for name in ("spacing", "mean", "std"):
            object.__setattr__(self, name, tuple(map(float, getattr(self, name))))
        object.__setattr__(self, "windows", tuple(tuple(map(float, pair)) for pair in self.windows))
        object.__setattr__(self, "size", tuple(self.size))
        _require(self.size, "size", lambda one: 1 <= one <= LONGEST, (0, 2, 3), f"1 to {LONGEST} pixels, one an axis")
        _require(self.spacing, "spacing", lambda one: 0 < one < 1e4, (0, 2, 3), "millimetres, one an axis")
        _require(self.std, "std", lambda one: one > 0, (), "numbers above 0")
        _require(self.mean, "mean", lambda one: True, (), "numbers")
        _require((self.black, self.white), "black, white", lambda one: True, (), "numbers")
        if self.black == self.white:
            raise SettingsError(f"input: black and white are both {self.black:g}")
        if self.channels < 0:
            raise SettingsError(f"input: channels = {self.channels}, expected 1 or more, or none for the images' own")
        for name in ("mean", "std"):
            count = len(getattr(self, name))
            if count > 1 and count != self.channels:
                raise SettingsError(f"input: {count} numbers of {name} for {self.channels or 'unsaid'} channels")
        if self.windows and self.channels and len(self.windows) not in (1, self.channels):
            raise SettingsError(f"input: {len(self.windows)} windows for {self.channels} channels")
        letters = {min(letter, OPPOSITE.get(letter, "")) for letter in self.orientation}
        if self.orientation and (len(letters) != len(self.orientation) or len(letters) not in (2, 3) or "" in letters):
            raise SettingsError(
                f"input: orientation '{self.orientation}', expected one letter an axis of L or R, A or P, S or I"
            )
        self.intensity  # noqa: B018  windows that cannot be raise here

    def said(self) -> str:
        """All that is said, in the words of ``network.toml``."""
        usual = InputContract()
        told = {one.name: getattr(self, one.name) for one in fields(self)}
        return (
            ", ".join(f"{name} = {value}" for name, value in told.items() if value != getattr(usual, name)) or "nothing"
        )

    @property
    def intensity(self) -> Intensity:
        """Which values of the images are black and white, and which Hounsfield units those are."""
        if len(self.windows) > 1:
            return Intensity(hounsfield=self.windows)
        return Intensity(hounsfield=self.windows[0] if self.windows else None)

    def given(self, images: Tensor) -> Tensor:
        """What the network is given for images ``(N, C, *spatial)`` from 0 to 1, differentiable.

        Raises:
            NetworkError: images of channels that cannot be made the network's, or of other axes.
        """
        shown = self._turned(images)
        if self.channels not in (0, shown.shape[1]):
            if shown.shape[1] != 1:
                raise NetworkError(f"images of {shown.shape[1]} channels for a network of {self.channels}")
            shown = shown.expand(-1, self.channels, *shown.shape[2:])
        if (self.black, self.white) != (0.0, 1.0):
            shown = self.black + shown * (self.white - self.black)
        if self.mean:
            shown = shown - self._each(self.mean, shown)
        return shown / self._each(self.std, shown) if self.std else shown

    def _turned(self, images: Tensor) -> Tensor:
        axes = images.ndim - 2
        ours = OURS[-axes:]
        if self.orientation in ("", ours):
            return images
        if len(self.orientation) != axes:
            raise NetworkError(f"orientation '{self.orientation}' for images of {axes} axes")
        order = []
        for letter in self.orientation:
            place = next((place for place, own in enumerate(ours) if own in (letter, OPPOSITE[letter])), None)
            if place is None:
                raise NetworkError(f"orientation '{self.orientation}' for images whose axes rise to {ours}")
            order.append(place)
        flips = [2 + axis for axis, place in enumerate(order) if ours[place] != self.orientation[axis]]
        return images.permute(0, 1, *(2 + place for place in order)).flip(flips)

    @staticmethod
    def _each(numbers: Sequence[float], images: Tensor) -> Tensor:
        return torch.tensor(numbers, dtype=images.dtype, device=images.device).reshape(1, -1, *[1] * (images.ndim - 2))


def _require(
    numbers: Sequence[float], name: str, usable: Callable[[float], bool], counts: Sequence[int], expected: str
) -> None:
    if not all(math.isfinite(one) and usable(one) for one in numbers) or (counts and len(numbers) not in counts):
        raise SettingsError(f"input: {name} = {list(numbers)}, expected {expected}")
