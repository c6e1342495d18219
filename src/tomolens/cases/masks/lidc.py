"""The readings of LIDC-IDRI: up to four radiologists outline nodules, each outline just outside the nodule.

Format: https://wiki.cancerimagingarchive.net, "LIDC-IDRI XML documentation". Nodules below 3 mm have one point
and no outline; regions with ``inclusion`` false are holes.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from ...errors import CaseError
from ..geometry import Volume
from .contours import enclosed, touched
from .layer import Layer

LARGEST_FILE = 1 << 26
NEAR = 0.25
"""mm between the height of an outline and of a single slice; half a step in a volume."""


@dataclass(frozen=True, eq=False)
class Outline:
    """One nodule in one slice: pixels ``(K, 2)`` as column and row, just outside it."""

    height: float
    is_nodule: bool
    points: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Readings:
    """One scan, as each radiologist read it."""

    series: str
    readers: tuple[tuple[Outline, ...], ...]


def read_readings(path: Path) -> Readings | None:
    """An XML file of readings; None where it is XML of another kind.

    Raises:
        CaseError: not XML, or damaged.
    """
    return _readings(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _readings(path: Path, _changed: int) -> Readings | None:
    if path.stat().st_size > LARGEST_FILE:
        raise CaseError(f"{path}: {path.stat().st_size} bytes, expected at most {LARGEST_FILE}")
    try:
        root = ElementTree.fromstring(path.read_bytes())
        if not root.tag.endswith("LidcReadMessage"):
            return None
        for element in root.iter():
            element.tag = element.tag.rpartition("}")[2]
        series = (root.findtext(".//SeriesInstanceUid") or "").strip()
        sessions = root.findall("readingSession")
        return Readings(series, tuple(tuple(map(_outline, session.iterfind(".//roi"))) for session in sessions))
    except (ElementTree.ParseError, LookupError, ValueError, TypeError) as error:
        raise CaseError(f"{path}: damaged XML readings ({error})") from error


def _outline(roi: ElementTree.Element) -> Outline:
    points = [
        (float(edge.findtext("xCoord", "")), float(edge.findtext("yCoord", ""))) for edge in roi.iterfind("edgeMap")
    ]
    return Outline(
        float(roi.findtext("imageZposition", "")),
        (roi.findtext("inclusion") or "TRUE").strip().upper() == "TRUE",
        np.array(points, dtype=np.float64).reshape(-1, 2),
    )


def read_lidc(path: Path, image: Volume) -> list[Layer]:
    """One layer a radiologist.

    Raises:
        CaseError: no such file of readings.
    """
    readings = read_readings(path)
    if readings is None:
        raise CaseError(f"{path}: XML, but no LIDC-IDRI readings")
    heights = image.grid.affine[2, 3] + image.grid.affine[2, 0] * np.arange(image.grid.shape[0])
    near = NEAR if len(heights) == 1 else abs(image.grid.affine[2, 0]) / 2
    layers = []
    for number, outlines in enumerate(readings.readers, start=1):
        mask = np.zeros(image.grid.shape, bool)
        for outline in sorted(outlines, key=lambda one: not one.is_nodule):
            index = int(np.argmin(np.abs(heights - outline.height)))
            if abs(heights[index] - outline.height) <= near and len(outline.points) >= 3:
                inside = _inside(outline.points, image.grid.shape[1:])
                mask[index] = mask[index] | inside if outline.is_nodule else mask[index] & ~inside
        layers.append(Layer(f"reader {number}", mask, image.grid))
    return layers


def _inside(points: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """What an outline encloses without the outline itself, which lies outside the nodule."""
    return enclosed(points, shape) & ~touched(points, shape)
