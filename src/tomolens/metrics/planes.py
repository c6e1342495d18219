"""Channels of maps, made one number a pixel by a named rule."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import SettingsError

Values = NDArray[np.floating]


def _largest(importance: Values) -> Values:
    chosen = np.abs(importance).argmax(axis=0)
    return np.asarray(np.take_along_axis(importance, chosen[None], axis=0)[0])


CHANNEL_RULES: Mapping[str, Callable[[Values], Any]] = {
    "sum": lambda importance: importance.sum(axis=0),
    "largest": _largest,
    "norm": lambda importance: np.sqrt((importance**2).sum(axis=0)),
}
"""``sum``: the protocol's. ``largest``: the value of the channel that is largest in magnitude, with its sign.
``norm``: the Euclidean length over the channels, which has no sign."""


def to_plane(importance: Values, rule: str = "sum") -> Values:
    """A map ``(C, *spatial)`` as ``(*spatial)``.

    Raises:
        SettingsError: a rule that is none of `CHANNEL_RULES`.

    Example:
        >>> to_plane(np.array([[1.0, -3.0], [2.0, 1.0]]), "largest")
        array([ 2., -3.])
    """
    if rule not in CHANNEL_RULES:
        raise SettingsError(f"rule for channels '{rule}', expected one of {', '.join(CHANNEL_RULES)}")
    return np.asarray(CHANNEL_RULES[rule](importance))
