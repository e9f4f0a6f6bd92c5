"""What a network answers, how busy it is, whether all backends agree: on one page that needs nothing else."""

from pumice.reporting.writing import report

__all__ = ["report"]
