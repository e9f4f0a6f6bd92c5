"""Which of Lava's processes are known to have a model for Loihi 2's neuro cores.

The models are closed; that they exist is known from what others have printed or written.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from lava.magma.core.process.process import AbstractProcess
from lava.proc.conv.process import Conv
from lava.proc.dense.process import DelayDense, Dense
from lava.proc.lif.process import LIF, LIFReset
from lava.proc.rf.process import RF
from lava.proc.rf_iz.process import RF_IZ
from lava.proc.sdn.process import Delta, Sigma, SigmaDelta
from lava.proc.sparse.process import DelaySparse, Sparse


class Evidence(NamedTuple):
    """Why a process is believed to run on the chip.

    Attributes:
        kind: "seen": a run of it on a chip was printed; "named": a test or an issue names it, no result was seen.
        source: Where.
    """

    kind: Literal["seen", "named"]
    source: str


EVIDENCE: dict[type[AbstractProcess], Evidence] = {
    LIF: Evidence("seen", "lava-dl's MNIST and Oxford tutorials"),
    LIFReset: Evidence("seen", "lava-dl's pilotnet_snn benchmark, through NetX"),
    Dense: Evidence("seen", "lava-dl's MNIST and Oxford tutorials"),
    DelayDense: Evidence("seen", "NECOTIS, TemporalLearningInRSNNs"),
    Conv: Evidence("seen", "lava-dl's pilotnet benchmarks"),
    SigmaDelta: Evidence("seen", "lava-dl's pilotnet_sdnn benchmark"),
    Sigma: Evidence("seen", "lava-dl's pilotnet_sdnn benchmark"),
    Delta: Evidence("seen", "lava-dl's pilotnet_sdnn benchmark"),
    Sparse: Evidence("seen", "lava's S4D notebooks"),
    DelaySparse: Evidence("named", "lava issue 436"),
    RF: Evidence("named", "lava-dl's test_hdf5_nx.py"),
    RF_IZ: Evidence("named", "lava-dl's test_hdf5_nx.py"),
}
"""Of all processes that a `GraphProcess` is made of. Not among them, since nothing was seen: TernaryLIF,
LIFRefractory, ATRLIF, ConvInTime."""
