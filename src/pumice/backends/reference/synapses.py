"""A synapse, and what is under way in it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.fixedpoint import (
    conv_accumulate,
    dense_accumulate,
    sparse_accumulate,
    to_int32,
    token_mixing_accumulate,
)
from pumice.ir import Conv, Dense, Direct, Graph, OneToOne, Sparse, Synapse, TokenMixing, flatten_whc, unflatten_whc
from pumice.ir.kinds import rule_for

Int32Array = npt.NDArray[np.int32]
Shape = tuple[int, ...]


class DelayLine:
    """What a synapse has received and not yet delivered: slot 0 is delivered in the next step."""

    def __init__(self, graph: Graph, synapse: Synapse) -> None:
        self.synapse = synapse
        self._target_shape = graph.shape_of(synapse.target)
        n_slots = synapse.max_delay_steps + synapse.balance_steps + 1
        self._slots = np.zeros((n_slots, *self._target_shape), np.int32)
        self._delays = np.unique(getattr(synapse, "delay_steps", 0))

    def arriving(self, x: Int32Array) -> Int32Array:
        """What the target receives in this step; `x` is the network's input now."""
        return _values(self.synapse, x) if isinstance(self.synapse, Direct) else self._slots[0]

    def advance(self, sent: Int32Array) -> None:
        """End the step in which the source sent these values."""
        if isinstance(self.synapse, Direct):
            return
        self._slots = np.concatenate([self._slots[1:], np.zeros_like(self._slots[:1])])
        first, stop = self.synapse.target_channels or (0, self._target_shape[-1])
        for delay in self._delays:
            slot = self._slots[self.synapse.balance_steps + int(delay)]
            slot[..., first:stop] += accumulate(
                self.synapse, sent, int(delay), (*self._target_shape[:-1], stop - first)
            )


def _values(synapse: Synapse, sent: Int32Array) -> Int32Array:
    return sent if synapse.graded else (sent != 0).astype(np.int32)


def accumulate(synapse: Synapse, sent: Int32Array, delay: int, shape: Shape) -> Int32Array:
    """What the values sent now add, `delay` steps later than usual, to a target of the given shape."""
    rule = rule_for(_RULES, synapse, "the reference backend")
    found: Int32Array = rule(synapse, _values(synapse, sent), delay, shape)
    return found


def _dense(synapse: Dense, values: Int32Array, delay: int, shape: Shape) -> Int32Array:
    delays = np.broadcast_to(np.asarray(synapse.delay_steps), synapse.weight.shape)
    weight = np.where(delays == delay, synapse.weight, 0)
    return dense_accumulate(weight, flatten_whc(values), synapse.weight_exp)


def _sparse(synapse: Sparse, values: Int32Array, delay: int, shape: Shape) -> Int32Array:
    now = np.broadcast_to(np.asarray(synapse.delay_steps), synapse.values.shape) == delay
    total = sparse_accumulate(
        synapse.rows[now],
        synapse.columns[now],
        synapse.values[now],
        flatten_whc(values),
        n_target=int(np.prod(shape)),
        weight_exp=synapse.weight_exp,
    )
    return unflatten_whc(total, shape)


def _conv(synapse: Conv, values: Int32Array, delay: int, shape: Shape) -> Int32Array:
    return conv_accumulate(
        synapse.weight,
        _channels_of(synapse, values, delay),
        stride=synapse.stride,
        padding=synapse.padding,
        dilation=synapse.dilation,
        groups=synapse.groups,
    )


def _one_to_one(synapse: OneToOne, values: Int32Array, delay: int, shape: Shape) -> Int32Array:
    product = np.asarray(synapse.weight, dtype=np.int64) * _channels_of(synapse, values, delay)
    return to_int32(to_int32(product).astype(np.int64) << synapse.weight_exp)


def _token_mixing(synapse: TokenMixing, values: Int32Array, delay: int, shape: Shape) -> Int32Array:
    return token_mixing_accumulate(synapse.weight, _channels_of(synapse, values, delay), synapse.weight_exp)


def _channels_of(synapse: Any, values: Int32Array, delay: int) -> Int32Array:
    """The values of those source channels that have this delay; 0 elsewhere."""
    now = np.broadcast_to(np.asarray(synapse.delay_steps), values.shape[-1:]) == delay
    return np.where(now, values, 0).astype(np.int32)


_RULES: dict[type[Synapse], Any] = {
    Dense: _dense,
    Sparse: _sparse,
    Conv: _conv,
    OneToOne: _one_to_one,
    TokenMixing: _token_mixing,
}
