"""Reports: tables as CSV and LaTeX, figures as PNG, and one self-contained HTML page."""

from .latex import write_latex
from .write import write_report, write_tables

__all__ = ["write_latex", "write_report", "write_tables"]
