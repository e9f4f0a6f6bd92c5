"""What synapses add, as matrix products in floating point whose every partial sum is proved to be exact.

A float32 holds integers up to 2^24, a float64 up to 2^53. Where a bound on a synapse's partial sums is larger, the
values are split into their low 16 bits and the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from pumice.backends.fast.bounds import largest_sum, reads_values
from pumice.backends.torch.convolution import convolve_by_product
from pumice.fixedpoint.formats import EXACT_FLOAT32, EXACT_FLOAT64, STATE_LIMIT
from pumice.ir import Conv, ConvTranspose, Dense, Direct, Graph, OneToOne, Sparse, Synapse, TokenMixing
from pumice.ir.layout import flatten_whc

Array: TypeAlias = npt.NDArray[Any]
Linear: TypeAlias = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""(values (N, *source), weight) -> sums (N, *receiving part), both of one floating-point type."""
Prepared: TypeAlias = tuple[Array, Linear]
"""Weights of a synapse, and what is done with them."""

LONGEST_PRODUCT = 1 << 16
"""Frames that are multiplied at a time."""
LOW_BITS = 16
MEBIBYTE = 1 << 20
WINDOWS_BYTES = {"cpu": 16 * MEBIBYTE, "cuda": 256 * MEBIBYTE}
"""Aim for what is held at a time of the windows of a convolution: what a cache holds, and what the C library keeps
when it is freed; larger blocks are mapped, cleared and given back each time."""


class Arrival:
    """What a synapse adds, for one delay.

    Attributes:
        synapse: The synapse.
        delay: Steps from leaving the source to acting on the target.
        binary: Whether it reads only which values are not 0.
        channels: Of the target, (first, stop), that receive.
    """

    def __init__(
        self, graph: Graph, synapse: Synapse, trained_delay: int, prepared: Prepared, device: torch.device
    ) -> None:
        weight, self._linear = prepared
        self.synapse = synapse
        self.delay = synapse.latency_steps + trained_delay
        self.binary = not reads_values(graph, synapse)
        source, receiving = graph.ends_of(synapse)
        self.source, self.receiving = source, receiving
        self.channels = synapse.target_channels or (0, receiving[-1])
        bound = largest_sum(graph, synapse) >> synapse.shift_bits
        self._is_split = bound >= EXACT_FLOAT64
        dtype = torch.float32 if bound < EXACT_FLOAT32 else torch.float64
        self._weight = torch.as_tensor(np.asarray(weight, np.float64)).to(device, dtype)
        self._wraps = isinstance(synapse, Conv) and bound >= STATE_LIMIT
        per_frame = 8 * weight.size * int(np.prod(receiving[:-1])) // max(1, receiving[-1])
        windows = WINDOWS_BYTES.get(device.type, WINDOWS_BYTES["cuda"])
        self._frames = max(1, windows // max(1, per_frame)) if isinstance(synapse, Conv) else LONGEST_PRODUCT

    def added(self, values: torch.Tensor) -> torch.Tensor:
        """The sums, modulo 2^32, for integers of any type: (N, *source) -> (N, *receiving), int32."""
        out = torch.zeros(len(values), *self.receiving, dtype=torch.int32, device=values.device)
        live = values.flatten(1).any(1).nonzero()[:, 0]  # most steps of a deep network bring nothing yet
        for part in live.split(self._frames):
            out[part] = self._sums(values[part])
        return out

    def _sums(self, values: torch.Tensor) -> torch.Tensor:
        dtype = self._weight.dtype
        if self._is_split:
            low, high = values & ((1 << LOW_BITS) - 1), values >> LOW_BITS
            sums = self._linear(low.to(dtype), self._weight).to(torch.int64)
            sums += self._linear(high.to(dtype), self._weight).to(torch.int64) << LOW_BITS
        else:
            sums = self._linear(values.to(dtype), self._weight).to(torch.int64)
        if self._wraps:
            sums = (sums + STATE_LIMIT).remainder(2 * STATE_LIMIT) - STATE_LIMIT
        return (sums << self.synapse.shift_bits).to(torch.int32)


class ByDefinition(Arrival):
    """A kind with an arithmetic of its own, or with weights too large: its `accumulate`, frame by frame."""

    def __init__(self, graph: Graph, synapse: Synapse, trained_delay: int, device: torch.device) -> None:
        super().__init__(graph, synapse, trained_delay, (np.zeros(1), lambda values, _weight: values), device)
        self._trained_delay = trained_delay

    def _sums(self, values: torch.Tensor) -> torch.Tensor:
        frames = values.to(torch.int32).numpy(force=True)
        added = [self.synapse.accumulate(frame, self._trained_delay, self.receiving) for frame in frames]
        return torch.as_tensor(np.stack(added)).to(values.device)


def arrivals(graph: Graph, synapse: Synapse, device: torch.device) -> Iterator[Arrival]:
    """A synapse's arrivals, one for each of its delays."""
    delays = np.unique(getattr(synapse, "delay_steps", 0))
    own_arithmetic = type(synapse) not in _KINDS and type(synapse).accumulate is not Synapse.accumulate
    if own_arithmetic or synapse.largest_sum(*graph.ends_of(synapse)) << LOW_BITS >= EXACT_FLOAT64:
        for delay in delays:
            yield ByDefinition(graph, synapse, int(delay), device)
        return
    prepare = _KINDS.get(type(synapse), _single_weights)
    for delay in delays:
        yield Arrival(graph, synapse, int(delay), prepare(synapse, graph.ends_of(synapse), int(delay)), device)


Ends: TypeAlias = tuple[tuple[int, ...], tuple[int, ...]]


def _direct(_s: Direct, _ends: Ends, _delay: int) -> Prepared:
    return np.ones(()), lambda values, weight: values * weight


def _dense(s: Dense, ends: Ends, delay: int) -> Prepared:
    """The columns in the order in which the source lies in memory."""
    columns = flatten_whc(np.arange(int(np.prod(ends[0]))).reshape(ends[0]))
    weight = np.zeros(s.weight.shape)
    weight[:, columns] = np.where(np.broadcast_to(s.delay_steps, s.weight.shape) == delay, s.weight, 0)
    return weight, lambda values, w: torch.nn.functional.linear(values.flatten(1), w)


def _one_to_one(s: OneToOne, ends: Ends, delay: int) -> Prepared:
    return _of_delay(np.broadcast_to(s.weight, ends[0]), s.delay_steps, delay), lambda values, w: values * w


def _of_delay(weight: Array, delay_steps: Any, delay: int) -> Array:
    """The weights whose last axis, the source's channel, has this delay."""
    return np.where(np.broadcast_to(delay_steps, weight.shape[-1:]) == delay, weight, 0)


def _conv(s: Conv, _ends: Ends, delay: int) -> Prepared:
    n_out, _, _, in_per_group = s.weight.shape
    delays = np.broadcast_to(s.delay_steps, (in_per_group * s.groups,)).reshape(s.groups, in_per_group)
    of_group = np.repeat(delays, n_out // s.groups, axis=0)[:, None, None, :]
    kernel = np.where(of_group == delay, s.weight, 0).transpose(0, 3, 1, 2)
    return kernel, lambda values, w: convolve_by_product(values, w, s.stride, s.padding, s.dilation, s.groups)


def _token_mixing(s: TokenMixing, ends: Ends, delay: int) -> Prepared:
    width, height, channels = ends[0]
    now = np.broadcast_to(s.delay_steps, (channels,)) == delay

    def linear(values: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        masked = values * torch.as_tensor(now).to(values)
        tokens = masked.transpose(1, 2).reshape(len(values), width * height, len(w), channels // len(w))
        mixed = torch.einsum("hmn,bnhc->bmhc", w, tokens)
        return mixed.reshape(len(values), height, width, channels).transpose(1, 2)

    return np.asarray(s.weight, np.float64), linear


def _single_weights(s: Synapse, ends: Ends, delay: int) -> Prepared:
    """Any kind, by its `entries`: a sparse matrix."""
    found = s.entries(*ends)
    now = found.delay_steps == delay
    places = torch.as_tensor(np.stack([found.rows[now], found.columns[now]]))
    size = int(np.prod(ends[1])), int(np.prod(ends[0]))
    made: list[torch.Tensor] = []

    def linear(values: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        if not made:
            matrix = torch.sparse_coo_tensor(places.to(w.device), w, size, check_invariants=False)
            made.append(matrix.coalesce())
        return torch.sparse.mm(made[0], values.flatten(1).t()).t().reshape(len(values), *ends[1])

    return found.values[now], linear


_KINDS: dict[type[Synapse], Callable[[Any, Ends, int], Prepared]] = {
    Direct: _direct,
    Dense: _dense,
    OneToOne: _one_to_one,
    Conv: _conv,
    TokenMixing: _token_mixing,
    ConvTranspose: _single_weights,
    Sparse: _single_weights,
}
