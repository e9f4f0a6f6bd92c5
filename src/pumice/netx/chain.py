"""A stock chain of layers -> Graph: which number of the file acts where."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from pumice.errors import FileFormatError, InputError, PumiceWarning
from pumice.fixedpoint.formats import DELAY_STEPS, MIXED_WEIGHT, WEIGHT
from pumice.ir import Conv, ConvTranspose, Dense, Direct, Graph, Input, Population, Synapse
from pumice.ir.limits import SIGNED_16
from pumice.names import counted
from pumice.netx.delays import dense_delays, flattened, simplest_delay
from pumice.netx.fields import MAX_VALUES, Int64Array
from pumice.netx.layers import Layer
from pumice.netx.long_delays import LONGEST, LateSources
from pumice.netx.pool import as_convolution, as_transposed_convolution
from pumice.netx.stock import stock_weights, warn_of_stock

_ON_CHANNELS = {"pool": as_convolution, "unpool": as_transposed_convolution}
"""Layers that treat each channel alike, as the convolution of each channel that they are."""


def build_chain(
    layers: Sequence[Layer], *, as_stock: bool, input_shape: tuple[int, ...] | None, graded_input: bool
) -> Graph:
    """Join layers into a graph.

    Args:
        layers: As the file has them, in order; at least one has neurons.
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
        elif layer.kind in ("conv", "pool", "convT", "unpool"):
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
    populations: list[Population] = field(default_factory=list)
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
            raise FileFormatError(
                f"{layer.where}/weight: takes {counted(n_in, 'value')}, its source has {np.prod(shape)}"
            )
        if layer.weight_rec is not None and layer.weight_rec.shape != (n_out, n_out):
            raise FileFormatError(f"{layer.where}/weight_rec: must be {(n_out, n_out)}, got {layer.weight_rec.shape}")
        self.flattened = False
        columns = self._take_pending()
        own, outgoing = dense_delays(layer, n_out, n_in, as_stock=self.as_stock)
        weights = self._weights(layer)
        self._add_population(layer)
        name = self.populations[-1].name
        delay = own if columns is None else own + flattened(columns, shape)
        late = self._late_sources(layer, source, delay, graded=graded)
        for part in ("real", "imag"):
            if part in weights and late is not None:
                self.synapses += late.synapses(source, name, weights[part], part)
            elif part in weights:
                steps = simplest_delay(delay, n_in)
                self.synapses.append(Dense(source, name, graded, weight=weights[part], delay_steps=steps, part=part))
        if "rec" in weights:
            recurrent = simplest_delay(own, n_out) if self.as_stock else 0
            loop = Dense(
                name, name, graded if self.as_stock else self._graded(), weight=weights["rec"], delay_steps=recurrent
            )
            self.synapses.append(loop)
        self._set_pending(layer, outgoing)

    def _late_sources(self, layer: Layer, source: str, delay: Int64Array, *, graded: bool) -> LateSources | None:
        """Relays of the sources whose delays one synapse does not have, if there are any."""
        if np.max(delay) <= DELAY_STEPS.high:
            return None
        assert layer.weight is not None
        spread = np.broadcast_to(delay, (len(delay), layer.weight.shape[1]))
        late = LateSources.of(source, self.populations[-1].name, spread, graded=graded)
        if late is None:
            raise FileFormatError(
                f"{layer.where}/delay: with the delays of its source, {np.max(delay)} steps are needed; beyond "
                f"{DELAY_STEPS.high}, a source's delays may be at most {DELAY_STEPS.high} apart, and {LONGEST} long"
            )
        self.populations.insert(-1, late.relay)
        self.synapses.append(late.into)
        return late

    def add_conv(self, layer: Layer) -> None:
        """A convolution or a pooling, or the reverse of either."""
        if self.flattened:
            raise FileFormatError(f"{layer.where}: a {layer.kind} layer cannot follow a flatten layer")
        source, shape, graded = self._source(layer, None)
        if len(shape) != 3:
            raise FileFormatError(f"{layer.where}: a {layer.kind} layer needs an image (x, y, channel), got {shape}")
        kind = ConvTranspose if layer.kind in {"convT", "unpool"} else Conv
        if layer.kind in _ON_CHANNELS:
            found = _ON_CHANNELS[layer.kind](layer, shape)
            if isinstance(found, str):
                raise FileFormatError(f"{layer.where}: {found}")
            layer = found
        assert layer.geometry is not None
        padded = np.prod([shape[i] + 2 * layer.geometry["padding"][i] for i in (0, 1)], dtype=float) * shape[-1]
        if padded > MAX_VALUES:
            raise FileFormatError(f"{layer.where}/padding: the padded source has {padded:.0f} values")
        columns = self._take_pending()
        self._add_population(layer)
        delay = 0 if columns is None else simplest_delay(columns, shape[-1])
        if np.max(delay) > DELAY_STEPS.high:
            raise FileFormatError(
                f"{self.pending_from}/delay: delays into a {layer.kind} layer must lie in 0..{DELAY_STEPS.high}, got "
                f"{np.max(delay)}"
            )
        for part, weight in (("real", layer.weight), ("imag", layer.weight_imag)):
            if weight is not None:
                self._check_kernel(layer, weight)
                name = self.populations[-1].name
                self.synapses.append(
                    kind(source, name, graded, weight=weight, delay_steps=delay, part=part, **layer.geometry)
                )
        if layer.delay is not None and np.any(layer.delay) and not self.as_stock:
            if layer.delay.size not in (1, layer.shape[2]):
                raise FileFormatError(
                    f"{layer.where}/delay: must have one value or one per channel ({layer.shape[2]}), "
                    f"got {layer.delay.size}"
                )
            warn_of_stock(layer.where, "drops the delays of a convolution")
            self._set_pending(layer, np.broadcast_to(layer.delay.reshape(-1), layer.shape[2:]))

    def _check_kernel(self, layer: Layer, weight: Int64Array) -> None:
        low, high = SIGNED_16 if self.as_stock else WEIGHT
        if weight.min() < low or weight.max() > high:
            raise FileFormatError(
                f"{layer.where}/weight: must lie in {low}..{high}, got {weight.min()} to "
                f"{weight.max()}{'' if self.as_stock else '; --as-stock takes up to 16 bits, as stock does'}"
            )

    def finish(self) -> Graph:
        """The graph."""
        assert self.input is not None
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
            return self.populations[-1].name, self.populations[-1].shape, self._graded()
        if self.input is None:
            self.input = Input("input", self._first_shape(layer, n_in))
        return self.input.name, self.input.shape, self.graded_input

    def _graded(self) -> bool:
        """Whether what the last population sends is multiplied with the weights."""
        return self.populations[-1].sends_values

    def _first_shape(self, layer: Layer, n_in: int | None) -> tuple[int, ...]:
        stated = self.declared.shape if self.declared is not None else ()
        shape = stated or self.input_shape or (() if n_in is None else (n_in,))
        if not shape:
            raise FileFormatError(
                f"{layer.where}: the file does not state the input's shape and starts with a convolution; "
                "pass input_shape=(x, y, channel)"
            )
        if n_in is None and not stated and len(shape) != 3:
            raise InputError(f"{layer.where}: takes an image (x, y, channel), got an input of shape {shape}")
        if n_in is not None and (int(np.prod(shape)) != n_in or len(shape) not in (1, 3)):
            if not stated:
                raise InputError(f"{layer.where}: takes {counted(n_in, 'value')}, got an input of shape {shape}")
            _note(f"{layer.where}: the input layer states shape {shape}; as in stock netx {n_in} values are used")
            shape = (n_in,)
        return shape

    def _weights(self, layer: Layer) -> dict[str, Int64Array]:
        """The weights that act: "real", and "imag" or "rec" where there are such."""
        assert layer.weight is not None
        if layer.weight_imag is not None:
            pairs = (("real", layer.weight), ("imag", layer.weight_imag))
            return {part: self._acting(layer, [weight])[0] for part, weight in pairs}
        if layer.weight_rec is not None:
            return dict(zip(("real", "rec"), self._acting(layer, [layer.weight, layer.weight_rec]), strict=True))
        return {"real": self._acting(layer, [layer.weight])[0]}

    def _acting(self, layer: Layer, parts: list[Int64Array]) -> list[Int64Array]:
        """Weights that stock netx stores together, checked; as stock changes them if that is asked for."""
        forgets = layer.weight_rec is not None and layer.delay is not None
        acting = stock_weights(*parts, forget_exponent=forgets and self.as_stock)
        if acting is not None and all(np.array_equal(a, b) for a, b in zip(acting, parts, strict=True)):
            return parts
        low, high = min(int(w.min()) for w in parts), max(int(w.max()) for w in parts)
        if self.as_stock:
            if acting is None:
                raise FileFormatError(f"{layer.where}/weight: what stock netx makes of these weights is not linear")
            return acting
        if low < MIXED_WEIGHT.low or high > MIXED_WEIGHT.high:
            raise FileFormatError(
                f"{layer.where}/weight: weights of {low} to {high} do not fit 8 bits (-256..254, or 0..255 if none "
                "is negative); --as-stock runs what stock netx makes of them: clipped ones, or zeros"
            )
        warn_of_stock(
            layer.where, "changes these weights (mixed signs held as one, or -256 among negative weights only)"
        )
        return parts

    def _set_pending(self, layer: Layer, delays: Int64Array | None) -> None:
        self.pending, self.pending_from = delays, layer.where

    def _take_pending(self) -> Int64Array | None:
        delays, self.pending = self.pending, None
        return delays

    def _add_population(self, layer: Layer) -> None:
        assert layer.neuron is not None
        self.populations.append(layer.neuron.population(f"layer{layer.index}", layer.shape, layer.bias))


def _text(value: float) -> str:
    return f"{value:.9g}"  # a 32-bit number comes back as it was


def _note(message: str) -> None:
    warnings.warn(message, PumiceWarning, stacklevel=2)
