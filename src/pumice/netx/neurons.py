"""The neurons of one layer of a stock NetX file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pumice.fixedpoint.formats import DECAY, DECAY_ONE, NEVER_FIRES_VTH_MANT
from pumice.ir import Cuba, Delta, Population, Resonator, Sigma, SigmaDelta
from pumice.netx.fields import Int64Array, Node
from pumice.netx.stock import stock_rotation, warn_of_stock

STOCK_STATE_EXP = 6
"""Fraction bits that stock netx gives sigma-delta neurons and resonators beyond those that they send."""

KNOWN = {
    *("type", "iDecay", "vDecay", "vThMant", "refDelay", "gradedSpike", "messageBits", "weight_exp", "wgtExp"),
    *("theta", "tauRho", "scaleRho", "tau_rho", "scale_rho", "activation", "sigma_output", "sinDecay", "cosDecay"),
    *("thDecay", "refDecay", "vThStep"),
}
_VTH_MANT = Cuba.limits["vth_mant"][:2]


@dataclass(frozen=True)
class Rules:
    """How a stock file is read.

    Attributes:
        as_stock: Reproduce stock netx where it departs from what was trained.
        spike_exp: Fraction bits of what sigma-delta neurons send: stock netx's argument of that name.
    """

    as_stock: bool = False
    spike_exp: int = 6


@dataclass(frozen=True, eq=False)
class Neuron:
    """Kind and parameters of a layer's neurons; arrays broadcast against the layer's (x, y, channel).

    Attributes:
        kind: Class of the population.
        parameters: Its arguments, apart from name, shape and bias.
        bias: Which argument takes the layer's bias; "" if these neurons have none.
        bias_shift: The bias in the file is shifted left by this much.
        bias_bits: Width of the bias in the file; Lava wraps a wider one.
    """

    kind: type[Population]
    parameters: dict[str, Any]
    bias: str = ""
    bias_shift: int = 0
    bias_bits: int = 16

    def population(self, name: str, shape: tuple[int, ...], bias: Int64Array | None) -> Population:
        """The layer's population.

        Args:
            name: Its name.
            shape: Its shape.
            bias: As the file has it.
        """
        arguments = dict(self.parameters)
        if bias is not None and self.bias:
            shifted = bias << self.bias_shift
            arguments[self.bias] = int(shifted) if shifted.ndim == 0 else shifted
        return self.kind(name, shape, **arguments)


# What stock netx assumes for a dense layer without a neuron group: u keeps everything and v = u. Its source
# reads `1 << 18 - 1`, which is 1 << 17.
DEFAULT_NEURON = Neuron(
    Cuba, {"i_decay_q12": 0, "v_decay_q12": DECAY_ONE, "vth_mant": NEVER_FIRES_VTH_MANT}, "bias_mant"
)


def read_neuron(node: Node, shape: tuple[int, ...], rules: Rules, *, is_input: bool = False) -> Neuron:
    """Read the group `neuron` of a layer.

    Args:
        node: The group.
        shape: Shape of the layer.
        rules: How to read it.
        is_input: Whether the network's input is injected into these neurons.

    Raises:
        FileFormatError: The neurons are damaged, of a type that is not supported, or say what cannot be honoured.
    """
    kind = node.text("type")
    if rules.as_stock and kind not in _READERS and "RF" in kind:
        kind = "RF_PHASE" if "PHASE" in kind else "RF_IZ"
    if kind in _REFUSED:
        raise node.error(f"neuron type {kind!r}: {_REFUSED[kind]}", "type")
    if kind not in _READERS:
        raise node.error(f"neuron type {kind!r} is not supported; supported are {', '.join(_READERS)}", "type")
    if not rules.as_stock:
        _refuse_ignored_flags(node, sends_values=kind == "SDNN")
    return _READERS[kind](node, shape, rules, is_input)


def _cuba(node: Node, shape: tuple[int, ...], rules: Rules, is_input: bool) -> Neuron:
    decays = {
        attribute: _broadcast(node, name, shape, *DECAY)
        for name, attribute in (("iDecay", "i_decay_q12"), ("vDecay", "v_decay_q12"))
    }
    return Neuron(Cuba, {"vth_mant": node.integer("vThMant", *_VTH_MANT), **decays}, "bias_mant")


def _sigma_delta(node: Node, shape: tuple[int, ...], rules: Rules, is_input: bool) -> Neuron:
    exponents = {"spike_exp": rules.spike_exp, "state_exp": STOCK_STATE_EXP}
    shift = rules.spike_exp + STOCK_STATE_EXP
    if not is_input and _is_sigma(node, rules):
        return Neuron(Sigma, {})
    vth = node.integer("vThMant", *_VTH_MANT) << shift
    if is_input:
        return Neuron(Delta, {"vth": vth, **exponents})
    if not rules.as_stock and "activation" in node and (name := node.text("activation")) not in ("relu", "relu_"):
        raise node.error(
            f"{name!r} cannot be represented (only relu); --as-stock rectifies, as stock netx does for all",
            "activation",
        )
    return Neuron(SigmaDelta, {"vth": vth, **exponents}, "bias", shift, 32 - shift)


def _is_sigma(node: Node, rules: Rules) -> bool:
    if "sigma_output" not in node:
        return False
    stated = bool(node.integer("sigma_output", 0, 1))
    if not stated and not rules.as_stock:
        warn_of_stock(node.where, "takes sigma_output for set, whatever its value is")
    return stated or rules.as_stock


def _resonator(node: Node, shape: tuple[int, ...], rules: Rules, is_input: bool) -> Neuron:
    if is_input:
        raise node.error("input neurons cannot be resonators (stock netx fails on them, too)", "type")
    trained = [_broadcast(node, name, shape, -DECAY_ONE, DECAY_ONE) for name in ("sinDecay", "cosDecay")]
    stock = stock_rotation(*trained)
    if not rules.as_stock and not all(map(np.array_equal, trained, stock)):
        warn_of_stock(node.where, "changes sinDecay and cosDecay by one, on their way through floating point,")
    sin, cos = stock if rules.as_stock else trained
    return Neuron(
        Resonator,
        {
            "vth": node.integer("vThMant", *_VTH_MANT) << STOCK_STATE_EXP,
            "sin_decay": sin,
            "cos_decay": cos,
            "state_exp": STOCK_STATE_EXP,
            "izhikevich": "PHASE" not in node.text("type"),
        },
    )


_READERS: dict[str, Callable[[Node, tuple[int, ...], Rules, bool], Neuron]] = {
    "CUBA": _cuba,
    "LOIHI": _cuba,
    "SDNN": _sigma_delta,
    "RF_PHASE": _resonator,
    "RF_IZHIKEVICH": _resonator,
    "RF_IZ": _resonator,
}

_ADAPTIVE = "adaptive thresholds do not exist in Lava's resonators; --as-stock leaves them out, as stock netx does"
_REFUSED = {
    "ADRF_PHASE": _ADAPTIVE,
    "ADRF_IZHIKEVICH": _ADAPTIVE,
    "ADRF": _ADAPTIVE,
    "ADRF_IZ": _ADAPTIVE,
    "RF": "does not say which form; RF_PHASE or RF_IZHIKEVICH do (--as-stock takes it for the latter, as stock does)",
}


def _refuse_ignored_flags(node: Node, *, sends_values: bool) -> None:
    """Fields that change what was trained, and that stock netx does not look at."""
    for name, neutral, meaning in (
        ("gradedSpike", 0, "graded spikes"),
        ("messageBits", 0, "graded spikes"),
        ("weight_exp", 0, "a weight exponent"),
        ("wgtExp", 0, "a weight exponent"),
        ("refDelay", 1, "a refractory period"),
    ):
        if sends_values and meaning == "graded spikes":
            continue
        if name in node and np.any(node.numbers(name) != neutral):
            raise node.error(
                f"{meaning} cannot be represented (only {name} = {neutral}); --as-stock ignores the field, "
                "as stock netx does",
                name,
            )


def _broadcast(node: Node, name: str, shape: tuple[int, ...], low: int, high: int) -> int | Int64Array:
    values = node.integers(name, low, high)
    if values.size == 1:
        return int(values.reshape(()))
    try:
        np.broadcast_to(values, shape)
    except ValueError:
        raise node.error(f"of shape {values.shape} does not fit the layer's shape {shape}", name) from None
    return values
