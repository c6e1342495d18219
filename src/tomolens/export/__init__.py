"""Maps that leave TomoLens: on the grid of the scan, in the formats of the viewers on the desk."""

from .dicom import find_sources, write_capture, write_parametric_map, write_segmentation
from .explain_scan import ExplainedScan, explain_scan
from .given import GivenNetwork, read_network
from .nifti import write_nifti
from .scan_map import ScanMap

__all__ = [
    "ExplainedScan",
    "GivenNetwork",
    "ScanMap",
    "explain_scan",
    "find_sources",
    "read_network",
    "write_capture",
    "write_nifti",
    "write_parametric_map",
    "write_segmentation",
]
