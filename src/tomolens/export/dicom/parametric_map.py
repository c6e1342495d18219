"""A map as a DICOM Parametric Map: its own numbers on the frames of the scan."""

from pathlib import Path

import highdicom
import numpy as np
from highdicom.pm import ParametricMap, RealWorldValueMapping
from highdicom.sr import CodedConcept
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from ..scan_map import ScanMap
from .objects import LONG, common_options, fitting, refused_headers, write
from .sources import Sources

SERIES, SHOWN_SERIES = 9101, 9102
"""Numbers of the series: after those of any scanner."""


def write_parametric_map(scan_map: ScanMap, sources: Sources, file: Path, *, shown: bool = False) -> None:
    """Write a map as a Parametric Map of float32 values.

    It belongs to the study and the frame of reference of the scan, is a series of its own, has a frame for each slice
    in the slice's own place, and refers to the slice and its series. Quantity is class activation, without a unit,
    and the real world values are the stored ones. Of a scan by a tilted gantry every frame is in its place, but some
    readers (SimpleITK, dcmqi) stack frames along their normal and shear it.

    Args:
        scan_map: the map.
        sources: the images that it lies on.
        file: where to.
        shown: its magnitude from 0 to 1 rather than its signed values: some viewers show nothing below 0.

    Raises:
        CaseError: images of another shape or place, a header of which no map can be made, or a file that cannot be
            written.
        MapError: values that are not finite.
    """
    sources.require(scan_map)
    values = np.asarray(scan_map.shown if shown else scan_map.values, dtype=np.float32)
    what = "Magnitude from 0 to 1" if shown else "Signed importance"
    with refused_headers(sources):
        made = ParametricMap(
            source_images=sources.images,
            pixel_array=sources.stacked(values),
            contains_recognizable_visual_features=False,
            real_world_value_mappings=[_mapping(values, fitting(f"{what} by {scan_map.estimator}", LONG))],
            voi_lut_transformations=[_window(values)],
            content_label="IMPORTANCE_SHOWN" if shown else "IMPORTANCE",
            content_description=fitting(f"{what}: {scan_map.explained_class}", LONG),
            content_qualification="RESEARCH",
            content_creator_name="",
            **common_options(scan_map, SHOWN_SERIES if shown else SERIES),
        )
        made.SharedFunctionalGroupsSequence[0].FrameAnatomySequence = [_anatomy()]
        _in_order(made, sources)
        write(made, scan_map, sources, file)


def _in_order(made: ParametricMap, sources: Sources) -> None:
    """Put frames in the order of their places along the normal, the row's direction times the column's.

    Highdicom puts them the other way round, and dcmqi takes them for being in this order, whatever their places say.
    """
    directions = made.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0].ImageOrientationPatient
    normal = np.cross(*np.array(directions, dtype=np.float64).reshape(2, 3))
    frames = list(made.PerFrameFunctionalGroupsSequence)
    places = np.array([frame.PlanePositionSequence[0].ImagePositionPatient for frame in frames], dtype=np.float64)
    order = np.argsort(places @ normal)
    stored = np.frombuffer(made.FloatPixelData, "<f4").reshape(sources.grid.shape)
    made.FloatPixelData = stored[order].tobytes()
    made.PerFrameFunctionalGroupsSequence = [frames[index] for index in order]
    for number, index in enumerate(order, start=1):
        frames[index].FrameContentSequence[0].DimensionIndexValues = number


def _anatomy() -> Dataset:
    """Some part of the body: dcmqi, and 3D Slicer with it, ends on maps that do not say which."""
    item = Dataset()
    item.FrameLaterality = "U"
    item.AnatomicRegionSequence = [CodedConcept("123037004", "SCT", "Body structure")]
    return item


def _mapping(values: NDArray[np.float32], explanation: str) -> RealWorldValueMapping:
    return RealWorldValueMapping(
        lut_label="Class Activation",
        lut_explanation=explanation,
        unit=codes.UCUM.NoUnits,
        value_range=(float(values.min()), float(values.max())),
        quantity_definition=codes.DCM.ClassActivation,
    )


def _window(values: NDArray[np.float32]) -> highdicom.VOILUTTransformation:
    """From 0 to the largest value; of signed ones as far below 0, so that 0 is in the middle."""
    largest = float(np.abs(values).max()) or 1.0
    signed = float(values.min()) < 0
    return highdicom.VOILUTTransformation(
        window_center=0.0 if signed else largest / 2,
        window_width=2 * largest if signed else largest,
        voi_lut_function="LINEAR_EXACT",
    )
