"""The graph of integer populations and synapses: the only thing passes, the file format and backends know."""

from pumice.ir.certificate import Certificate
from pumice.ir.digest import graph_digests
from pumice.ir.graph import Graph, Timing
from pumice.ir.input import Input
from pumice.ir.kinds import check_known
from pumice.ir.layout import flatten_whc, lava_to_torch, torch_to_lava, unflatten_whc
from pumice.ir.own_kinds import register_kind, unregister_kind
from pumice.ir.populations import Accumulator, Cuba, Delta, Population, Resonator, Sigma, SigmaDelta
from pumice.ir.reset import Reset
from pumice.ir.schedule import latencies, remembers, with_reset_schedule, without_resets
from pumice.ir.stream import from_stream, recorded_samples, to_stream
from pumice.ir.synapses import Conv, ConvTranspose, Dense, Direct, Entries, OneToOne, Sparse, Synapse, TokenMixing
from pumice.ir.verify import verify_graph

__all__ = [
    "Accumulator",
    "Certificate",
    "Conv",
    "ConvTranspose",
    "Cuba",
    "Delta",
    "Dense",
    "Direct",
    "Entries",
    "Graph",
    "Input",
    "OneToOne",
    "Population",
    "Reset",
    "Resonator",
    "Sigma",
    "SigmaDelta",
    "Sparse",
    "Synapse",
    "Timing",
    "TokenMixing",
    "check_known",
    "flatten_whc",
    "from_stream",
    "graph_digests",
    "latencies",
    "lava_to_torch",
    "recorded_samples",
    "register_kind",
    "remembers",
    "to_stream",
    "torch_to_lava",
    "unflatten_whc",
    "unregister_kind",
    "verify_graph",
    "with_reset_schedule",
    "without_resets",
]
