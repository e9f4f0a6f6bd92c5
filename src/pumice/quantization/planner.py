"""Decide how a trained network becomes integers: each layer's scale, and what it costs. Nothing is changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from pumice.errors import LoweringError
from pumice.fixedpoint.formats import BIAS_MANT, DECAY_ONE, EXACT_FLOAT32, MIXED_WEIGHT, STATE_EXP, VTH_MANT
from pumice.nn.blocks.current import sum_of_offsets
from pumice.nn.blocks.linear_readout import LinearReadout
from pumice.nn.neurons.floating import FloatCubaNeuron
from pumice.nn.neurons.folding import offset_of
from pumice.nn.neurons.slayer_state import decays_q12
from pumice.nn.norms.tdbn import TDBN
from pumice.quantization.advice import advice_of
from pumice.quantization.integer_weight import check_sum
from pumice.quantization.known import adds_bias, check_can_quantize, check_known, own_synapses
from pumice.quantization.plans import LayerPlan, Plan, SynapsePlan
from pumice.quantization.scale import choose_vth_mant
from pumice.quantization.shared_scale import share_scales
from pumice.quantization.sigma_delta import plan_changes, sends_changes
from pumice.quantization.synapse_view import SynapseView, call_synapses, synapse_name
from pumice.quantization.trace import INPUT, SYNAPTIC, Call, modules_by_name

Array = npt.NDArray[np.floating[Any]]


def plan_calls(model: torch.nn.Module, calls: Sequence[Call], input_range: tuple[int, int]) -> Plan:
    """Decide for a model whose calls are known; see `pumice.quantization.plan`.

    Args:
        model: Of which the calls are.
        calls: Of `pumice.quantization.trace`.
        input_range: Smallest and largest input value.

    Raises:
        LoweringError: A block cannot be quantized exactly; the message names it.
    """
    all_layers = [call for call in calls if isinstance(call.block, SYNAPTIC)]
    layers = [call for call in all_layers if not sends_changes(call.block)]
    new = [call for call in layers if not has_integers(call.block)]
    peaks = _peaks(calls, max(map(abs, input_range)))
    names = {id(module): name for name, module in modules_by_name(model).items()}
    check_layers(all_layers)
    with torch.no_grad():
        planned = plan_changes(names, calls, input_range)
        vth_mants = _vth_mants(layers, new, peaks)
        synapses = _synapses(names, layers, peaks)
        for call in layers:
            planned[call.name] = _layer(call, vth_mants.get(call.name), synapses[call.name], peaks[call.name])
    in_order = tuple(planned[call.name] for call in all_layers)
    return Plan(input_range, in_order, tuple((call.name, call.sources) for call in calls))


def check_layers(layers: Sequence[Call]) -> None:
    """Refuse layers that have no integers, whatever their weights are.

    Args:
        layers: The calls of blocks with synapses.

    Raises:
        LoweringError: The message names the block, and the remedy.
    """
    _check_own_neurons(layers)
    for call in layers:
        check_known(call)  # of quantized ones, too: something may have been changed since
        if not has_integers(call.block):
            check_can_quantize(call, is_rescaled=is_rescaled(call))


def _check_own_neurons(layers: Sequence[Call]) -> None:
    seen: dict[int, str] = {}
    for call in layers:
        if isinstance(call.block, LinearReadout):
            continue
        if (other := seen.setdefault(id(call.block.neuron), call.name)) != call.name:
            raise LoweringError(f"blocks {other!r} and {call.name!r} share one neuron object; give each its own")


def has_integers(block: Any) -> bool:
    """Whether a block is quantized."""
    return bool(getattr(block if isinstance(block, LinearReadout) else block.neuron, "is_deployed", False))


def is_rescaled(call: Call) -> bool:
    """Whether the layer's scale is free: nothing in it was trained on SLAYER's own grid alone."""
    if isinstance(call.block, LinearReadout) or sends_changes(call.block):
        return True
    if isinstance(call.block.neuron, FloatCubaNeuron) or isinstance(call.block.neuron.norm, TDBN):
        return True
    return _given_vth_mant(call) is not None or call.reads_current or any(map(adds_bias, own_synapses(call)))


def _given_vth_mant(call: Call) -> int | None:
    """The integer threshold that a block was made with."""
    given: int | None = getattr(call.block, "vth_mant", None)
    return given


def _peaks(calls: Sequence[Call], largest_input: int) -> dict[str, list[int]]:
    """For each block the largest absolute value of each of its sources: spikes are 0 or 1."""
    largest = {INPUT: largest_input}
    for call in calls:
        largest[call.name] = 1 if isinstance(call.block, SYNAPTIC) else largest[call.sources[0]]
    return {call.name: [largest[source] for source in call.sources] for call in calls}


def _vth_mants(layers: Sequence[Call], new: Sequence[Call], peaks: Mapping[str, list[int]]) -> dict[str, int]:
    """Integer thresholds of all layers with neurons, by name."""
    spiking = [call for call in layers if not isinstance(call.block, LinearReadout)]
    fixed = {call.name: call.block.neuron.vth_mant for call in spiking if call not in new}
    wanted = {call.name: _vth_mant(call, peaks[call.name]) for call in spiking if call in new}
    return share_scales(spiking, wanted, fixed)


def _vth_mant(call: Call, max_inputs: list[int]) -> int:
    """The largest threshold that fits the block's own weights and bias."""
    neuron = call.block.neuron
    if (given := _given_vth_mant(call)) is not None:
        return given
    if not is_rescaled(call):
        return int(neuron.v_th_mant)
    synapses = with_peaks(call, max_inputs)
    return choose_vth_mant(
        [synapse.folded_rows().double().numpy(force=True) for synapse, _ in synapses],
        offset(call).double().numpy(force=True),
        threshold=float(neuron.threshold),
        max_inputs=[peak for _, peak in synapses],
        i_decay_q12=decays_q12(neuron)[0].numpy(force=True).astype(int),
        concat=_is_concat(call),
    )


def offset(call: Call) -> torch.Tensor:
    """What norms add to a layer's current in every step, per channel, in SLAYER's units."""
    return sum_of_offsets(call.terms, call.y.shape[1]) if call.terms else offset_of(call.block.neuron)


def with_peaks(call: Call, max_inputs: Sequence[int]) -> list[tuple[SynapseView, int]]:
    """A block's synapses, each with the largest absolute value of its source."""
    synapses = call_synapses(call)
    peaks = [*max_inputs, *[1] * (len(synapses) - len(max_inputs))]  # a recurrent one sees the block's own spikes
    return list(zip(synapses, peaks, strict=True))


def _is_concat(call: Call) -> bool:
    return bool(getattr(call.block, "concat", False))


def _synapses(
    names: Mapping[int, str], layers: Sequence[Call], peaks: Mapping[str, list[int]]
) -> dict[str, tuple[SynapsePlan, ...]]:
    """For each layer its synapses; one that several layers use, for the largest of their inputs."""
    found: dict[str, list[SynapsePlan]] = {call.name: [] for call in layers}
    for call in layers:
        if isinstance(call.block, LinearReadout):  # one matrix of all that the current is made of
            continue
        synapses = with_peaks(call, peaks[call.name])
        most = EXACT_FLOAT32 // (1 if _is_concat(call) else len(synapses))
        firsts = [term.first_channel for term in call.terms]
        firsts += [0] * (len(synapses) - len(firsts))
        found[call.name] = [
            SynapsePlan(synapse_name(names, call, s), peak, most, first, s.folds is s.owner, s.recurrent)
            for (s, peak), first in zip(synapses, firsts, strict=True)
        ]
    largest: dict[str, SynapsePlan] = {}
    for s in (synapse for synapses in found.values() for synapse in synapses):
        seen = largest.setdefault(s.module, s)
        largest[s.module] = replace(
            seen, max_input=max(seen.max_input, s.max_input), max_sum=min(seen.max_sum, s.max_sum)
        )
    return {
        layer: tuple(
            replace(s, max_input=largest[s.module].max_input, max_sum=largest[s.module].max_sum) for s in synapses
        )
        for layer, synapses in found.items()
    }


def _layer(call: Call, vth_mant: int | None, synapses: tuple[SynapsePlan, ...], peaks: Sequence[int]) -> LayerPlan:
    block, old = call.block, has_integers(call.block)
    if isinstance(block, LinearReadout):
        scale = block.integer_scale if old else block.fitting_scale(call.terms)
        rows = [(block.real_weight(term), peak, 1) for term, peak in zip(call.terms, peaks, strict=True)]
        bias, decays = block.real_bias(call.terms), [block.current_decay_q12, block.voltage_decay_q12]
    else:
        assert vth_mant is not None
        scale = vth_mant / float(block.neuron.threshold)
        rows = [(s.folded_rows(), peak, 1 << s.weight_exp) for s, peak in with_peaks(call, peaks)]
        bias, decays = offset(call), [int(decay.min()) for decay in decays_q12(block.neuron)]
    wanted_bias = (bias.double() * scale).numpy(force=True)
    if not old and vth_mant is not None:
        _check_bias(call.name, wanted_bias)
        _check_vth(call, vth_mant)
    in_units = [2 * np.rint((w.double() * (scale / unit) / 2).numpy(force=True)) for w, _, unit in rows]
    scaled = [(w * unit, peak) for w, (_, peak, unit) in zip(in_units, rows, strict=True)]
    integers = [(w.clip(*MIXED_WEIGHT) * unit, peak) for w, (_, peak, unit) in zip(in_units, rows, strict=True)]
    for (weight, _), synapse in zip(integers, synapses, strict=False):  # a read-out has none
        largest = float(np.abs(weight).sum(1).max(initial=0.0)) * synapse.max_input
        check_sum(call.name, largest, synapse.max_input, synapse.max_sum)
    layer = LayerPlan(
        call.name,
        scale,
        vth_mant,
        is_rescaled(call),
        old,
        call.reads_current,
        synapses,
        weights=(
            int(min(w.min(initial=0) for w, _ in integers)),
            int(max(w.max(initial=0) for w, _ in integers)),
        ),
        clipped=sum(int((a != b).sum()) for (a, _), (b, _) in zip(scaled, integers, strict=True)),
        n_weights=sum(w.size for w, _ in integers),
        **_states(integers, np.rint(wanted_bias).clip(*BIAS_MANT), decays, _is_concat(call)),
    )
    return replace(layer, advice=advice_of(layer))


def _check_vth(call: Call, vth_mant: int) -> None:
    threshold = call.block.neuron.threshold
    if vth_mant < 1:
        raise LoweringError(
            f"block {call.name!r}: its threshold {threshold} is too small against its weights and bias for any "
            "integer threshold (or below 1/64, the smallest on SLAYER's grid); scale the weights down or it up"
        )
    if vth_mant > VTH_MANT.high:
        raise LoweringError(
            f"block {call.name!r}: its threshold {threshold} is {vth_mant} in the chip's integers, which hold up to "
            f"{VTH_MANT.high}; scale weights and threshold down"
        )


def _check_bias(name: str, wanted: Array) -> None:
    """A bias that is cut off as training goes on, quantized, is what was trained; one that is now was not."""
    if np.any(np.abs(wanted - wanted.clip(*BIAS_MANT)) > 1):
        raise LoweringError(
            f"block {name!r}: its bias must lie in {BIAS_MANT.low}..{BIAS_MANT.high} (13 bits), its norm gives "
            f"{int(wanted.min())} to {int(wanted.max())}; use a TDBN, whose layer is rescaled to fit, or scale "
            "weights and threshold down"
        )


def _states(
    weights: Sequence[tuple[Array, int]], bias: Array, decays: Sequence[int], is_concat: bool
) -> dict[str, Any]:
    """Figures of the bias and of the largest states that inputs can reach."""
    together: Any = max if is_concat else sum
    largest = together(float(np.abs(w).sum(1).max(initial=0.0)) * peak for w, peak in weights)
    in_state = 1 << STATE_EXP
    held_u, held_v = (DECAY_ONE / decay if decay else np.inf for decay in decays)
    worst_u = largest * in_state * held_u if largest else 0.0
    worst_v = (worst_u + float(np.abs(bias).max(initial=0.0)) * in_state) * held_v
    return {
        "bias": (int(bias.min(initial=0)), int(bias.max(initial=0))),
        "worst_u": worst_u,
        "worst_v": worst_v if worst_u or bias.any() else 0.0,
    }
