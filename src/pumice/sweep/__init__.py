"""Many trainings of one recipe with other settings: an Optuna study whose trials are checkpoints."""

from pumice.sweep.space import Choice, Range, parse_space
from pumice.sweep.study import SAMPLERS, Sweep, Trial

__all__ = ["SAMPLERS", "Choice", "Range", "Sweep", "Trial", "parse_space"]
