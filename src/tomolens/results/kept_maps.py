"""Importance maps of every case, kept on request: a Zarr group with one array an estimator, one chunk a case."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import SettingsError


@dataclass(frozen=True)
class KeptMaps:
    """The group: float32 ``(N, C, *spatial)`` for each estimator, NaN where a case has no map.

    Attributes:
        group: of Zarr; its attribute ``cases`` holds the names.
    """

    group: Any

    @classmethod
    def open(cls, folder: Path, cases: Sequence[str], estimators: Sequence[str], shape: tuple[int, ...]) -> "KeptMaps":
        """Begin the group, or go on with it.

        Raises:
            SettingsError: Zarr is not installed.
        """
        try:
            import zarr
        except ImportError as error:
            raise SettingsError("keep_maps needs Zarr: pip install 'tomolens[maps]'") from error
        group = zarr.open_group(folder, mode="a")
        if "cases" not in group.attrs:
            for name in estimators:
                group.require_array(
                    name, shape=(len(cases), *shape), chunks=(1, *shape), dtype="float32", fill_value=np.nan
                )
            group.attrs["cases"] = list(cases)
        return cls(group)

    def write(self, index: int, maps: Mapping[str, NDArray[np.float32]]) -> None:
        """Keep the maps of one case; a map is one file, which is replaced as a whole."""
        for name, one in maps.items():
            self.group[name][index] = one
