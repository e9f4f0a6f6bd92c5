"""A synapse, and what is under way in it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pumice.ir import Graph, Synapse

Int32Array = npt.NDArray[np.int32]


class DelayLine:
    """What a synapse has received and not yet delivered: slot 0 is delivered in the next step."""

    def __init__(self, graph: Graph, synapse: Synapse) -> None:
        self.synapse = synapse
        _, self._receiving = graph.ends_of(synapse)
        n_slots = synapse.max_delay_steps + synapse.balance_steps + 1
        self._slots = np.zeros((n_slots, *graph.shape_of(synapse.target)), np.int32)
        self._delays = np.unique(getattr(synapse, "delay_steps", 0))

    def arriving(self, x: Int32Array) -> Int32Array:
        """What the target receives in this step; `x` is the network's input now."""
        return self._slots[0] if self.synapse.hop_steps else self._added(x, 0)

    def advance(self, sent: Int32Array) -> None:
        """End the step in which the source sent these values."""
        if not self.synapse.hop_steps:
            return
        self._slots = np.concatenate([self._slots[1:], np.zeros_like(self._slots[:1])])
        if not sent.any():  # a synapse is linear: nothing adds nothing
            return
        first, stop = self.synapse.target_channels or (0, self._slots.shape[-1])
        for delay in self._delays:
            slot = self._slots[self.synapse.balance_steps + int(delay)]
            slot[..., first:stop] += self._added(sent, int(delay))

    def _added(self, sent: Int32Array, delay: int) -> Int32Array:
        """What the values sent now add, `delay` steps later than usual."""
        return self.synapse.accumulate(_values(self.synapse, sent), delay, self._receiving)


def _values(synapse: Synapse, sent: Int32Array) -> Int32Array:
    return sent if synapse.graded else (sent != 0).astype(np.int32)
