"""The most important voxels as a DICOM Segmentation, which most viewers can lay over the scan."""

from importlib.metadata import version
from pathlib import Path

import numpy as np
from highdicom import AlgorithmIdentificationSequence
from highdicom.color import CIELabColor
from highdicom.seg import Segmentation, SegmentDescription
from pydicom.sr.codedict import codes

from ...errors import MapError, SettingsError
from ..scan_map import ScanMap
from .objects import LONG, MAKER, common_options, derivation, fitting, refused_headers, write
from .sources import Sources

SERIES = 9103
RED = (53.0, 80.0, 67.0)
"""CIELab."""


def write_segmentation(scan_map: ScanMap, sources: Sources, file: Path, *, share: float = 0.05) -> None:
    """Write the voxels of the largest magnitudes as a binary segmentation of one segment.

    The segment is a selected region, a spatial and relational concept: no anatomy and no finding. Slices without any
    of it have no frame.

    Args:
        scan_map: the map.
        sources: the images that it lies on.
        file: where to.
        share: how much of what was explained, above 0 and at most 1; see `ScanMap.top`.

    Raises:
        SettingsError: a share that is none.
        MapError: nothing is among the top, as of a map of one value; or values that are not finite.
        CaseError: images of another shape or place, a header of which no segmentation can be made, or a file that
            cannot be written.
    """
    if not 0 < share <= 1:
        raise SettingsError(f"share {share:g} of the voxels, expected above 0 and at most 1")
    sources.require(scan_map)
    top = scan_map.top(share)
    if not top.any():
        raise MapError(
            f"{scan_map.title}: no voxels are the top {100 * share:g} % of it, for too many are as important as any "
            "other: there is nothing to segment"
        )
    with refused_headers(sources):
        made = Segmentation(
            source_images=sources.images,
            pixel_array=sources.stacked(top.astype(np.uint8)),
            segmentation_type="BINARY",
            segment_descriptions=[_segment(scan_map, share)],
            content_label="IMPORTANCE_TOP",
            content_description=fitting(f"Top {100 * share:g} %: {scan_map.explained_class}", LONG),
            omit_empty_frames=True,
            **common_options(scan_map, SERIES),
        )
        write(made, scan_map, sources, file)


def _segment(scan_map: ScanMap, share: float) -> SegmentDescription:
    described = SegmentDescription(
        segment_number=1,
        segment_label=fitting(f"Top {100 * share:g} % of {scan_map.estimator}", LONG),
        segmented_property_category=codes.SCT.SpatialAndRelationalConcept,
        segmented_property_type=codes.DCM.SelectedRegion,
        algorithm_type="AUTOMATIC",
        algorithm_identification=AlgorithmIdentificationSequence(
            name=fitting(f"{MAKER} {scan_map.estimator}", LONG),
            family=codes.cid7162.ArtificialIntelligence,
            version=version("tomolens"),
            source=MAKER,
            parameters={"estimator": scan_map.estimator, "share": f"{share:g}"},
        ),
        display_color=CIELabColor(*RED),
    )
    described.SegmentDescription = derivation(scan_map)
    return described
