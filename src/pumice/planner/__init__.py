"""Will a graph fit a chip, how fast is it there, at what energy: a plan, made without a chip."""

from pumice.planner.measured import CellDifference, Comparison, Quantity, compare
from pumice.planner.planning import plan
from pumice.planner.plans import LayerRow, Plan, Sample
from pumice.planner.remedy import fit_cores
from pumice.planner.split import Compiler

__all__ = [
    "CellDifference",
    "Comparison",
    "Compiler",
    "LayerRow",
    "Plan",
    "Quantity",
    "Sample",
    "compare",
    "fit_cores",
    "plan",
]
