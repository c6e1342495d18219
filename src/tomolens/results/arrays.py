"""Files of arrays, written whole or not at all, and read back by what their names say."""

import os
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..errors import SettingsError

Parts = Mapping[str, Mapping[tuple[str, ...], NDArray[Any]]]
"""Arrays by the first word of their names, then by the words after it: ``map/smoothgrad/absolute``."""
Made = TypeVar("Made")


def write_whole(file: Path, content: bytes) -> None:
    """Write a file into its folder, which is made where there is none, atomically."""
    file.parent.mkdir(exist_ok=True)
    partial = file.with_suffix(".partial")
    partial.write_bytes(content)
    os.replace(partial, file)


def read_arrays(file: Path, make: Callable[[Parts], Made]) -> Made:
    """What ``make`` makes of the arrays of a file.

    Raises:
        SettingsError: a damaged file, or one of which nothing can be made.
    """
    try:
        parts: dict[str, dict[tuple[str, ...], NDArray[Any]]] = {}
        with np.load(file, allow_pickle=False) as arrays:
            for name in arrays.files:
                kind, *rest = name.split("/")
                parts.setdefault(kind, {})[tuple(rest)] = arrays[name]
        return make(parts)
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise SettingsError(f"{file}: damaged ({error}); run the study into another folder") from error
