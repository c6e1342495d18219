"""Every random number comes from a generator named by what it is for, never from a shared stream.

Order, batch size and worker therefore cannot change a draw: noise sample k of a case depends on
(study seed, case, estimator, k) and on nothing else.
"""

import hashlib
import operator
from collections.abc import Sequence

import numpy as np

from .errors import SettingsError


def generator(*key: str | int) -> np.random.Generator:
    """A generator that depends on ``key`` alone, e.g. ``(seed, case, "smoothgrad", 3)``.

    The key is hashed (BLAKE2b) into the 128-bit key of a Philox counter generator, so that
    neighbouring keys give independent streams. Whole numbers are the same whatever their type: ``np.int64(0)`` is 0.

    Raises:
        SettingsError: a part that is neither text nor a whole number.
    """
    text = "\x1f".join(map(_spelled, key))
    digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))


def _spelled(part: str | int) -> str:
    if isinstance(part, str):
        return f"str:{part}"
    try:
        return f"int:{operator.index(part)}"
    except TypeError as error:
        raise SettingsError(f"{part!r} in the key of a random draw, expected text or a whole number") from error


def draw_names(names: Sequence[str] | None, count: int) -> Sequence[str]:
    """What identifies each of ``count`` images in its draws: the names given, or its position.

    Raises:
        SettingsError: another number of names than images.
    """
    if names is None:
        return [str(position) for position in range(count)]
    if len(names) != count:
        raise SettingsError(f"{len(names)} names for {count} images")
    return names
