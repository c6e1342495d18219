"""Regions: Felzenszwalb segments of a slice or volume, and XRAI's region maps made of them."""

from .parts import parts
from .settings import RegionSettings
from .top import count_at, top_regions
from .xrai import Segments, segment, xrai

__all__ = ["RegionSettings", "Segments", "count_at", "parts", "segment", "top_regions", "xrai"]
