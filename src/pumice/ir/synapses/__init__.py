"""The kinds of synapses: one file for each, with all that is to be known of it."""

from pumice.ir.synapses.base import Entries, Synapse
from pumice.ir.synapses.conv import Conv
from pumice.ir.synapses.conv_transpose import ConvTranspose
from pumice.ir.synapses.dense import Dense
from pumice.ir.synapses.direct import Direct
from pumice.ir.synapses.one_to_one import OneToOne
from pumice.ir.synapses.sparse import Sparse
from pumice.ir.synapses.token_mixing import TokenMixing

KINDS: tuple[type[Synapse], ...] = (Direct, Dense, Sparse, Conv, OneToOne, TokenMixing, ConvTranspose)

__all__ = [
    "KINDS",
    "Conv",
    "ConvTranspose",
    "Dense",
    "Direct",
    "Entries",
    "OneToOne",
    "Sparse",
    "Synapse",
    "TokenMixing",
]
