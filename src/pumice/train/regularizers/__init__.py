"""Penalties on what layers do, or on their weights, one per file; recipes choose them by name."""

from pumice import names
from pumice.train.regularizers.activity import Activity
from pumice.train.regularizers.exponential_weights import ExponentialWeights
from pumice.train.regularizers.fan_out import fan_out
from pumice.train.regularizers.planned_cost import PlannedCost
from pumice.train.regularizers.registry import REGULARIZER_NAMES, make_regularizers
from pumice.train.regularizers.synaptic_events import SynapticEvents

__all__ = [
    "REGULARIZER_NAMES",
    "Activity",
    "ExponentialWeights",
    "PlannedCost",
    "SynapticEvents",
    "fan_out",
    "make_regularizers",
]

__getattr__ = names.renamed(  # until 0.3
    __name__, {"REGULARISER_NAMES": "pumice.train.regularizers:REGULARIZER_NAMES"}
)
