"""Float layers -> integer populations and synapses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pumice.errors import FileFormatError
from pumice.fixedpoint.formats import DECAY_ONE, STATE_EXP, SUM_LIMIT
from pumice.ir import Accumulator, Conv, Cuba, Dense, Graph, Input, OneToOne, Population, Sparse, Synapse
from pumice.names import counted, free_name
from pumice.nir.layers import Layer, Network, Term, blanked
from pumice.nir.maps import (
    Diagonal,
    FloatArray,
    Kernel,
    LinearMap,
    Matrix,
    Shape,
    TooLargeError,
    compose,
    image_shape,
)
from pumice.nir.report import LayerReport
from pumice.nir.scales import (
    DEEP,
    IntArray,
    Reach,
    Rounded,
    Weights,
    choose_scale,
    next_smaller,
    round_bias,
    round_decay,
    round_weights,
    row_sums,
    total_of,
)

CLOCK = "bias_clock"
MAX_SPARSE = 1 << 21
"""Single weights that a convolution may be written out as."""


@dataclass(frozen=True)
class InputScale:
    """What the integers of the input mean.

    Attributes:
        low: Smallest integer.
        high: Largest.
        scale: Integers per unit of the file's input.
    """

    low: int = 0
    high: int = 1
    scale: float = 1.0

    @property
    def graded(self) -> bool:
        """Whether values count, not only whether there is one."""
        return (self.low, self.high) != (0, 1)


def graph_shape(shape: Shape) -> tuple[int, ...]:
    """(C, H, W) or (C, L) -> (x, y, channel); one dimension stays."""
    return image_shape(shape)[::-1]


def graph_order(values: Any, shape: Shape, lead: int = 0) -> Any:
    """Values of NIR's order to the graph's, behind `lead` other axes."""
    head = values.shape[:lead]
    image = values.reshape(*head, *image_shape(shape))
    if image.ndim - lead == 1:
        return image
    return image.transpose(*range(lead), lead + 2, lead + 1, lead)


def to_graph(
    network: Network, weights: Weights, entering: InputScale, v_low: dict[str, float], *, streams: bool
) -> tuple[Graph, list[LayerReport]]:
    """Populations and synapses as the network computes them, without latency and resets.

    Args:
        network: Float layers.
        weights: One synapse of 8 bits for each map, or two.
        entering: The input's integers.
        v_low: Lowest voltage that the user's data caused, in thresholds, by layer; empty without data.
        streams: Whether samples will follow each other.
    """
    clock = clock_name(network)
    populations: list[Population] = []
    synapses: list[Synapse] = []
    reports = []
    held = blanked(network)
    kinds = {layer.name: layer for layer in network.layers}
    for layer in network.layers:
        made = Quantizer(layer, network, weights, entering, clock)
        population, into, report = made.build(v_low.get(layer.name), streams and layer.name in held)
        populations.append(population)
        synapses += into
        reports.append(report)
    if any(s.source == clock for s in synapses):
        populations.insert(0, Cuba(clock, (1,), vth_mant=0, bias_mant=1))
    source = Input(network.input_name, graph_shape(network.input_shape), (entering.low, entering.high))
    info = {}
    if not kinds[network.outputs[0]].neurons.spiking:
        scale = next(r.scale for r in reports if r.name == network.outputs[0])
        info["unit"] = repr(1 / (scale << STATE_EXP))
    return Graph(source, tuple(populations), tuple(synapses), network.outputs, info=info), reports


def clock_name(network: Network) -> str:
    """What the clock is called: no layer's name."""
    return free_name(CLOCK, {network.input_name, *(layer.name for layer in network.layers)})


class Quantizer:
    """One layer: its maps in thresholds, its scale, its integers.

    Attributes:
        terms: What is added up, with weights in thresholds; a filtered bias is one of them, from the clock.
        bias: What is added to the voltage in each step, in thresholds.
    """

    def __init__(self, layer: Layer, network: Network, weights: Weights, entering: InputScale, clock: str) -> None:
        self.layer, self.weights, self.entering, self.clock = layer, weights, entering, clock
        self.shapes = {network.input_name: network.input_shape, clock: (1,)}
        self.shapes.update({other.name: other.shape for other in network.layers})
        self.input = network.input_name
        cell = layer.neurons
        rows = cell.gain / cell.threshold
        self.bias = cell.bias / cell.threshold
        self.terms: list[Term] = []
        for term in layer.terms:
            scale = rows / entering.scale if term.source == self.input else rows
            self.terms.append(Term(term.source, self._scaled(term, scale), term.delay_steps))
        if cell.filtered and np.any(layer.constant):
            constant = (rows * layer.constant).reshape(-1, 1)
            self.terms.append(Term(clock, Matrix(constant)))
        else:
            self.bias = self.bias + rows * layer.constant

    def _scaled(self, term: Term, rows: FloatArray) -> LinearMap:
        source, shape = self.shapes[term.source], self.layer.shape
        uniform = Diagonal(rows.reshape(-1)[0].reshape(())) if np.all(rows == rows.flat[0]) else Diagonal(rows)
        if isinstance(term.linear, Matrix):
            return Matrix(term.linear.weight * np.broadcast_to(uniform.weight, shape).reshape(-1, 1))
        try:
            return compose(term.linear, uniform, (source, shape, shape))
        except TooLargeError as error:
            raise FileFormatError(
                f"layer {self.layer.name!r}: its thresholds, r or w_in differ within a channel "
                f"behind a convolution, so "
                f"that it would have to become {error}; make them equal within each channel"
            ) from None

    def build(self, v_low: float | None, blanked: bool) -> tuple[Population, list[Synapse], LayerReport]:
        """The population, the synapses into it, and what they deviate by."""
        cell, name, shape = self.layer.neurons, self.layer.name, self.layer.shape
        maps = [term.linear for term in self.terms]
        scale = self.scale(v_low, blanked)
        mantissa, bias_exp = round_bias(self.bias, scale, name)
        i_decay, v_decay = round_decay(cell.i_decay), round_decay(cell.v_decay)
        parameters: dict[str, Any] = {
            "i_decay_q12": self._compact(i_decay),
            "v_decay_q12": self._compact(v_decay),
            "bias_mant": self._compact(mantissa),
            "bias_exp": bias_exp,
        }
        population: Population
        if cell.spiking:
            population = Cuba(name, graph_shape(shape), vth_mant=scale, **parameters)
        else:
            population = Accumulator(name, graph_shape(shape), **parameters)
        synapses: list[Synapse] = []
        error = 0.0
        largest = max((float(np.abs(m.weight).max(initial=0)) for m in maps), default=0) or 1.0
        for term in self.terms:
            values = term.linear.weight * scale
            parts = round_weights(values, self.weights, exponents=not isinstance(term.linear, Kernel))
            error = max(error, float(np.abs(total_of(parts) - values).max(initial=0)) / scale / largest)
            synapses += [self._synapse(term, part) for part in parts]
        drift = max(
            float(np.abs(q / DECAY_ONE - real).max(initial=0))
            for q, real in ((i_decay, cell.i_decay), (v_decay, cell.v_decay))
        )
        notes = list(cell.notes)
        if any(s.source == self.clock for s in synapses):
            notes.append(
                f"its bias passes tau_syn first, so that the clock neuron {self.clock!r} sends it in each step"
            )
        report = LayerReport(name, type(population).__name__, population.size, scale, error, drift, tuple(notes))
        return population, synapses, report

    def scale(self, v_low: float | None, blanked: bool) -> int:
        """Integers per threshold.

        Args:
            v_low: Lowest voltage that the user's data caused, in thresholds; None without data.
            blanked: Whether a clock must hold the layer below threshold between samples.

        Raises:
            FileFormatError: There is none.
        """
        maps = [term.linear for term in self.terms]
        scale = choose_scale(maps, self._reach(v_low, blanked), self.weights, self._natural())
        while scale > 1 and not self.holds(scale, blanked):
            scale = next_smaller(scale)
        if scale < 1:
            outlive = " (it is held down between samples, as its spikes arrive late or at itself)" if blanked else ""
            raise FileFormatError(
                f"layer {self.layer.name!r}: what may arrive in one step{outlive} is so large against its threshold "
                "that the current would leave its 24 bits at any scale; use a smaller input_range, smaller weights, "
                "a larger threshold or a shorter tau_syn"
            )
        return scale

    def holds(self, scale: int, blanked: bool, *, even: bool = False) -> bool:
        """Whether the current keeps its 24 bits at a scale, and the clock's inhibition too, with weights as rounded.

        Args:
            scale: Integers per threshold.
            blanked: Whether a clock must hold the layer below threshold between samples.
            even: Whether all weights become even numbers, as those that train.
        """
        maps = []
        for term in self.terms:
            kernel = isinstance(term.linear, Kernel)
            parts = round_weights(term.linear.weight * scale, self.weights, exponents=not kernel, even=even)
            maps.append(replace(term.linear, weight=np.asarray(total_of(parts), np.float64)))
        low, high = (float(np.abs(sums).max(initial=0)) for sums in self._sums(maps))
        memory = DECAY_ONE / int(round_decay(self.layer.neurons.i_decay).min())
        most = max(low, high)
        if blanked:  # as passes.schedule_resets reckons, which rounds up
            most = max(most, high * memory + float(self.bias.max(initial=0)) * scale + low + 2)
        return most * memory < SUM_LIMIT

    def _natural(self) -> float:
        rows = self.layer.neurons.gain / self.layer.neurons.threshold
        return float(rows.flat[0]) if np.all(rows == rows.flat[0]) else 1.0

    def _reach(self, v_low: float | None, blanked: bool) -> Reach:
        cell = self.layer.neurons
        low, high = self._sums([term.linear for term in self.terms])
        memory, bias = float(1 / cell.i_decay.min()), float(np.abs(self.bias).max(initial=0))
        worst = float(max(-low.min(initial=0), 0 if cell.spiking else high.max(initial=0))) * memory + bias
        depth = worst / max(float(cell.v_decay.min()), 1e-9)
        if v_low is not None and cell.spiking:
            depth = min(depth, 1.25 * abs(v_low))
        elif cell.spiking or not np.all(cell.v_decay > 0):
            depth = min(depth, DEEP)
        return Reach(
            low=float(low.min(initial=0)),
            high=float(high.max(initial=0)),
            memory=memory,
            bias=bias,
            depth=depth,
            blanked=blanked,
            truncates=bool(np.any(cell.i_decay < 1) or np.any((cell.v_decay > 0) & (cell.v_decay < 1))),
        )

    def _sums(self, maps: Sequence[LinearMap]) -> tuple[FloatArray, FloatArray]:
        """The least and the most that may arrive at each neuron in one step."""
        low, high = np.zeros(self.layer.shape), np.zeros(self.layer.shape)
        for term, linear in zip(self.terms, maps, strict=True):
            least, most = (self.entering.low, self.entering.high) if term.source == self.input else (0, 1)
            least, most = min(least, 0), max(most, 0)
            negative, positive = row_sums(linear, self.layer.shape)
            low = low + negative * most + positive * least
            high = high + positive * most + negative * least
        return low, high

    def _compact(self, values: IntArray) -> int | IntArray:
        if np.all(values == values.flat[0]):
            return int(values.flat[0])
        placed: IntArray = graph_order(values, self.layer.shape)
        if placed.ndim == 3 and np.all(placed == placed[:1, :1]):
            return placed[0, 0]
        return placed

    def _synapse(self, term: Term, part: Rounded) -> Synapse:
        source, target = self.shapes[term.source], self.layer.shape
        ends: dict[str, Any] = {"source": term.source, "target": self.layer.name}
        if term.source == self.input and self.entering.graded:
            ends["graded"] = True
        delay = term.delay_steps
        if isinstance(term.linear, Kernel) and self.weights == "8bit":
            y_first = {"stride": term.linear.stride, "padding": term.linear.padding, "dilation": term.linear.dilation}
            pairs: dict[str, Any] = {key: (pair[1], pair[0]) for key, pair in y_first.items()}
            weight = part.values.transpose(0, 3, 2, 1)
            groups, channels = term.linear.groups, self._per_channel(delay, source)
            return Conv(**ends, weight=weight, delay_steps=channels, groups=groups, **pairs)
        if isinstance(term.linear, Diagonal) and source == target and not np.ndim(delay):
            values = (
                part.values
                if np.ndim(part.values) == 0
                else graph_order(np.broadcast_to(part.values, source), source)
            )
            return OneToOne(**ends, weight=values, weight_exp=part.weight_exp, delay_steps=int(delay))
        if isinstance(term.linear, Matrix) and len(target) == 1:
            steps = int(delay) if not np.ndim(delay) else delay
            return Dense(**ends, weight=part.values, weight_exp=part.weight_exp, delay_steps=steps)
        rows, columns, values = self._entries(term.linear, part, source)
        steps = int(delay) if not np.ndim(delay) else delay[columns]
        return Sparse(
            **ends, rows=rows, columns=columns, values=values, weight_exp=part.weight_exp, delay_steps=steps
        )

    def _per_channel(self, delay: IntArray, source: Shape) -> int | IntArray:
        if not np.ndim(delay):
            return int(delay)
        places = delay.reshape(source[0], -1)
        if np.any(places != places[:, :1]):
            raise FileFormatError(
                f"layer {self.layer.name!r}: delays before a convolution must be equal within "
                f"each channel of {source}"
            )
        return places[:, 0]

    def _entries(self, linear: LinearMap, part: Rounded, source: Shape) -> tuple[IntArray, IntArray, IntArray]:
        if isinstance(linear, Kernel):
            self._check_entries(linear.weight[0].size * int(np.prod(self.layer.shape)), 4 * MAX_SPARSE)
            rows, columns, index = linear.taps(source)
            values = part.values.reshape(-1)[index]
        elif isinstance(linear, Diagonal):
            rows = columns = np.arange(int(np.prod(source)))
            values = np.broadcast_to(part.values, source).reshape(-1)
        else:
            rows, columns = (a.ravel() for a in np.indices(part.values.shape))
            values = part.values.ravel()
        used = values != 0
        self._check_entries(int(np.count_nonzero(used)), MAX_SPARSE)
        if not used.any():
            used[:1] = True
        return rows[used], columns[used], values[used]

    def _check_entries(self, count: int, most: int) -> None:
        if count > most:
            raise FileFormatError(
                f"layer {self.layer.name!r}: written out, it has {counted(count, 'weight')}, at most {most} are "
                "stored; weights='8bit' keeps convolutions as they are"
            )
