"""What a user should do about a layer's plan, in plain words."""

from __future__ import annotations

from collections.abc import Iterator

from pumice.fixedpoint.formats import BIAS_MANT, MIXED_WEIGHT, STATE, VTH_MANT
from pumice.names import counted
from pumice.quantization.plans import LayerPlan

FEWEST_BITS = 6
"""Weights that use fewer of their 8 bits are worth a word."""


def advice_of(layer: LayerPlan) -> tuple[str, ...]:
    """One sentence for each thing worth knowing about a `LayerPlan`.

    Example:
        >>> advice_of(LayerPlan("0", scale=64.0, vth_mant=64, weights=(-256, 254), clipped=3, n_weights=8))
        ('3 of 8 weights lie outside -256..254 and are cut off: scale weights and threshold down together',)
    """
    return tuple(_advice(layer))


def _advice(layer: LayerPlan) -> Iterator[str]:
    if layer.clipped and not layer.was_quantized:  # else it was trained so
        yield (
            f"{layer.clipped} of {counted(layer.n_weights, 'weight')} lie outside "
            f"{MIXED_WEIGHT.low}..{MIXED_WEIGHT.high} and "
            "are cut off: scale weights and threshold down together"
        )
    if not any(layer.weights):
        yield "all its weights round to 0, so that nothing reaches it: scale weights and threshold up, or train on"
    elif layer.weight_bits < FEWEST_BITS:
        yield f"its weights use {layer.weight_bits} of 8 bits, {_reason(layer)}"
    if layer.worst_u > STATE.high:
        yield (
            "if all that drives a neuron arrives at once, its current wraps past 24 bits: fewer input bits "
            "(input_range), fewer or smaller weights, or a larger current_decay"
        )
    elif layer.worst_v > STATE.high and layer.vth_mant is not None:
        yield (
            "inhibition for long enough clips its voltage at 24 bits, as on the chip: harmless unless a neuron must "
            "remember how strongly it was inhibited; a larger voltage_decay avoids it"
        )


def _reason(layer: LayerPlan) -> str:
    if not layer.rescaled:
        return (
            "the multiples of 2/64 that SLAYER trained them on: train with larger weights and threshold, or nn.TDBN"
        )
    if layer.vth_mant is not None and 2 * layer.vth_mant > VTH_MANT.high:
        return "because its threshold is far larger than they are: lower it, or train on, quantized"
    if 2 * max(map(abs, layer.bias)) > BIAS_MANT.high:
        return (
            "because its bias is far larger than they are: look at the norm's shift and mean, or train on, quantized"
        )
    return (
        "because their largest sum must stay below 2^17: fewer input bits (input_range) or fewer inputs, a layer "
        "that shares no synapse, or train on, quantized"
    )
