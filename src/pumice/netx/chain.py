"""A stock chain of layers -> Graph: which number of the file acts where."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from pumice.errors import FileFormatError, InputError, PumiceWarning
from pumice.ir import Conv, Cuba, Dense, Direct, Graph, Input, Synapse
from pumice.ir.verify import MAX_DELAY_STEPS
from pumice.netx.fields import MAX_VALUES
from pumice.netx.layers import Layer
from pumice.netx.stock import stock_weights

Int64Array = npt.NDArray[np.int64]


def build_chain(
    layers: Sequence[Layer], *, as_stock: bool, input_shape: tuple[int, ...] | None, graded_input: bool
) -> Graph:
    """Join layers into a graph.

    Args:
        layers: As the file has them, in order.
        as_stock: Reproduce stock netx where it departs from what was trained.
        input_shape: Used where the file does not state the input's shape.
        graded_input: Whether the first synapse multiplies by the input's value.

    Raises:
        FileFormatError: The layers do not fit together, or what was trained cannot be represented.
        InputError: `input_shape` does not fit the first layer.
    """
    state = _Chain(as_stock, input_shape, graded_input)
    for position, layer in enumerate(layers):
        if layer.kind == "input":
            if position:
                raise FileFormatError(f"{layer.where}: only the first layer may be an input layer")
            state.add_input(layer)
        elif layer.kind == "flatten":
            state.flattened = True
        elif layer.kind == "conv":
            state.add_conv(layer)
        else:
            state.add_dense(layer)
    return state.finish()


@dataclass
class _Chain:
    """The graph so far."""

    as_stock: bool
    input_shape: tuple[int, ...] | None
    graded_input: bool
    input: Input | None = None
    declared: Layer | None = None
    populations: list[Cuba] = field(default_factory=list)
    synapses: list[Synapse] = field(default_factory=list)
    info: dict[str, str] = field(default_factory=dict)
    flattened: bool = False
    # Trained output delays of the last population (per channel if it has three dimensions), which its
    # consumer's columns must carry, and the layer that has them.
    pending: Int64Array | None = None
    pending_from: str = ""

    def add_input(self, layer: Layer) -> None:
        """An input layer: only a shape, or neurons that the input feeds directly."""
        self.declared = layer
        if layer.transform is not None:
            self.info.update(zip(("netx_input_weight", "netx_input_bias"), map(_text, layer.transform), strict=True))
        if layer.neuron is None:
            return
        if len(layer.shape) not in (1, 3):
            raise FileFormatError(f"{layer.where}: input neurons need a shape of 1 or 3 sizes, got {layer.shape}")
        self.input = Input("input", layer.shape)
        self._add_population(layer)
        self.synapses.append(Direct("input", self.populations[0].name, graded=True))

    def add_dense(self, layer: Layer) -> None:
        """A dense layer, with or without recurrence."""
        assert layer.weight is not None
        n_out, n_in = layer.weight.shape
        source, shape, graded = self._source(layer, n_in)
        if self.populations and len(shape) == 3 and not self.flattened:
            raise FileFormatError(f"{layer.where}: a dense layer after shape {shape} needs a flatten layer before it")
        if int(np.prod(shape)) != n_in:
            raise FileFormatError(f"{layer.where}/weight: takes {n_in} values, its source has {np.prod(shape)}")
        if layer.weight_rec is not None and layer.weight_rec.shape != (n_out, n_out):
            raise FileFormatError(f"{layer.where}/weight_rec: must be {(n_out, n_out)}, got {layer.weight_rec.shape}")
        self.flattened = False
        columns = self._take_pending(layer, shape, dense=True)
        own, outgoing = self._dense_delays(layer, n_out, n_in)
        weights = self._weights(layer)
        self._add_population(layer)
        name = self.populations[-1].name
        delay = own if columns is None else own + columns
        if np.max(delay) > MAX_DELAY_STEPS:
            raise FileFormatError(
                f"{layer.where}/delay: with the delays of its source, {np.max(delay)} steps are needed, "
                f"{MAX_DELAY_STEPS} are possible"
            )
        self.synapses.append(Dense(source, name, graded, weight=weights[0], delay_steps=simplest_delay(delay, n_in)))
        if len(weights) > 1:
            recurrent = simplest_delay(own, n_out) if self.as_stock else 0
            self.synapses.append(Dense(name, name, weight=weights[1], delay_steps=recurrent))
        self._set_pending(layer, outgoing)

    def add_conv(self, layer: Layer) -> None:
        """A convolution."""
        assert layer.weight is not None
        assert layer.geometry is not None
        if self.flattened:
            raise FileFormatError(f"{layer.where}: a convolution cannot follow a flatten layer")
        source, shape, graded = self._source(layer, None)
        limit = 2**15 if self.as_stock else 256
        if layer.weight.min() < -limit or layer.weight.max() >= limit:
            raise FileFormatError(
                f"{layer.where}/weight: must lie in {-limit}..{limit - 1}, got {layer.weight.min()} to "
                f"{layer.weight.max()}{'' if self.as_stock else '; --as-stock takes up to 16 bits, as stock does'}"
            )
        padded = np.prod([shape[i] + 2 * layer.geometry["padding"][i] for i in (0, 1)], dtype=float) * shape[-1]
        if padded > MAX_VALUES:
            raise FileFormatError(f"{layer.where}/padding: the padded source has {padded:.0f} values")
        columns = self._take_pending(layer, shape, dense=False)
        self._add_population(layer)
        delay = 0 if columns is None else simplest_delay(columns, shape[-1])
        self.synapses.append(
            Conv(source, self.populations[-1].name, graded, weight=layer.weight, delay_steps=delay, **layer.geometry)
        )
        if layer.delay is not None and np.any(layer.delay) and not self.as_stock:
            if layer.delay.size not in (1, layer.shape[2]):
                raise FileFormatError(
                    f"{layer.where}/delay: must have one value or one per channel ({layer.shape[2]}), "
                    f"got {layer.delay.size}"
                )
            _warn(layer, "drops the delays of a convolution")
            self._set_pending(layer, np.broadcast_to(layer.delay.reshape(-1), layer.shape[2:]))

    def finish(self) -> Graph:
        """The graph, if there is one."""
        if not self.populations or self.input is None:
            raise FileFormatError("the file holds no layer with neurons")
        if self.pending is not None:
            raise FileFormatError(
                f"{self.pending_from}/delay: the trained delays of the last layer's outputs cannot be represented "
                "(nothing follows that could delay them); --as-stock delays the neurons' inputs, as stock netx does"
            )
        return Graph(
            self.input, tuple(self.populations), tuple(self.synapses), (self.populations[-1].name,), info=self.info
        )

    def _source(self, layer: Layer, n_in: int | None) -> tuple[str, tuple[int, ...], bool]:
        """Name and shape of what feeds this layer, and whether its values are graded."""
        if self.populations:
            return self.populations[-1].name, self.populations[-1].shape, False
        if self.input is None:
            self.input = Input("input", self._first_shape(layer, n_in))
        return self.input.name, self.input.shape, self.graded_input

    def _first_shape(self, layer: Layer, n_in: int | None) -> tuple[int, ...]:
        stated = self.declared.shape if self.declared is not None else ()
        shape = stated or self.input_shape or (() if n_in is None else (n_in,))
        if not shape:
            raise FileFormatError(
                f"{layer.where}: the file does not state the input's shape and starts with a convolution; "
                "pass input_shape=(x, y, channel)"
            )
        if n_in is not None and (int(np.prod(shape)) != n_in or len(shape) not in (1, 3)):
            if not stated:
                raise InputError(f"{layer.where}: takes {n_in} values, got an input of shape {shape}")
            _note(f"{layer.where}: the input layer states shape {shape}; {n_in} values are used, as in stock netx")
            shape = (n_in,)
        return shape

    def _weights(self, layer: Layer) -> list[Int64Array]:
        parts = [w for w in (layer.weight, layer.weight_rec) if w is not None]
        acting = stock_weights(*parts, forget_exponent=self._recurrent_delay(layer) and self.as_stock)
        if acting is not None and all(np.array_equal(a, b) for a, b in zip(acting, parts, strict=True)):
            return parts
        low, high = min(int(w.min()) for w in parts), max(int(w.max()) for w in parts)
        if self.as_stock:
            if acting is None:
                raise FileFormatError(f"{layer.where}/weight: what stock netx makes of these weights is not linear")
            return acting
        if low < -256 or high > 254:
            raise FileFormatError(
                f"{layer.where}/weight: weights of {low} to {high} do not fit 8 bits (-256..254, or 0..255 if none "
                "is negative); --as-stock clips them as stock netx does"
            )
        _warn(layer, "changes these weights (mixed signs held as one, or -256 among negative weights only)")
        return parts

    def _recurrent_delay(self, layer: Layer) -> bool:
        return layer.weight_rec is not None and layer.delay is not None

    def _dense_delays(self, layer: Layer, n_out: int, n_in: int) -> tuple[Int64Array, Int64Array | None]:
        """Delays on this layer's own inputs (broadcast against (out, in)), and those of its outputs."""
        none, delay = np.zeros((1, 1), np.int64), layer.delay
        if delay is None:
            return none, None
        if self.as_stock and layer.weight_rec is not None and n_in != n_out:
            raise FileFormatError(f"{layer.where}/delay: stock netx cannot run a recurrent layer of this shape")
        if delay.size == 1 or delay.shape == (n_out,):
            rows = np.broadcast_to(delay.reshape(-1, 1), (n_out, 1))
            if not delay.any():
                return none, None
            if self.as_stock or (layer.weight_rec is None and not np.any(0 if layer.bias is None else layer.bias)):
                return (
                    rows,
                    None,
                )  # without bias, delaying a neuron's inputs delays its outputs, and is what stock does
            _warn(layer, "delays the inputs (bias and recurrent spikes included) instead of the outputs")
            return none, rows[:, 0]
        if delay.shape not in ((n_in,), (n_out, n_in)):
            raise FileFormatError(
                f"{layer.where}/delay: must have one value, {n_out}, {n_in} or {(n_out, n_in)}, got {delay.shape}"
            )
        if layer.weight_rec is not None and not self.as_stock:
            raise FileFormatError(f"{layer.where}/delay: a recurrent layer takes one delay per neuron")
        return delay.reshape((-1, n_in)), None

    def _set_pending(self, layer: Layer, delays: Int64Array | None) -> None:
        self.pending, self.pending_from = delays, layer.where

    def _take_pending(self, layer: Layer, shape: tuple[int, ...], *, dense: bool) -> Int64Array | None:
        """Delays of the source's outputs: one per source neuron, or per channel for a convolution."""
        delays, self.pending = self.pending, None
        if delays is not None and dense and len(shape) == 3:
            delays = np.repeat(delays, shape[0] * shape[1])  # flattened with the channel slowest
        return delays

    def _add_population(self, layer: Layer) -> None:
        assert layer.neuron is not None
        bias = 0 if layer.bias is None else layer.bias
        self.populations.append(
            Cuba(
                f"layer{layer.index}",
                layer.shape,
                vth_mant=layer.neuron.vth_mant,
                i_decay_q12=layer.neuron.i_decay_q12,
                v_decay_q12=layer.neuron.v_decay_q12,
                bias_mant=int(bias) if np.ndim(bias) == 0 else bias,
            )
        )


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


def _text(value: float) -> str:
    return f"{value:g}"


def _note(message: str) -> None:
    warnings.warn(message, PumiceWarning, stacklevel=2)


def _warn(layer: Layer, deed: str) -> None:
    _note(f"{layer.where}: stock netx {deed}; this is run as it was trained (--as-stock runs it as stock netx does)")
