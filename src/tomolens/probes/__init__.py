"""Probes: what is declared of a network against what it does."""

from .check import Checked, check_network
from .finding import Finding

__all__ = ["Checked", "Finding", "check_network"]
