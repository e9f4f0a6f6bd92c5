"""Synapses -> delays and linear nodes of NIR, whose weights are the integers as floats."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pumice.errors import GraphError
from pumice.ir import Conv, Direct, Entries, OneToOne, Synapse, flatten_whc
from pumice.nir.drawing import Drawing, FloatArray, Shape, nir_order, nir_shape
from pumice.nir.maps import MAX_MATRIX

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Ends:
    """What a synapse joins.

    Attributes:
        source: Node that sends.
        target: Node at which it arrives.
        source_shape: The graph's.
        target_shape: The graph's, of the whole population.
        source_flat: Whether the source is drawn as one dimension.
        target_flat: Whether the target is.
        unit: The source's value, in the graph's integers, for 1 of its node.
        extra_steps: Delay beside the trained one.
    """

    source: str
    target: str
    source_shape: Shape
    target_shape: Shape
    source_flat: bool
    target_flat: bool
    unit: int = 1
    extra_steps: int = 0

    @property
    def image(self) -> bool:
        """Whether it leads from an image to one."""
        return not (self.source_flat or self.target_flat)


def needs_matrix(s: Synapse) -> bool:
    """Whether NIR has it as a matrix only, which ends in one dimension."""
    return not isinstance(s, (Conv, OneToOne, Direct))


def carries_bias(s: Synapse, ends: Ends) -> bool:
    """Whether its node has room for a bias: of each channel of an image, of each neuron otherwise."""
    if ends.image:
        return isinstance(s, Conv) and _pool_weight(s, ends) is None
    return ends.target_flat and not isinstance(s, (OneToOne, Direct))


def draw_synapse(drawing: Drawing, s: Synapse, ends: Ends, bias: FloatArray | None) -> None:
    """Draw one synapse.

    Args:
        drawing: Gets the nodes.
        s: The synapse.
        ends: What it joins.
        bias: Of each channel (image) or neuron, if this synapse's node carries it.

    Raises:
        GraphError: Its matrix would be too large.
    """
    name = f"{s.source}_{s.target}"
    if ends.image or (isinstance(s, (OneToOne, Direct)) and s.target_channels is None):
        source = _delay(drawing, ends, name, _channel_delays(s, ends))
        if ends.target_flat and not ends.source_flat:
            source = _flatten(drawing, ends, name, source)
        for kind, fields in _image_nodes(s, ends, bias):
            source = drawing.add(source, name, kind, **fields)
        if drawing.connected(source, ends.target):
            source = drawing.add(source, name, "Scale", scale=np.ones(nir_shape(ends.target_shape, ends.target_flat)))
        drawing.connect(source, ends.target)
        return
    for delays, weight in _matrices(s, ends):
        source = _delay(drawing, ends, name, delays)
        if not ends.source_flat:
            source = _flatten(drawing, ends, name, source)
        more = {} if bias is None else {"bias": bias}
        source = drawing.add(source, name, "Linear" if bias is None else "Affine", weight=weight * ends.unit, **more)
        drawing.connect(source, ends.target)
        bias = None


def constant_of(s: Synapse, ends: Ends, on: IntArray) -> FloatArray:
    """What a synapse adds in each step, in NIR's order, if those of its entries act whose number is in `on`."""
    found = s.entries(ends.source_shape, _receiving(s, ends))
    total = np.zeros(int(np.prod(ends.target_shape)))
    np.add.at(total, _whole_rows(s, ends, found)[on], (found.values << s.shift_bits)[on])
    return nir_order(total.reshape(ends.target_shape), ends.target_shape, ends.target_flat)


def _delay(drawing: Drawing, ends: Ends, name: str, steps: IntArray) -> str:
    if not np.any(steps):
        return ends.source
    whole = nir_order(steps, ends.source_shape, ends.source_flat)
    return drawing.add(ends.source, f"{name}_delay", "Delay", delay=whole * drawing.dt)


def _flatten(drawing: Drawing, ends: Ends, name: str, source: str) -> str:
    shape = np.array(nir_shape(ends.source_shape, flat=False))
    return drawing.add(source, f"{name}_flatten", "Flatten", start_dim=0, end_dim=-1, input_type=shape)


def _channel_delays(s: Synapse, ends: Ends) -> IntArray:
    return np.asarray(getattr(s, "delay_steps", 0)) + ends.extra_steps


def _image_nodes(s: Synapse, ends: Ends, bias: FloatArray | None) -> Iterator[tuple[str, dict[str, object]]]:
    """Nodes of a synapse that has more of them than a matrix, one after the other."""
    flat = ends.target_flat
    if isinstance(s, OneToOne):
        yield "Scale", {"scale": nir_order(s.weight, ends.source_shape, flat) * (ends.unit << s.weight_exp)}
    elif isinstance(s, Conv):
        pool = _pool_weight(s, ends)
        geometry = {"stride": np.array(s.stride[::-1]), "padding": np.array(s.padding[::-1])}
        if pool is not None:
            yield "SumPool2d", {"kernel_size": np.array(s.weight.shape[2:0:-1]), **geometry}
            if pool != 1:
                yield "Scale", {"scale": np.full(nir_shape(ends.target_shape, flat=False), float(pool))}
            return
        weight, groups = _whole_kernel(s, ends)
        yield (
            "Conv2d",
            {
                "input_shape": np.array(ends.source_shape[1::-1]),
                "weight": weight.transpose(0, 3, 2, 1) * float(ends.unit),
                **geometry,
                "dilation": np.array(s.dilation[::-1]),
                "groups": groups,
                "bias": np.zeros(len(weight)) if bias is None else bias,
            },
        )
        return
    if s.target_channels is not None:  # one to one, or direct, into some channels: a kernel of one pixel places them
        first, stop = s.target_channels
        weight = np.zeros((ends.target_shape[-1], ends.source_shape[-1], 1, 1))
        weight[range(first, stop), range(stop - first)] = 1
        pair = np.ones(2, np.int64)
        size = np.array(ends.source_shape[1::-1])
        fields = {"input_shape": size, "weight": weight, "stride": pair, "padding": 0 * pair, "dilation": pair}
        yield "Conv2d", {**fields, "groups": 1, "bias": np.zeros(len(weight))}


def _pool_weight(s: Conv, ends: Ends) -> int | None:
    """The weight of a sum over windows, each channel to itself; None if it is no such convolution."""
    own = s.groups == len(s.weight) == ends.source_shape[-1] and s.target_channels is None
    # Simulators refuse windows that may lie in the padding alone.
    own = own and all(2 * p <= k for p, k in zip(s.padding, s.weight.shape[1:3], strict=True))
    if own and s.dilation == (1, 1) and s.weight[0, 0, 0, 0] and np.all(s.weight == s.weight[0, 0, 0, 0]):
        return int(s.weight[0, 0, 0, 0]) * ends.unit
    return None


def _whole_kernel(s: Conv, ends: Ends) -> tuple[npt.NDArray[np.float64], int]:
    """The kernel for all channels of the target, and its groups."""
    weight = np.asarray(s.weight, np.float64)
    if s.target_channels is None:
        return weight, s.groups
    first = s.target_channels[0]
    whole = np.zeros((ends.target_shape[-1], *weight.shape[1:3], ends.source_shape[-1]))
    rows, columns = len(weight) // s.groups, weight.shape[3]
    for group in range(s.groups):
        to, of = (
            slice(first + group * rows, first + (group + 1) * rows),
            slice(group * columns, (group + 1) * columns),
        )
        whole[to, :, :, of] = weight[group * rows : (group + 1) * rows]
    return whole, 1


def _receiving(s: Synapse, ends: Ends) -> Shape:
    first, stop = s.target_channels or (0, ends.target_shape[-1])
    return (*ends.target_shape[:-1], stop - first)


def _whole_rows(s: Synapse, ends: Ends, found: Entries) -> IntArray:
    """Targets, counted in C order of the whole population."""
    first, stop = s.target_channels or (0, ends.target_shape[-1])
    places = np.arange(int(np.prod(ends.target_shape))).reshape(ends.target_shape)
    rows: IntArray = places[..., first:stop].reshape(-1)[found.rows]
    return rows


def _matrices(s: Synapse, ends: Ends) -> Iterator[tuple[IntArray, FloatArray]]:
    """Delays of the source, in its shape, and the matrix behind them; one for each delay that single weights have."""
    n_target, n_source = int(np.prod(ends.target_shape)), int(np.prod(ends.source_shape))
    if n_target * n_source > MAX_MATRIX:
        raise GraphError(
            f"synapse {s.source} -> {s.target}: NIR has a {type(s).__name__} between these ends as a matrix only "
            f"(and no image can be made of one dimension again), of {n_target} x {n_source} weights; at most "
            f"{MAX_MATRIX} are written: keep this network in its .net file"
        )
    found = s.entries(ends.source_shape, _receiving(s, ends))
    rows = _places(ends.target_shape)[_whole_rows(s, ends, found)]
    columns = _places(ends.source_shape)[found.columns]
    values = found.values.astype(np.float64) * (1 << s.shift_bits)
    delays = found.delay_steps + ends.extra_steps
    own = np.full(n_source, delays[0] if len(delays) and np.all(delays == delays[0]) else 0)
    own[found.columns] = delays
    whole = np.array_equal(own[found.columns], delays)
    for steps in [None] if whole else np.unique(delays).tolist():
        now = slice(None) if steps is None else delays == steps
        weight = np.zeros((n_target, n_source))
        np.add.at(weight, (rows[now], columns[now]), values[now])
        yield (own.reshape(ends.source_shape) if steps is None else np.full(ends.source_shape, steps)), weight


def _places(shape: Shape) -> IntArray:
    """C order -> NIR's."""
    places = np.empty(int(np.prod(shape)), np.int64)
    places[flatten_whc(np.arange(places.size).reshape(shape))] = np.arange(places.size)
    return places
