"""Regions: Felzenszwalb segments of a slice, and XRAI's region maps made of them."""

from .xrai import RegionSettings, Segments, segment, top_regions, xrai

__all__ = ["RegionSettings", "Segments", "segment", "top_regions", "xrai"]
