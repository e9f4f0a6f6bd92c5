"""Penalties on what layers do, or on their weights, one per file; recipes choose them by name."""

from pumice.train.regularizers.activity import Activity
from pumice.train.regularizers.exponential_weights import ExponentialWeights
from pumice.train.regularizers.fan_out import fan_out
from pumice.train.regularizers.planned_cost import PlannedCost
from pumice.train.regularizers.registry import REGULARISER_NAMES, make_regularizers
from pumice.train.regularizers.synaptic_events import SynapticEvents

__all__ = [
    "REGULARISER_NAMES",
    "Activity",
    "ExponentialWeights",
    "PlannedCost",
    "SynapticEvents",
    "fan_out",
    "make_regularizers",
]
