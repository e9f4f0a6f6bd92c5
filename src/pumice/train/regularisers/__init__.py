"""Penalties on what the hidden layers do, one per file; recipes choose them by name."""

from pumice.train.regularisers.activity import Activity
from pumice.train.regularisers.fan_out import fan_out
from pumice.train.regularisers.registry import REGULARISER_NAMES, make_regularisers
from pumice.train.regularisers.synaptic_events import SynapticEvents

__all__ = ["REGULARISER_NAMES", "Activity", "SynapticEvents", "fan_out", "make_regularisers"]
