"""Graph -> stock chain of layers, written as lava-dl writes it; or the reason why stock netx could not run it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import h5py
import numpy as np
import numpy.typing as npt

from pumice.ir import Conv, Cuba, Dense, Direct, Graph, Synapse, with_reset_schedule
from pumice.netx.stock import stock_weights

Int64Array = npt.NDArray[np.int64]


class Link(NamedTuple):
    """One population of a chain and what feeds it."""

    population: Cuba
    forward: Synapse
    recurrent: Dense | None


def chain_links(graph: Graph) -> list[Link] | str:
    """The graph as a chain that stock netx runs with equal output, or why it is none.

    Args:
        graph: A verified graph.
    """
    links: list[Link] = []
    source = graph.input.name
    for population in graph.populations:
        forward = [s for s in graph.into(population.name) if s.source == source]
        recurrent = [s for s in graph.into(population.name) if s.is_recurrent]
        if len(forward) != 1 or len(recurrent) > 1 or len([*graph.into(population.name)]) > 1 + len(recurrent):
            return f"population {population.name}: not fed by its predecessor alone"
        if not isinstance(population, Cuba):
            return (
                f"population {population.name}: neurons of kind {type(population).__name__} have the graph form only"
            )
        rec = recurrent[0] if recurrent else None
        if rec is not None and not isinstance(rec, Dense):
            return f"population {population.name}: its recurrence is not dense"
        links.append(Link(population, forward[0], rec))
        source = population.name
    if graph.outputs != (source,):
        return "the output is not the last population alone"
    for position, link in enumerate(links):
        for problem in _problems(link, first=position == 0):
            return f"population {link.population.name}: {problem}"
    return _reset_problem(graph) or links


def _problems(link: Link, *, first: bool) -> Iterator[str]:
    population, forward, rec = link
    biased = bool(np.any(population.bias_mant))
    if biased and population.bias_exp != 6:
        yield "its bias exponent is not 6"
    if any(s is not None and (s.balance_steps or s.target_channels is not None) for s in (forward, rec)):
        yield "a synapse into it has balance steps or feeds part of its channels"
    if forward.graded and not first:
        yield "only the input can be graded"
    if isinstance(forward, Direct):
        if not forward.graded or biased or rec is not None:
            yield "neurons fed directly must take the input's values, without bias or recurrence"
    elif isinstance(forward, Conv):
        yield from _conv_problems(forward, rec)
    elif isinstance(forward, Dense):
        yield from _dense_problems(forward, rec)
    else:
        yield f"there is no layer type for {type(forward).__name__}"


def _conv_problems(forward: Conv, rec: Dense | None) -> Iterator[str]:
    if forward.max_delay_steps:
        yield "a convolution has delays"
    if rec is not None:
        yield "a convolution cannot be recurrent"
    if forward.weight.min() < -256 or forward.weight.max() > 255:
        yield "its weights do not fit 8 bits"


def _dense_problems(forward: Dense, rec: Dense | None) -> Iterator[str]:
    if forward.weight_exp or (rec is not None and (rec.weight_exp or rec.graded)):
        yield "it has a weight exponent or graded recurrence"
    if rec is not None and (rec.max_delay_steps or forward.max_delay_steps):
        yield "it has delays and is recurrent"
    parts = [s.weight.astype(np.int64) for s in (forward, rec) if s is not None]
    if not any(w.any() for w in parts):
        yield "all its weights are zero (stock netx crashes)"
    acting = stock_weights(*parts)
    if acting is None or not all(np.array_equal(a, b) for a, b in zip(acting, parts, strict=True)):
        yield "stock netx would change its weights"


def _reset_problem(graph: Graph) -> str | None:
    """Stock netx takes resets as arguments: one interval, each layer one step after the one before."""
    resets = [p.reset for p in graph.populations]
    first = resets[0]
    if all(reset is None for reset in resets):
        return None
    if first is not None:
        latency = 0 if any(isinstance(s, Direct) for s in graph.synapses) else 1
        staggered = with_reset_schedule(graph, first.interval, (first.offset - latency) % first.interval)
        if all(
            a.reset is not None
            and b.reset is not None
            and (a.reset.interval, a.reset.offset % a.reset.interval) == (b.reset.interval, b.reset.offset)
            for a, b in zip(graph.populations, staggered.populations, strict=True)
        ):
            return None
    return "the resets are not staggered by one step from each population to the next"


def write_chain(root: h5py.Group, graph: Graph, links: list[Link]) -> None:
    """Write /layer.

    Args:
        root: The file.
        graph: What is written.
        links: Its chain.
    """
    groups = root.create_group("layer")
    direct = isinstance(links[0].forward, Direct)
    _write_input(groups.create_group("0"), graph, links[0].population if direct else None)
    shape, index = graph.input.shape, 1
    for link in links[direct:]:
        if isinstance(link.forward, Dense) and len(shape) == 3:
            flatten = groups.create_group(str(index))
            _put_type(flatten, "flatten")
            _put_ints(flatten, "shape", (int(np.prod(shape)), 1, 1))
            index += 1
        group = groups.create_group(str(index))
        if isinstance(link.forward, Dense):
            _write_dense(group, link, link.forward)
        elif isinstance(link.forward, Conv):
            _write_conv(group, link.population, link.forward)
        shape, index = link.population.shape, index + 1


def _write_input(group: h5py.Group, graph: Graph, neurons: Cuba | None) -> None:
    _put_type(group, "input")
    _put_ints(group, "shape", graph.input.shape[::-1])
    if neurons is not None:
        for key in ("weight", "bias"):
            try:
                value = float(graph.info.get(f"netx_input_{key}", "nan"))
            except ValueError:
                continue
            if abs(value) <= np.finfo(np.float32).max:
                group.create_dataset(key, data=np.array([value], np.float32))
        _write_neuron(group, neurons)


def _write_dense(group: h5py.Group, link: Link, forward: Dense) -> None:
    n_out, n_in = forward.weight.shape
    _put_type(group, "dense" if link.recurrent is None else "dense_rec")
    _put_ints(group, "shape", (n_out,))
    _put_ints(group, "inFeatures", n_in)
    _put_ints(group, "outFeatures", n_out)
    _put_floats(group, "weight", forward.weight)
    if link.recurrent is not None:
        _put_floats(group, "weight_rec", link.recurrent.weight)
    biased = bool(np.any(link.population.bias_mant))
    if biased:
        _put_floats(group, "bias", np.broadcast_to(link.population.bias_mant, (n_out,)))
    if forward.max_delay_steps:
        delays = np.broadcast_to(forward.delay_steps, (n_out, n_in))
        by_row = bool(np.all(delays == delays[:, :1]))
        # One delay per neuron means its outputs; that is the same as its inputs only without bias.
        _put_floats(group, "delay", delays[:, 0] if by_row and not biased else delays)
    _write_neuron(group, link.population)


def _write_conv(group: h5py.Group, population: Cuba, conv: Conv) -> None:
    out, kernel_x, kernel_y, in_per_group = conv.weight.shape
    _put_type(group, "conv")
    _put_ints(group, "shape", population.shape[::-1])
    _put_ints(group, "inChannels", in_per_group * conv.groups)
    _put_ints(group, "outChannels", out)
    _put_ints(group, "kernelSize", (kernel_y, kernel_x))
    for name in ("stride", "padding", "dilation"):
        _put_ints(group, name, getattr(conv, name)[::-1])
    _put_ints(group, "groups", conv.groups)
    _put_floats(group, "weight", conv.weight.transpose(0, 3, 2, 1))
    if np.any(population.bias_mant):
        bias = np.broadcast_to(population.bias_mant, population.shape)
        _put_floats(group, "bias", bias[0, 0] if np.all(bias == bias[:1, :1]) else bias)
    _write_neuron(group, population)


def _write_neuron(group: h5py.Group, population: Cuba) -> None:
    neuron = group.create_group("neuron")
    neuron.create_dataset("type", data="CUBA")
    _put_ints(neuron, "iDecay", population.i_decay_q12)
    _put_ints(neuron, "vDecay", population.v_decay_q12)
    _put_ints(neuron, "vThMant", population.vth_mant)
    _put_ints(neuron, "refDelay", 1)
    neuron.create_dataset("gradedSpike", data=False)


def _put_type(group: h5py.Group, kind: str) -> None:
    group.create_dataset("type", (1,), "S10", np.array([kind.encode()]))


def _put_ints(group: h5py.Group, name: str, values: Any) -> None:
    group.create_dataset(name, data=np.array(values, np.int64))


def _put_floats(group: h5py.Group, name: str, values: npt.NDArray[Any]) -> None:
    group.create_dataset(name, data=np.ascontiguousarray(values, np.float32))
