"""The neurons of NIR in discrete time: what one step of dt makes of their differential equations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np

from pumice.errors import InputError
from pumice.fixedpoint.formats import DECAY_ONE
from pumice.nir.maps import FloatArray, Shape
from pumice.nir.reader import NirNode

Decay: TypeAlias = Literal["euler", "exponential"]
SPIKING = ("IF", "LIF", "CubaLIF", "Threshold")
READOUT = ("I", "LI", "CubaLI")
NEURONS = (*SPIKING, *READOUT)
SAME = 1e-3
"""Relative difference below which `r` of an IF counts as 1 / dt: files hold it in float32."""


@dataclass(frozen=True, eq=False)
class Neurons:
    r"""One step of a layer, per neuron, in units of its threshold.

    .. math::
        u &\leftarrow (1 - a_i) u + g x + b_u \\
        v &\leftarrow (1 - a_v) v + u + b_v \\
        s &= v > \vartheta, \qquad v \leftarrow 0 \text{ where } s

    Attributes:
        spiking: Whether they fire; otherwise v is read out.
        i_decay: a_i, 0 to 1; 1 where the current has no memory.
        v_decay: a_v.
        gain: g, by which the rows of the incoming weights are multiplied.
        threshold: Above the reset voltage, > 0; 1 where nothing fires.
        bias: b_v.
        filtered: Whether a constant input passes the current's filter first (tau_syn), so that it is no bias.
        notes: What the import decided, a line each.
    """

    spiking: bool
    i_decay: FloatArray
    v_decay: FloatArray
    gain: FloatArray
    threshold: FloatArray
    bias: FloatArray
    filtered: bool
    notes: tuple[str, ...] = ()


def is_number(value: object) -> bool:
    """Whether an argument is one real number.

    Example:
        >>> is_number(np.float32(0.5)), is_number(True), is_number("1")
        (True, False, False)
    """
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def check_arguments(dt: float, decay: str, reset: str) -> None:
    """Refuse what no file can be read with.

    Raises:
        InputError: The argument, what is allowed, and the remedy.
    """
    if not is_number(dt) or not 0 < dt < np.inf:
        raise InputError(f"dt must be a time > 0 in the unit of the file's tau (most write seconds), got {dt!r}")
    if decay not in get_args(Decay):
        raise InputError(f"decay must be one of {', '.join(get_args(Decay))}, got {decay!r}")
    if reset != "hard":
        raise InputError(
            f"reset must be 'hard', got {reset!r}: the chip's neurons are set to 0 when they "
            f"fire, they cannot subtract "
            "their threshold. Train with a hard reset (snnTorch: reset_mechanism='zero', "
            "reset_delay=False), or import "
            "as reset='hard' and fine-tune"
        )


def discretize(node: NirNode, shape: Shape, dt: float, decay: Decay) -> Neurons:
    """The step of one node of type `NEURONS`.

    Args:
        node: As read.
        shape: Of the neurons, in NIR's order.
        dt: Time step, in the unit of the node's time constants.
        decay: "euler": a = dt / tau; "exponential": a = 1 - exp(-dt / tau).

    Raises:
        FileFormatError: A parameter does not fit the shape, or what it means at this dt cannot be represented.
    """
    one = np.ones(shape)

    def field(name: str, default: float | None = None) -> FloatArray:
        return _per_neuron(node, name, shape, default)

    if node.type == "Threshold":
        threshold = _positive(node, "threshold", field("threshold"), "the chip's threshold is not negative")
        return Neurons(True, one, one, one, threshold, 0 * one, False)
    spiking = node.type in SPIKING
    if node.type in ("IF", "I"):
        gain = _integrator_gain(node, field("r"), dt)
        v_decay, leak = 0 * one, 0 * one
    else:
        v_decay = _decay(node, "tau" if "tau" in node.fields else "tau_mem", shape, dt, decay)
        gain, leak = v_decay * field("r"), field("v_leak")
    i_decay, filtered = one, False
    if node.type in ("CubaLIF", "CubaLI"):
        i_decay = _decay(node, "tau_syn", shape, dt, decay)
        gain = gain * i_decay * field("w_in", 1.0)
        filtered = bool(np.any(i_decay < 1))
    rest = field("v_reset", 0.0) if spiking else 0 * one
    threshold = (field("v_threshold") - rest) if spiking else one
    _positive(node, "v_threshold", threshold, "it must lie above v_reset, where the chip's voltage starts")
    notes = []
    if np.any(rest != 0):
        notes.append(
            "v_reset is not 0: voltages are counted from it, so that each neuron starts at v_reset, not at 0"
        )
    if np.any(gain == 0):
        raise node.error("its gain (r, w_in) is 0: nothing that arrives can act")
    return Neurons(spiking, i_decay, v_decay, gain, threshold, v_decay * (leak - rest), filtered, tuple(notes))


def _per_neuron(node: NirNode, name: str, shape: Shape, default: float | None = None) -> FloatArray:
    values = node.floats(name, default)
    if values.size == 1:
        return np.full(shape, values.reshape(-1)[0])
    if values.shape != shape:
        raise node.error(f"{name} must be one number or have the shape of what arrives, {shape}, got {values.shape}")
    return values


def _positive(node: NirNode, name: str, values: FloatArray, why: str) -> FloatArray:
    if np.any(values <= 0):
        raise node.error(f"{name} must be above 0 after v_reset is taken off, got {values.min():.6g}; {why}")
    return values


def _integrator_gain(node: NirNode, r: FloatArray, dt: float) -> FloatArray:
    """1 for each step: sinabs and Norse write r = 1 for that, SpikingJelly r = 1 / dt."""
    if np.all(r == 1) or np.all(np.abs(r * dt - 1) < SAME):
        return np.ones(r.shape)
    raise node.error(
        f"r must be 1 (an input adds its weight in each step) or 1 / dt = {1 / dt:.6g}, got {r.min():.6g} to "
        f"{r.max():.6g}; give the dt of the simulator that wrote the file, or fold r into the weights"
    )


def _decay(node: NirNode, name: str, shape: Shape, dt: float, decay: Decay) -> FloatArray:
    tau = _per_neuron(node, name, shape)
    if np.any(tau <= 0):
        raise node.error(f"{name} must be > 0, got {tau.min():.6g}")
    share = dt / tau if decay == "euler" else 1 - np.exp(-dt / tau)
    share = np.where(np.abs(share - 1) < 1e-6, 1.0, share)  # taus of float32
    if share.max() > 1:
        raise node.error(
            f"{name} = {tau.min():.6g} is shorter than dt = {dt:.6g}, so that one step forgets more than there is; "
            "dt is in the unit of tau (most files: seconds): is it the simulator's?"
        )
    if np.any(np.rint(share * DECAY_ONE) < 1):
        raise node.error(
            f"{name} = {tau.max():.6g} at dt = {dt:.6g} is a decay of {share.min():.3g} a step, "
            f"and the chip's smallest "
            f"is 1/{DECAY_ONE}; dt is in the unit of tau (sinabs writes tau in steps: dt=1): is it the simulator's?"
        )
    return share
