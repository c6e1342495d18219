"""Findings: from measurements to tables, curves, intervals, ranks and the agreement of the two views."""

from .findings import Findings

__all__ = ["Findings"]
