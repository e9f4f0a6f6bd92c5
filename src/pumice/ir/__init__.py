"""The graph of integer populations and synapses: the only thing passes, the file format and backends know."""

from pumice.ir.certificate import Certificate
from pumice.ir.graph import Graph, Timing
from pumice.ir.layout import flatten_whc, lava_to_torch, torch_to_lava
from pumice.ir.population import Cuba, Input, Reset
from pumice.ir.schedule import latencies, with_reset_schedule, without_resets
from pumice.ir.stream import from_stream, to_stream
from pumice.ir.synapse import Conv, Dense, Direct, Synapse
from pumice.ir.verify import verify_graph

__all__ = [
    "Certificate",
    "Conv",
    "Cuba",
    "Dense",
    "Direct",
    "Graph",
    "Input",
    "Reset",
    "Synapse",
    "Timing",
    "flatten_whc",
    "from_stream",
    "latencies",
    "lava_to_torch",
    "to_stream",
    "torch_to_lava",
    "verify_graph",
    "with_reset_schedule",
    "without_resets",
]
