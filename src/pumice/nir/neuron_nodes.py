"""Integer populations -> the NIR nodes whose Euler step, with the dt of the export, is the same."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from pumice.errors import GraphError
from pumice.fixedpoint.cuba import effective_bias
from pumice.fixedpoint.formats import DECAY_ONE, STATE_EXP
from pumice.ir import Accumulator, Cuba, Population, SigmaDelta
from pumice.nir.drawing import Drawing, FloatArray, nir_order, nir_shape

MAX_BIASED = 2_000
"""Neurons of one dimension that may get their bias from a matrix of their own."""


class Drive(NamedTuple):
    """What acts in each step, of each neuron, in units of the synaptic sum, in NIR's order.

    Attributes:
        constant: Added to what arrives.
        bias: Added to the voltage.
    """

    constant: FloatArray
    bias: FloatArray


def check_kind(p: Population) -> None:
    """Refuse neurons that NIR does not have; relays are none.

    Raises:
        GraphError: With the population's name.
    """
    if not (isinstance(p, (Cuba, Accumulator)) or (isinstance(p, SigmaDelta) and p.is_relay)):
        raise GraphError(
            f"population {p.name!r}: NIR has no {type(p).__name__} neurons, only integrators that leak or do not; "
            "keep this network in its .net file, or train one of Cuba neurons (pumice.nn.Dense, pumice.nn.Conv)"
        )


def is_filtered(p: Population) -> bool:
    """Whether the current has a memory, which a constant input passes first."""
    return bool(np.any(np.asarray(getattr(p, "i_decay_q12", DECAY_ONE)) < DECAY_ONE))


def voltage_bias(p: Population, flat: bool) -> FloatArray:
    """What is added to each voltage in each step, in units of the synaptic sum, in NIR's order."""
    if not isinstance(p, (Cuba, Accumulator)):
        return np.zeros(nir_shape(p.shape, flat))
    return nir_order(effective_bias(p.bias_mant, p.bias_exp) / (1 << STATE_EXP), p.shape, flat)


def draw_neurons(
    drawing: Drawing, p: Population, name: str, flat: bool, drive: Drive, *, threshold: float | None = None
) -> str:
    r"""Draw the nodes of a population.

    With u and v in units of the synaptic sum, and decays :math:`a = d / 4096`, Loihi's step is Euler's of CubaLIF for
    :math:`\tau = \Delta t / a`, :math:`w_\text{in} = 1 / a_i`, :math:`r = 1 / a_v`,
    :math:`v_\text{leak} = b / a_v`, rounding aside. Where a decay is 0, tau would be infinite: then the current is an
    integrator (or filter) of its own, in front of the voltage's.

    Args:
        drawing: Gets the nodes.
        p: A population that `check_kind` lets pass.
        name: Of the node that sends its spikes.
        flat: Whether an image is drawn as one dimension.
        drive: What acts in each step.
        threshold: In floating point; the population's integer if not given.

    Returns:
        The node at which what enters the population arrives.

    Raises:
        GraphError: NIR has no neurons of such decays or biases.
    """
    shape = nir_shape(p.shape, flat)
    if not isinstance(p, (Cuba, Accumulator)):
        return drawing.put(name, "Scale", scale=np.ones(shape))  # a relay: it sends what arrives
    current, voltage = _decays(p, "i_decay_q12", flat), _decays(p, "v_decay_q12", flat)
    bias, pieces = drive.bias, []
    if np.any(drive.constant):
        pieces.append(_add_constant(drawing, p, f"{name}_constant", drive.constant))
    fires = {}
    if isinstance(p, Cuba):
        limit = float(p.vth_mant) if threshold is None else threshold
        fires = {"v_threshold": np.full(shape, limit), "v_reset": np.zeros(shape)}
    if is_filtered(p) and current is not None and voltage is not None:
        synapse = {"tau_syn": drawing.dt / current, "w_in": 1 / current}
        membrane = {"tau_mem": drawing.dt / voltage, "r": 1 / voltage, "v_leak": bias / voltage}
        drawing.put(name, "CubaLIF" if fires else "CubaLI", **synapse, **membrane, **fires)
    else:
        if is_filtered(p):
            pieces.append(_integrator(drawing, drawing.reserve(f"{name}_current"), current, {}, np.zeros(shape)))
        if np.any(bias) and voltage is None:
            pieces.append(_add_constant(drawing, p, f"{name}_bias", bias))
        _integrator(drawing, name, voltage, fires, bias)
    pieces.append(name)
    for first, second in pairwise(pieces):
        drawing.connect(first, second)
    return pieces[0]


def _integrator(
    drawing: Drawing, name: str, share: FloatArray | None, fires: dict[str, FloatArray], bias: FloatArray
) -> str:
    """A node with one state, to which what arrives is added in each step: (LI)F, or (I)F if it forgets nothing."""
    if share is None:
        return drawing.put(name, "IF" if fires else "I", r=np.full(bias.shape, 1 / drawing.dt), **fires)
    fields = {"tau": drawing.dt / share, "r": 1 / share, "v_leak": bias / share}
    return drawing.put(name, "LIF" if fires else "LI", **fields, **fires)


def _decays(p: Population, field: str, flat: bool) -> FloatArray | None:
    """The share that is forgotten in a step; None if it is nothing."""
    share = nir_order(getattr(p, field), p.shape, flat) / DECAY_ONE
    if not np.any(share):
        return None
    if not np.all(share):
        raise GraphError(
            f"population {p.name!r}: {field} is 0 for some neurons and not for others; NIR has integrators without a "
            "leak, and with one, but not both in one node: make two populations of it, or let all decay by at least 1"
        )
    return share


def _add_constant(drawing: Drawing, p: Population, wanted: str, values: FloatArray) -> str:
    """A node that adds a constant to what passes it."""
    name = drawing.reserve(wanted)
    if values.ndim == 1 and values.size <= MAX_BIASED:
        return drawing.put(name, "Affine", weight=np.eye(values.size), bias=values)
    per_channel = channel_bias(values)
    if per_channel is None:
        raise GraphError(
            f"population {p.name!r}: each neuron has a bias of its own, which NIR holds for leaky neurons (v_leak), "
            f"or for at most {MAX_BIASED} neurons of one dimension; give v_decay_q12 at least 1, or make it equal "
            "within each channel"
        )
    one = np.ones(2, np.int64)
    return drawing.put(
        name,
        "Conv2d",
        input_shape=np.array(values.shape[1:]),
        weight=np.eye(len(values))[:, :, None, None],  # not groups, with which the nir package refuses the file
        stride=one,
        padding=0 * one,
        dilation=one,
        groups=1,
        bias=per_channel,
    )


def channel_bias(values: FloatArray) -> FloatArray | None:
    """(C, H, W) -> (C,), or None if values differ within a channel, or it is no image."""
    if values.ndim != 3 or np.any(values != values[:, :1, :1]):
        return None
    return values[:, 0, 0]
