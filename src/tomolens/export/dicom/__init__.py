"""Maps as DICOM objects of the scan's own study: parametric maps, segmentations and secondary captures."""

from .anonymity import anonymous
from .capture import write_capture
from .parametric_map import write_parametric_map
from .segmentation import write_segmentation
from .sources import Sources, find_sources

__all__ = ["Sources", "anonymous", "find_sources", "write_capture", "write_parametric_map", "write_segmentation"]
