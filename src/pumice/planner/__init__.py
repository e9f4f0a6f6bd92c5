"""Will a graph fit a chip, how fast is it there, at what energy: a plan, made without a chip."""

from pumice.planner.planning import plan
from pumice.planner.plans import LayerRow, Plan, Sample
from pumice.planner.remedy import fit_cores
from pumice.planner.split import Compiler

__all__ = ["Compiler", "LayerRow", "Plan", "Sample", "fit_cores", "plan"]
