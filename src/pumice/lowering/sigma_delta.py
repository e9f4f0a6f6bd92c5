"""Sigma-delta blocks of a deployed network: their populations, and their biases as events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from pumice.ir import Delta, Dense, Direct, Input, Population, Sigma, SigmaDelta, Sparse, Synapse, flatten_whc
from pumice.lowering.synapses import population_name, shape_of, synapses_into
from pumice.names import free_name
from pumice.nn.neurons.sigma_delta import SigmaDeltaNeuron
from pumice.quantization.trace import INPUT, Call

IntArray = npt.NDArray[np.integer[Any]]
BASE = 256
"""Digits of a bias lie in -128 to 127; weights are twice that, even numbers of 8 bits."""


def lower_changes(
    call: Call, sources: Sequence[Call | None], network_input: Input
) -> tuple[Population, list[Synapse]]:
    """Read the integers of a deployed block of sigma-delta neurons; its bias is left to `bias_synapses`.

    Args:
        call: The block's call in the trace.
        sources: For each input, the call of the block whose changes it is, or None for the network's input.
        network_input: The graph's input.

    Returns:
        The population, and its synapses.
    """
    neuron: SigmaDeltaNeuron = call.block.neuron
    name, shape = population_name(call), shape_of(call)
    if not neuron.sums:
        shift = neuron.state_bits - call.block.fraction_bits
        return Delta(name, shape, vth=neuron.integer_threshold, spike_exp=shift, state_exp=0), [
            Direct(INPUT, name, graded=True)
        ]
    population: Population = Sigma(name, shape)
    if neuron.sends_changes:
        population = SigmaDelta(
            name,
            shape,
            vth=neuron.integer_threshold,
            relu=neuron.relu,
            spike_exp=0,
            state_exp=neuron.state_bits - neuron.sent_bits,
        )
    return population, synapses_into(call, sources, network_input, population)


def unit_of_changes(call: Call) -> float:
    """What one of the integers that a deployed sigma-delta block sends is worth."""
    neuron: SigmaDeltaNeuron = call.block.neuron
    return 2.0 ** -(neuron.sent_bits if neuron.sends_changes else neuron.state_bits)


def biases(calls: Sequence[Call], populations: Sequence[Population]) -> tuple[list[Population], list[Synapse]]:
    r"""All biases as one event each: the change from nothing to b, at the step of a sample's first input.

    Neurons in Lava begin in the first step of all, before a sample's first input has reached them, and sigma-delta
    neurons have no reset; a bias of their own would act too early. It is sent instead by neurons that have one bias
    each, 1, 256, 256^2, and nothing else: their first change is all they ever send. Synapses weigh these by the
    digits of the layers' biases,

    .. math:: b = \sum_k 2 d_k \, 256^k, \qquad -128 \le d_k \le 127

    and are delayed like the input.

    Args:
        calls: Of the network's blocks.
        populations: The graph's, by the blocks' names.

    Returns:
        The population that sends, if there is a bias, and its synapses.
    """
    found = {population_name(call): _bias(call) for call in calls}
    found = {name: bias for name, bias in found.items() if bias.any()}
    if not found:
        return [], []
    n_digits = max(map(_n_digits, found.values()))
    shapes: Mapping[str, tuple[int, ...]] = {p.name: p.shape for p in populations}
    source = free_name("bias", shapes)
    sender = SigmaDelta(
        source,
        (n_digits,),
        vth=0,
        bias=BASE ** np.arange(n_digits),
        relu=False,
        spike_exp=0,
        state_exp=0,
    )
    return [sender], [_synapse(source, name, shapes[name], _digits(bias, n_digits)) for name, bias in found.items()]


def _bias(call: Call) -> IntArray:
    neuron: SigmaDeltaNeuron = call.block.neuron
    with torch.no_grad():
        bias: IntArray = neuron.integer_bias().numpy(force=True).astype(np.int64)
    return np.ascontiguousarray(bias.transpose(2, 1, 0)) if bias.ndim == 3 else bias


def _n_digits(bias: IntArray) -> int:
    left: IntArray = bias // 2
    n = 0
    while left.any():
        left, n = _next(left)[1], n + 1
    return n


def _digits(bias: IntArray, n_digits: int) -> IntArray:
    """Twice the digits, the lowest first: shape (channel, n_digits)."""
    left: IntArray = bias // 2
    digits = []
    for _ in range(n_digits):
        digit, left = _next(left)
        digits.append(2 * digit)
    return np.stack(digits, -1)


def _next(left: IntArray) -> tuple[IntArray, IntArray]:
    digit = (left + BASE // 2) % BASE - BASE // 2
    return digit, (left - digit) // BASE


def _synapse(source: str, target: str, shape: tuple[int, ...], digits: IntArray) -> Synapse:
    if len(shape) == 1:
        return Dense(source, target, True, weight=digits.astype(np.int32))
    digits = np.broadcast_to(digits, (*shape, digits.shape[-1]))
    values = np.stack([flatten_whc(digits[..., k]) for k in range(digits.shape[-1])], -1)
    rows, columns = np.nonzero(values)
    return Sparse(source, target, True, rows=rows, columns=columns, values=values[rows, columns].astype(np.int32))
