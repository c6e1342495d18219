"""Reports: tables as CSV, figures as PNG, and one self-contained HTML page."""

from .write import write_report

__all__ = ["write_report"]
