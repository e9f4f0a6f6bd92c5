"""Where the trained delays of a dense layer act: on its own inputs, or on those of the layer behind it."""

from __future__ import annotations

import numpy as np

from pumice.errors import FileFormatError
from pumice.fixedpoint.formats import DELAY_STEPS
from pumice.netx.fields import Int64Array
from pumice.netx.layers import Layer
from pumice.netx.stock import warn_of_stock


def dense_delays(layer: Layer, n_out: int, n_in: int, *, as_stock: bool) -> tuple[Int64Array, Int64Array | None]:
    """Delays of a layer's own inputs (broadcast against (out, in)), and those of its outputs or None.

    Args:
        layer: A dense layer.
        n_out: Its neurons.
        n_in: Neurons of its source.
        as_stock: Put the delays where stock netx puts them.

    Raises:
        FileFormatError: The delays do not fit the layer.
    """
    none, delay = np.zeros((1, 1), np.int64), layer.delay
    is_complex = layer.weight_imag is not None
    if delay is None or (is_complex and as_stock):
        return none, None
    if as_stock and layer.weight_rec is not None and n_in != n_out:
        raise FileFormatError(f"{layer.where}/delay: stock netx cannot run a recurrent layer of this shape")
    if is_complex and delay.any():
        warn_of_stock(layer.where, "drops the delays of a complex layer")
    # A matrix (out, in) says where each delay acts, also where it holds a single one.
    if delay.shape != (n_out, n_in) and (delay.size == 1 or delay.shape == (n_out,)):
        rows = np.broadcast_to(delay.reshape(-1, 1), (n_out, 1))
        if not delay.any():
            return none, None
        # Without bias, delaying a neuron's inputs delays its outputs, and is what stock does.
        alike = layer.weight_rec is None and not np.any(0 if layer.bias is None else layer.bias)
        if as_stock or (alike and delay.max() <= DELAY_STEPS.high):
            return rows, None
        if not alike:
            warn_of_stock(
                layer.where, "delays the inputs (bias and recurrent spikes included) instead of the outputs"
            )
        return none, rows[:, 0]
    if delay.shape not in ((n_in,), (n_out, n_in)):
        raise FileFormatError(
            f"{layer.where}/delay: must have one value, {n_out}, {n_in} or {(n_out, n_in)}, got {delay.shape}"
        )
    if layer.weight_rec is not None and not as_stock:
        raise FileFormatError(f"{layer.where}/delay: a recurrent layer takes one delay per neuron")
    return delay.reshape((-1, n_in)), None


def flattened(delays: Int64Array, shape: tuple[int, ...]) -> Int64Array:
    """One delay per source neuron from one per channel, in the order of a flatten layer: channel slowest."""
    return np.repeat(delays, shape[0] * shape[1]) if len(shape) == 3 else delays


def simplest_delay(delay: Int64Array, n_in: int) -> int | Int64Array:
    """The same delays as one number, one per source (in,), or one per weight (out, in), whichever is enough.

    Args:
        delay: One per source (in,), or (out, in) with either size 1 where it does not matter.
        n_in: Number of sources.

    Example:
        >>> simplest_delay(np.array([[3, 4], [3, 4]]), 2).tolist()
        [3, 4]
    """
    if np.all(delay == delay.flat[0]):
        return int(delay.flat[0])
    if delay.ndim == 2 and np.all(delay == delay[:1]):
        return np.array(delay[0])
    return np.array(np.broadcast_to(delay, (*delay.shape[:-1], n_in)))
