"""A float64 simulation of a NIR file's layers: what the import's integers are compared with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pumice.nir.layers import Layer, Network
from pumice.nir.maps import FloatArray


@dataclass(frozen=True, eq=False)
class Activity:
    """What a layer did on the user's data.

    Attributes:
        sent: Spikes (0, 1), or voltages of a read-out; (N, T, *shape) in NIR's order.
        v_low: The lowest voltage, in thresholds, before it fires.
    """

    sent: FloatArray
    v_low: float


def simulate(network: Network, x: FloatArray) -> dict[str, Activity]:
    """Run samples from rest: no latency between layers, recurrence one step late, a hard reset.

    Args:
        network: Float layers.
        x: (N, T, *input shape), NIR's order.

    Returns:
        By layer.
    """
    n, steps = x.shape[:2]
    sent: dict[str, FloatArray] = {network.input_name: x}
    found = {}
    for layer in network.layers:
        out = np.zeros((n, steps, *layer.shape))
        sent[layer.name] = out
        forward = _forward(layer, sent, steps)
        u, v, lowest = np.zeros((n, *layer.shape)), np.zeros((n, *layer.shape)), 0.0
        cell = layer.neurons
        recurrent = [term for term in layer.terms if term.source == layer.name]
        for t in range(steps):
            arriving = forward[:, t].copy()
            for term in recurrent:
                arriving += term.linear.apply(_delayed(out, t - 1, term.delay_steps), layer.shape)
            u = (1 - cell.i_decay) * u + cell.gain * arriving
            v = (1 - cell.v_decay) * v + u + cell.bias
            lowest = min(lowest, float((v / cell.threshold).min(initial=0)))
            if cell.spiking:
                out[:, t] = v > cell.threshold
                v = np.where(v > cell.threshold, 0, v)
            else:
                out[:, t] = v
        found[layer.name] = Activity(out, lowest)
    return found


def _forward(layer: Layer, sent: dict[str, FloatArray], steps: int) -> FloatArray:
    n = len(sent[layer.name])
    total = np.zeros((n, steps, *layer.shape)) + layer.constant
    for term in layer.terms:
        if term.source != layer.name:
            for t in range(steps):
                total[:, t] += term.linear.apply(_delayed(sent[term.source], t, term.delay_steps), layer.shape)
    return total


def _delayed(sent: FloatArray, t: int, delay: npt.NDArray[np.int64]) -> FloatArray:
    """What arrives in step t of what was sent, each source neuron with its own delay; nothing before step 0."""
    n, shape = len(sent), sent.shape[2:]
    steps = t - np.broadcast_to(np.asarray(delay), (int(np.prod(shape)),) if np.ndim(delay) else ())
    flat = sent.reshape(n, sent.shape[1], -1)
    if not np.ndim(steps):
        return sent[:, int(steps)] if steps >= 0 else np.zeros((n, *shape))
    values = np.where(steps >= 0, flat[:, np.maximum(steps, 0), np.arange(flat.shape[2])], 0)
    return values.reshape(n, *shape)
