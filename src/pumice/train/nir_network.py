"""Layers of a NIR file as blocks that train."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from pumice.errors import FileFormatError
from pumice.fixedpoint.formats import BIAS_MANT, MIXED_WEIGHT, VTH_MANT, WEIGHT_EXP
from pumice.names import free_name
from pumice.nir.integers import InputScale, Quantizer, clock_name
from pumice.nir.layers import Layer, Network, Term, blanked
from pumice.nir.maps import Diagonal, FloatArray, Kernel, Matrix, Shape, image_shape
from pumice.nir.scales import next_smaller, round_decay
from pumice.nn.blocks.layers import Flatten
from pumice.nn.blocks.leaky_readout import LeakyReadout
from pumice.nn.blocks.merge import Merge
from pumice.nn.norms.tdbn import TDBN
from pumice.nn.synapses.base import AbstractSynapse
from pumice.nn.synapses.conv import ConvSynapse
from pumice.nn.synapses.dense import DenseSynapse
from pumice.nn.synapses.identity import IdentitySynapse
from pumice.nn.synapses.linear import LinearSynapse

_KEEP = "pumice.from_nir keeps it, without training"


class NirNetwork(torch.nn.Module):
    """A NIR file's network: a block for each of its layers, called in feed-forward order.

    Args:
        network: Layers of a file.
        entering: What the input's integers mean.
        v_low: Lowest voltage that the user's data caused, in thresholds, by layer; empty without data.
        surrogate: For all neurons; SLAYER's if not given.

    Shape:
        (batch, *input shape, time), a one-dimensional image (C, L) as (C, 1, L) -> (batch, n, time), or a tuple of
        that for several outputs.

    Raises:
        FileFormatError: A layer has no block that trains; the message names it and what remains.
    """

    def __init__(
        self, network: Network, entering: InputScale, v_low: Mapping[str, float], surrogate: Any = None
    ) -> None:
        super().__init__()
        self._surrogate = surrogate
        self._shapes = {network.input_name: network.input_shape, **{c.name: c.shape for c in network.layers}}
        self._input = network.input_name
        self.calls: list[tuple[str, tuple[str, ...], str]] = []
        """For each block its name, the layers whose spikes it takes, and the name of what it sends."""
        self.outputs = network.outputs
        self._flattened: dict[str, str] = {}
        clock = clock_name(network)
        delays = _delays(network)
        held = blanked(network)
        for layer in network.layers:
            made = Quantizer(layer, network, "8bit", entering, clock)
            if any(term.source == clock for term in made.terms) and clock not in self._shapes:
                self._shapes[clock] = (1,)
                self._add(clock, _clock(network.input_shape), (self._input,))
            outlives = layer.name in held
            scale = _training_scale(made, made.scale(v_low.get(layer.name), outlives), outlives)
            self._add_layer(layer, made, scale, delays.get(layer.name))

    def forward(self, x: torch.Tensor) -> Any:
        """Spikes, or voltages of a read-out."""
        sent = {self._input: x}
        for block, sources, name in self.calls:
            sent[name] = getattr(self, block)(*[sent[source] for source in sources])
        found = tuple(sent[name] for name in self.outputs)
        return found[0] if len(found) == 1 else found

    def _add(self, name: str, block: torch.nn.Module, sources: tuple[str, ...]) -> None:
        attribute = name.replace(".", "_")
        while hasattr(self, attribute) or attribute == "input":
            attribute += "_"
        self.add_module(attribute, block)
        self.calls.append((attribute, sources, name))

    def _flat(self, source: str) -> str:
        """The source as one dimension."""
        if len(self._shapes[source]) == 1:
            return source
        if source not in self._flattened:
            name = free_name(f"{source}_flat", self._shapes)
            self._flattened[source] = name
            self._shapes[name] = (int(np.prod(self._shapes[source])),)
            self._add(name, Flatten(), (source,))
        return self._flattened[source]

    def _add_layer(self, layer: Layer, made: Quantizer, scale: int, delay: FloatArray | None) -> None:
        if not layer.neurons.spiking:
            self._add(layer.name, *self._readout(layer, made))
            return
        sources, synapses, recurrent = [], [], None
        for term in made.terms:
            if term.source == layer.name:
                if recurrent is not None or not isinstance(term.linear, Matrix) or np.any(term.delay_steps):
                    raise _refused(layer, "feeds itself by more than one matrix without a delay")
                recurrent = _dense(term.linear, scale)
                continue
            source, synapse = self._synapse(layer, term, scale)
            sources.append(source)
            synapses.append(synapse)
        if not synapses:
            raise _refused(layer, "receives its own spikes only")
        if np.any(made.bias):
            if np.any(layer.neurons.i_decay < 1):
                raise _refused(layer, "has a v_leak other than its v_reset behind a tau_syn")
            _add_bias(synapses[0], _per_channel(layer, made.bias, "biases"))
        params = {"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 0.5, "surrogate": self._surrogate}
        block = Merge(params, *synapses, recurrent=recurrent, vth_mant=scale, delay=delay is not None)
        for name, share in (("current_decay", layer.neurons.i_decay), ("voltage_decay", layer.neurons.v_decay)):
            decay = round_decay(_per_channel(layer, share, "decays"))
            decay = decay[:1] if np.all(decay == decay[0]) else decay
            getattr(block.neuron, name).data = torch.tensor(decay, dtype=torch.float32)
        if delay is not None and block.delay is not None:
            with torch.no_grad():
                block.delay.delay.copy_(torch.from_numpy(_per_channel(layer, delay, "delays")))
            block.delay.delay.requires_grad_(False)
        self._add(layer.name, block, tuple(sources))

    def _synapse(self, layer: Layer, term: Term, scale: int) -> tuple[str, AbstractSynapse]:
        source, linear = self._shapes[term.source], term.linear
        if isinstance(linear, Kernel):
            if len(source) == 1:
                raise _refused(layer, "is a convolution of one dimension of neurons")
            return term.source, _conv(linear, image_shape(source)[0])
        if isinstance(linear, Matrix):
            if len(layer.shape) > 1:
                raise _refused(layer, "is an image that a matrix enters")
            return self._flat(term.source), _dense(linear, scale)
        if np.any(layer.neurons.i_decay < 1):
            raise _refused(layer, "has a tau_syn, and is entered one to one, by no matrix")
        name = term.source if source == layer.shape else self._flat(term.source)
        return name, _one_to_one(layer, linear)

    def _readout(self, layer: Layer, made: Quantizer) -> tuple[torch.nn.Module, tuple[str, ...]]:
        decays = layer.neurons.v_decay
        (first, *more) = made.terms
        plain = isinstance(first.linear, Matrix) and len(layer.shape) == 1 and not np.any(first.delay_steps)
        if (
            more
            or not plain
            or np.any(layer.neurons.i_decay < 1)
            or np.any(decays != decays.flat[0])
            or not decays.flat[0]
        ):
            raise _refused(layer, "is a read-out of other than one matrix and one decay of the voltage")
        matrix: Any = first.linear
        name = self._flat(first.source)
        block = LeakyReadout(self._shapes[name][0], len(matrix.weight), voltage_decay=float(decays.flat[0]))
        with torch.no_grad():
            block.readout.linear.weight.copy_(torch.from_numpy(matrix.weight))
            block.readout.linear.bias.copy_(torch.from_numpy(made.bias))
        return block, (name,)


def _refused(layer: Layer, what: str) -> FileFormatError:
    return FileFormatError(f"layer {layer.name!r} {what}, and pumice.nn has no such block; {_KEEP}")


def _delays(network: Network) -> dict[str, FloatArray]:
    """For each layer how late its spikes arrive, the same everywhere: a block delays what it sends."""
    found: dict[str, Any] = {}
    for layer in network.layers:
        for term in layer.terms:
            if term.source == layer.name:
                continue
            other = found.setdefault(term.source, term.delay_steps)
            if not np.array_equal(np.broadcast_arrays(other, term.delay_steps)[0], term.delay_steps):
                raise _refused(layer, f"gets the spikes of {term.source!r} with another delay than other layers do")
    late = {name: np.asarray(steps, np.float64) for name, steps in found.items() if np.any(steps)}
    for name in (network.input_name, *network.outputs):
        if name in late:
            raise FileFormatError(f"what {name!r} sends is delayed, and a block delays neurons inside only; {_KEEP}")
    return late


def _training_scale(made: Quantizer, scale: int, blanked: bool) -> int:
    """A scale at which what has no exponent fits its bits, and whole weights are even, as those that train."""
    weights: Sequence[FloatArray] = [term.linear.weight for term in made.terms]
    fixed = [float(np.abs(t.linear.weight).max(initial=0)) for t in made.terms if not isinstance(t.linear, Matrix)]
    bias = float(np.abs(made.bias).max(initial=0))
    while scale > 1 and (max(fixed, default=0) * scale > MIXED_WEIGHT.high + 1 or bias * scale > BIAS_MANT.high):
        scale //= 2
    whole = all(np.allclose(w * scale, np.rint(w * scale), rtol=0, atol=1e-9) for w in weights)
    odd = any(np.any(np.rint(w * scale) % 2) for w in weights)
    fits = 2 * scale * max(fixed, default=0) <= MIXED_WEIGHT.high and 2 * scale <= VTH_MANT.high
    fits = fits and 2 * scale * bias <= BIAS_MANT.high and made.holds(2 * scale, blanked, even=True)
    if whole and odd and fits:
        return 2 * scale
    while scale > 1 and not made.holds(scale, blanked, even=True):
        scale = next_smaller(scale)
    return scale


def _exponent(linear: Matrix, scale: int) -> int:
    """The smallest with which 8 bits hold the weights."""
    peak, found = float(np.abs(linear.weight).max(initial=0)) * scale, 0
    while peak > (MIXED_WEIGHT.high << found) * (1 + 1e-9) and found < WEIGHT_EXP.high:
        found += 1
    return found


def _per_channel(layer: Layer, values: FloatArray, what: str) -> FloatArray:
    places = np.broadcast_to(values, layer.shape).reshape(layer.shape[0], -1)
    if np.any(places != places[:, :1]):
        raise _refused(layer, f"has {what} that differ within a channel")
    return places[:, 0].copy()


def _clock(shape: Shape) -> Merge:
    """A neuron that fires in each step."""
    channels, *image = shape
    synapse = LinearSynapse(channels, 1, positions=int(np.prod(image)))
    torch.nn.init.zeros_(synapse.weight).requires_grad_(False)
    assert synapse.bias is not None
    torch.nn.init.constant_(synapse.bias, 2.0).requires_grad_(False)
    return Merge({"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 1.0}, synapse, vth_mant=1)


def _dense(linear: Matrix, scale: int) -> DenseSynapse:
    synapse = DenseSynapse(linear.weight.shape[1], len(linear.weight), weight_exp=_exponent(linear, scale))
    with torch.no_grad():
        synapse.weight.copy_(torch.from_numpy(linear.weight))
    return synapse


def _conv(linear: Kernel, channels: int) -> ConvSynapse:
    out, _, *kernel = linear.weight.shape
    geometry: Any = {"stride": linear.stride, "padding": linear.padding, "dilation": linear.dilation}
    synapse = ConvSynapse(channels, out, (kernel[0], kernel[1]), groups=linear.groups, **geometry)
    with torch.no_grad():
        synapse.weight.copy_(torch.from_numpy(linear.weight)[..., None])
    return synapse


def _one_to_one(layer: Layer, linear: Diagonal) -> IdentitySynapse:
    weight = _per_channel(
        layer,
        np.broadcast_to(
            linear.weight.reshape(-1, *layer.shape[1:]) if linear.weight.size > 1 else linear.weight, layer.shape
        ),
        "weights",
    )
    synapse = IdentitySynapse(layer.shape[0])
    _add_bias(synapse, np.zeros(len(weight)), weight)
    return synapse


def _add_bias(synapse: AbstractSynapse, bias: FloatArray, gain: FloatArray | float = 1.0) -> None:
    """What a norm is once it is folded: gain * x + bias; deployed, it measures nothing."""
    if synapse.norm is None:
        synapse.norm = TDBN(synapse.out_channels, alpha=1.0, threshold=1.0, eps=0.0)
        synapse.norm.scale.data[:] = torch.as_tensor(gain, dtype=torch.float32)
    synapse.norm.shift.data[:] = torch.from_numpy(bias)
