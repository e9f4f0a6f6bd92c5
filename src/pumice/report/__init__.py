"""A pipeline's result as one self-contained HTML page."""

from pumice.report.page import write_report

__all__ = ["write_report"]
