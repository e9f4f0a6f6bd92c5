"""A source's values some steps later, for synapses that have no delay on Lava."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from lava.magma.core.process.ports.ports import OutPort
from lava.proc.lif.process import LIF
from lava.proc.sdn.process import ActivationMode, SigmaDelta
from lava.proc.sparse.process import DelaySparse
from lava.proc.sparse.process import Sparse as LavaSparse
from lava.utils.weightutils import SignMode
from scipy.sparse import csr_matrix

from pumice.backends.lava.weights import GRADED_BITS
from pumice.fixedpoint.formats import DECAY_ONE

IntArray = npt.NDArray[np.integer[Any]]


def delayed(source: Any, channels: IntArray, delays: IntArray, *, graded: bool) -> OutPort:
    """Some of a source's channels, each delayed by its own number of steps; 0 in the others.

    A delayed identity, one synapse per neuron, ends in relays: neurons without memory, which send on at once what
    they receive. The synapse takes one of the steps. Spikes are relayed by a `LIF`; values by a `SigmaDelta`
    without threshold, which sends each change of the sum of what it received, that is, what it received.

    Args:
        source: Port of shape (x, y, channel).
        channels: Which channels.
        delays: Steps of each of them, 1 to 62.
        graded: Relay values; otherwise everything but 0 is one spike.

    Returns:
        The relays' out-port, of the source's shape.
    """
    shape = source.shape
    neurons = np.arange(int(np.prod(shape))).reshape(shape)[..., channels]
    held = np.broadcast_to(delays - 1, neurons.shape).reshape(-1)
    place, size = (neurons.reshape(-1),) * 2, (int(np.prod(shape)),) * 2
    identity: dict[str, Any] = {
        "weights": csr_matrix((np.full(held.size, 1 if graded else 2, np.int32), place), size),
        "sign_mode": SignMode.EXCITATORY,
        "num_message_bits": GRADED_BITS if graded else 0,
    }
    if held.any():
        steps = csr_matrix((held.astype(np.int64), place), size)
        steps.eliminate_zeros()
        synapse = DelaySparse(**identity, delays=steps)
    else:
        synapse = LavaSparse(**identity)
    source.flatten().connect(synapse.s_in)
    if graded:
        relay = SigmaDelta(shape=shape, vth=0, act_mode=ActivationMode.UNIT)
    else:
        relay = LIF(shape=shape, du=DECAY_ONE - 1, dv=DECAY_ONE, vth=1)
    synapse.a_out.reshape(shape).connect(relay.a_in)
    return relay.s_out
