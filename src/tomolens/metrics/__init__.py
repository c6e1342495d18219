"""Metrics: the model's view (fidelity) and the expert's (ROC by pixel, overlap by region)."""

from .fidelity import Fidelity, fidelity
from .overlap import RegionOverlap, region_overlap
from .ranked import RankedMap, rank_map
from .roc import Roc, roc

__all__ = ["Fidelity", "RankedMap", "RegionOverlap", "Roc", "fidelity", "rank_map", "region_overlap", "roc"]
