"""Reports: tables as CSV and LaTeX, figures as PNG, and one self-contained HTML page."""

from .latex import write_latex
from .write import is_current, write_report, write_tables

__all__ = ["is_current", "write_latex", "write_report", "write_tables"]
