"""A synapse as Lava processes, with every weight and delay acting exactly as the graph says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.proc.conv.process import Conv as LavaConv
from lava.proc.dense.process import DelayDense
from lava.proc.dense.process import Dense as LavaDense
from lava.proc.sparse.process import DelaySparse
from lava.proc.sparse.process import Sparse as LavaSparse
from scipy.sparse import csr_matrix

from pumice.backends.fast.bounds import largest_sum, largest_value
from pumice.backends.lava.kernels import MAX_INT8, masked, regrouped
from pumice.backends.lava.relays import delayed
from pumice.backends.lava.unroll import SingleWeights, unroll
from pumice.backends.lava.weights import message_bits, stored
from pumice.errors import BackendError
from pumice.fixedpoint.formats import STATE_LIMIT, WORD_LIMIT
from pumice.ir import Accumulator, Conv, Dense, Direct, Graph, Synapse, TokenMixing

Port: TypeAlias = OutPort | InPort
IntArray = npt.NDArray[np.integer[Any]]


def connect(graph: Graph, synapse: Synapse, source: Port, target: InPort) -> None:
    """Build the synapse's Lava processes between two ports (none for `Direct`).

    Raises:
        BackendError: Lava has no process for it, or none that is exact.
    """
    rule = _RULES.get(type(synapse), _single_weights)
    if any(isinstance(p, Accumulator) and p.name == synapse.source for p in graph.populations):
        raise BackendError(
            f"synapse {synapse.source} -> {synapse.target}: an Accumulator never sends anything on Lava, its value "
            "can only be read; let it be an output, or feed the target from what the accumulator receives"
        )
    rule(graph, synapse, source, target)


def needs_binary_input(graph: Graph) -> bool:
    """Whether a direct input means spikes: Lava would hand on any other value as it is."""
    return any(isinstance(synapse, Direct) and not synapse.graded for synapse in graph.synapses)


def _direct(graph: Graph, synapse: Direct, source: Port, target: InPort) -> None:
    source.connect(target)


def _dense(graph: Graph, synapse: Dense, source: Port, target: InPort) -> None:
    weight = _padded(synapse.weight, synapse, target.shape[0])
    arguments = stored(weight, synapse.weight_exp, largest_sum(graph, synapse) >> synapse.shift_bits)
    arguments["num_message_bits"] = message_bits(synapse)
    if synapse.max_delay_steps + synapse.balance_steps:
        # int64: Lava refuses delays of any other integer type.
        delays = (
            np.broadcast_to(np.asarray(synapse.delay_steps, np.int64), synapse.weight.shape) + synapse.balance_steps
        )
        process = DelayDense(**arguments, delays=_padded(delays, synapse, target.shape[0]))
    else:
        process = LavaDense(**arguments)
    flat = source.transpose([2, 1, 0]).flatten() if len(source.shape) == 3 else source  # as ir.flatten_whc
    flat.connect(process.s_in)
    process.a_out.connect(target)


def _padded(array: IntArray, synapse: Synapse, n_channels: int) -> IntArray:
    """Zeros for the target's other channels: Lava cannot compile its port for concatenation."""
    first, stop = synapse.target_channels or (0, n_channels)
    return np.pad(array, [(first, n_channels - stop)] + [(0, 0)] * (array.ndim - 1))


def _single_weights(graph: Graph, synapse: Synapse, source: Port, target: InPort) -> None:
    """One weight for each pair of neurons, which has the delays too.

    For one to one too: a grouped 1x1 Conv measures 1.9 ms a step where Sparse takes 3.2 (8 x 8 x 64 neurons), but
    has no `weight_exp`, no delays, one weight per channel only, and 24 bits (`benchmarks/token_mixing.py`).
    """
    _connect_sparse(graph, synapse, unroll(graph, synapse), source, target)


def _token_mixing(graph: Graph, synapse: TokenMixing, source: Port, target: InPort) -> None:
    """One weight for each pair of tokens and channel; delayed channels pass relays first.

    The other choice is a grouped 1x1 Conv with the tokens as its channels, between transposed ports. It holds each
    head's matrix once, but Lava loops over its pairs of channels in Python: with 64 tokens 33 ms a step (64 channels,
    1 head), 507 (384, 8) and 1,145 (384, 16), where Sparse takes 2.3, 11.7 and 8.3 ms. Sparse has a copy of the
    matrix for each channel: 204 MB against 48 for all processes of 384 channels (`benchmarks/token_mixing.py`).
    A DelaySparse of as many weights would split them by delay anew in every step.
    """
    weights = unroll(graph, synapse)
    for channels, delays in _delay_groups(synapse, source.shape[2], one_each=False):
        now = np.isin(weights.columns % source.shape[2], channels)
        part = SingleWeights(*(array[now] for array in weights))._replace(delays=np.zeros(int(now.sum()), np.int64))
        port = delayed(source, channels, delays, graded=synapse.graded) if delays.any() else source
        _connect_sparse(graph, synapse, part, port, target)


def _connect_sparse(graph: Graph, synapse: Synapse, weights: SingleWeights, source: Port, target: InPort) -> None:
    for layer in weights.layers():
        process = _sparse(graph, synapse, layer, (int(np.prod(target.shape)), int(np.prod(source.shape))))
        source.flatten().connect(process.s_in)
        process.a_out.reshape(target.shape).connect(target)


def _sparse(graph: Graph, synapse: Synapse, weights: SingleWeights, shape: tuple[int, int]) -> LavaSparse:
    sums = np.bincount(weights.rows, np.abs(weights.values), minlength=1)
    arguments = stored(weights.values, synapse.shift_bits, int(sums.max()) * largest_value(graph, synapse))
    place = (weights.rows, weights.columns)
    arguments["weights"] = csr_matrix((arguments["weights"], place), shape)
    arguments["num_message_bits"] = message_bits(synapse)
    if not weights.delays.any():
        return LavaSparse(**arguments)
    delays = csr_matrix((weights.delays.astype(np.int64), place), shape)
    delays.eliminate_zeros()
    return DelaySparse(**arguments, delays=delays)


def _conv(graph: Graph, synapse: Conv, source: Port, target: InPort) -> None:
    """One Lava `Conv`; it has no delays, so delayed channels pass relays first, and the others have a second `Conv`.

    The other exact choices cost more but for a few neurons (`benchmarks/delayed_conv.py`; time per step and memory of
    all processes): 3 x 3 kernels, 16 x 16 x 8 -> 16, delays 0 to 7: 8 ms and 61 MB here, 41 ms and 57 MB with every
    weight in one DelaySparse, 32 ms and 184 MB with a chain of relays; delays 0 to 62: 34 ms and 63 MB, 310 ms and
    69 MB, 145 ms and 872 MB; 32 x 32 x 16 -> 32, delay 1: 27 ms and 59 MB, 847 ms and 549 MB (a chain is the same).
    """
    _check_geometry(synapse)
    if synapse.source == graph.input.name:
        _check_sum(graph, synapse)
    weight, groups = regrouped(synapse.weight, synapse.groups, MAX_INT8)
    if synapse.target_channels is not None:
        weight, groups = _padded(regrouped(weight, groups, 1)[0], synapse, target.shape[2]), 1
    # A convolution wraps at 24 bits. Where a sum might reach that, what left the source in different steps must be
    # wrapped separately, so each delay has a convolution of its own.
    wraps = largest_sum(graph, synapse) >= STATE_LIMIT
    for channels, delays in _delay_groups(synapse, source.shape[2], one_each=wraps):
        kept = np.isin(np.arange(source.shape[2]), channels)
        process = LavaConv(
            weight=masked(weight, groups, kept)[:, ::-1, ::-1].astype(np.int32),  # Lava convolves, not correlates
            input_shape=source.shape,
            stride=synapse.stride,
            padding=synapse.padding,
            dilation=synapse.dilation,
            groups=groups,
            num_message_bits=message_bits(synapse),
        )
        port = delayed(source, channels, delays, graded=synapse.graded) if delays.any() else source
        port.connect(process.s_in)
        process.a_out.connect(target)


def _check_geometry(synapse: Conv) -> None:
    kernel = synapse.weight.shape[1:3]
    for label, pair in (("kernel", kernel), ("stride", synapse.stride), ("padding", synapse.padding),
                        ("dilation", synapse.dilation)):  # fmt: skip
        if max(pair) > MAX_INT8:
            raise BackendError(
                f"synapse {synapse.source} -> {synapse.target}: {label} {tuple(pair)}: Lava's convolution holds it "
                f"in 8 bits, up to {MAX_INT8}; use a smaller one, or a Sparse synapse"
            )


def _check_sum(graph: Graph, synapse: Conv) -> None:
    if (largest := largest_sum(graph, synapse)) >= WORD_LIMIT:
        raise BackendError(
            f"synapse {synapse.source} -> {synapse.target}: the sum of the convolution might reach {largest}; "
            "Lava's is defined below 2^31 only: use smaller inputs or weights"
            + (", or state the input's value_range" if graph.input.value_range is None else "")
        )


def _delay_groups(
    synapse: Conv | TokenMixing, n_channels: int, *, one_each: bool
) -> Iterator[tuple[IntArray, IntArray]]:
    """Source channels with their delays: those without delay, and the others together or one group for each delay."""
    delays = np.broadcast_to(np.asarray(synapse.delay_steps), (n_channels,)) + synapse.balance_steps
    kinds = delays if one_each else (delays > 0)
    for kind in np.unique(kinds):
        channels = np.flatnonzero(kinds == kind)
        yield channels, delays[channels]


_RULES: dict[type[Synapse], Any] = {
    Direct: _direct,
    Dense: _dense,
    Conv: _conv,
    TokenMixing: _token_mixing,
}
"""How a kind becomes Lava's processes; one that is not listed does as single weights."""
