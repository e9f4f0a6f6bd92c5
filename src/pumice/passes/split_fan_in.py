"""Sum what no core can read at once in parts: relays between a population and its many inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain, count
from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.fixedpoint.formats import STATE_LIMIT
from pumice.ir import Conv, Dense, Graph, Population, Sparse, Synapse, check_known, flatten_whc, latencies
from pumice.ir.relays import value_relay
from pumice.passes.balance_latency import balance_latency
from pumice.passes.base import PassResult, check_unscheduled
from pumice.passes.current_bounds import current_bounds

IntArray = npt.NDArray[np.integer[Any]]
Cores = Callable[[Graph, str], "int | None"]
"""How many cores of a chip a population of a graph takes; None if it fits none, however it is cut."""


def split_fan_in(graph: Graph, cores: Cores | None) -> PassResult:
    r"""Let relays sum the inputs of a population that has more of them than a core can read.

    A core of a chip keeps an entry for each source neuron of a dense synapse, whatever share of the targets lies on
    it, so a population with many inputs fits no core. Its dense synapses, the largest first, until the rest fits and
    as long as that saves cores, each get a population of relays that add up parts of the sum and send these in the
    same step:

    .. math:: \sum_{j} w_{ij} s_j = \sum_{p} \Bigl( \sum_{j \in p} w_{ij} s_j \Bigr)

    A part of a dense synapse is all of it; or single weights from a share of the sources; or, of an image, what a
    convolution can sum, whose weights a core keeps once and without a place beside each: if the weights are the same
    for all tiles of the image (a mean of tokens), one sum for each tile; else, or also, one for each group of
    channels. Of these ways the one with the fewest cores is taken, and of those the one with the fewest sums. A
    population that fits no core afterwards, either, is left alone.

    Preserves every other population's spikes and states: a sum of integers does not depend on where it is computed.
    Whatever depends on the population comes one step later; `balance_latency` comes next, and delays the sums, not
    what is summed.

    Args:
        graph: Without a schedule.
        cores: Of which chip; None: of none, and nothing is changed.

    Returns:
        The graph with relays. Running the pass again changes nothing.

    Raises:
        GraphError: The graph is scheduled, or a kind of population or synapse is not known.

    Example:
        >>> from pumice.ir.builder import chain
        >>> graph = chain((4,), [3, 2], seed=0)
        >>> def cores(graph, name):  # of a chip on which nothing but relays can read the input
        ...     by_input = any(s.source == "input" for s in graph.into(name))
        ...     return None if by_input and not name.endswith("part") else 1
        >>> made = split_fan_in(graph, cores).graph
        >>> [p.name for p in made.populations], made.latency
        (['input_dense0_part', 'dense0', 'dense1'], 3)
    """
    check_known(graph)
    check_unscheduled(graph)
    if cores is None:
        return PassResult(graph, False)
    changed = graph
    for p in graph.populations:
        if len(p.shape) == 1 and cores(changed, p.name) is None:
            changed = _split(changed, p.name, cores) or changed
    return PassResult(changed, changed is not graph)


def _split(graph: Graph, name: str, cores: Cores) -> Graph | None:
    """The graph in which a population has parts; None if it fits no core with them, either."""
    later = _not_before(graph, name)
    dense = [s for s in graph.into(name) if isinstance(s, (Dense, Sparse)) and s.source not in later]
    for s in sorted(dense, key=lambda s: -int(np.prod(graph.shape_of(s.source)))):
        before = cores(graph, name)
        found = min(_placed(graph, s, cores), key=lambda way: way[:3], default=None)
        if found is None:
            continue
        none_yet, n, _, made = found
        if before is None or (not none_yet and n < before):
            graph = made
    return graph if cores(graph, name) is not None else None


def _placed(graph: Graph, s: Synapse, cores: Cores) -> Iterator[tuple[bool, int, int, Graph]]:
    """Each way that is exact and fits, one at a time, because they may be large.

    Yields:
        Whether the target still fits no core; cores of the relays and of the target; how many sums; the graph.
    """
    loops = _loop_steps(graph)
    for shape, first in _ways(graph, s):
        part, made = _with_part(graph, s, shape, first)
        n = cores(made, part) if _is_exact(made, part) and _loop_steps(made) == loops else None
        if n is not None:
            target = cores(made, s.target)
            yield target is None, n + (target or 0), int(np.prod(shape)), made


def _loop_steps(graph: Graph) -> list[int]:
    """By how much each synapse against the order leads back, once latencies are balanced: that is a loop's length."""
    place = {p.name: k for k, p in enumerate(graph.populations)}
    back = [s for s in graph.synapses if place.get(s.source, -1) > place[s.target]]
    steps = latencies(balance_latency(graph).graph) if back else {}
    return [steps.get(s.source, 0) - steps.get(s.target, 0) for s in back]


def _not_before(graph: Graph, name: str) -> set[str]:
    """What depends on a population or comes later in the order: the way back from there must not get longer."""
    names = [p.name for p in graph.populations]
    found, waiting = set(names[names.index(name) :]), [name]
    while waiting:
        targets = {s.target for s in graph.out_of(waiting.pop())} - found
        found |= targets
        waiting += targets
    return found


def _ways(graph: Graph, s: Synapse) -> Iterator[tuple[tuple[int, ...], Synapse]]:
    """Shapes of the population of relays, each with the synapse into it; its target is not named yet."""
    source, (n,) = graph.ends_of(s)
    whole = replace(s, target="", target_channels=None, part="real", balance_steps=0)
    yield (n,), replace(whole, weight_exp=0) if s.shift_bits else whole  # type: ignore[call-arg]
    if not isinstance(s, Dense) or s.max_delay_steps:
        return
    if len(source) == 3:
        kernel = _as_kernel(s.weight, source)
        for tile in dict.fromkeys([_tile(kernel), source[:2]]):
            for groups in _halvings(source[2]):
                parts = np.split(kernel[:, : tile[0], : tile[1]], groups, axis=3)
                conv = Conv(s.source, "", s.graded, weight=np.concatenate(parts), stride=tile, groups=groups)
                yield (source[0] // tile[0], source[1] // tile[1], groups * n), conv
        return
    for groups in (2, 4, 8, 16):
        place = np.arange(s.weight.shape[1]) * groups // s.weight.shape[1] * n + np.arange(n)[:, None]
        rows, columns, values = place, np.broadcast_to(np.arange(s.weight.shape[1]), place.shape), s.weight
        single = Sparse(s.source, "", s.graded, rows=rows.ravel(), columns=columns.ravel(), values=values.ravel())
        yield (groups * n,), single.without_zeros()


def _halvings(channels: int) -> Iterator[int]:
    """Into how many groups channels can be halved, and halved again."""
    return (1 << i for i in range(channels.bit_length()) if channels % (1 << i) == 0)


def _as_kernel(weight: IntArray, source: tuple[int, ...]) -> IntArray:
    """A dense synapse's matrix as the kernel of a convolution over the whole image."""
    kernel = np.empty_like(weight)
    kernel[:, flatten_whc(np.arange(weight.shape[1]).reshape(source))] = weight
    return kernel.reshape(len(weight), *source)


def _tile(kernel: IntArray) -> tuple[int, int]:
    """Columns and rows after which the weights repeat, to the image's end."""
    return _period(kernel, 1), _period(kernel, 2)


def _period(kernel: IntArray, axis: int) -> int:
    n = kernel.shape[axis]
    moved = np.moveaxis(kernel, axis, 0)
    return next(d for d in range(1, n + 1) if n % d == 0 and np.array_equal(moved[d:], moved[: n - d]))


def _with_part(graph: Graph, s: Synapse, shape: tuple[int, ...], first: Synapse) -> tuple[str, Graph]:
    name = _free_name(graph, f"{s.source}_{s.target}_part")
    (n,) = graph.ends_of(s)[1]
    sums = np.arange(int(np.prod(shape)))
    total = Sparse(
        name,
        s.target,
        graded=True,
        rows=sums // int(np.prod(shape[:-1])) % n,  # of an image, all sums of a channel come together
        columns=sums,
        values=np.ones_like(sums),
        weight_exp=s.shift_bits,
        balance_steps=s.balance_steps,
        target_channels=s.target_channels,
        part=s.part,
    )
    synapses = [one for one in graph.synapses if one is not s]
    place = next(i for i, p in enumerate(graph.populations) if p.name == s.target)
    populations: tuple[Population, ...] = (
        *graph.populations[:place],
        value_relay(name, shape),
        *graph.populations[place:],
    )
    return name, graph.replace(populations=populations, synapses=(*synapses, replace(first, target=name), total))


def _free_name(graph: Graph, name: str) -> str:
    taken = graph.names
    return next(n for n in chain([name], (f"{name}{i}" for i in count(2))) if n not in taken)


def _is_exact(graph: Graph, part: str) -> bool:
    """Whether no sum of a part leaves the 24 bits in which a convolution sums and a chip sends."""
    low, high = current_bounds(graph, part)
    return bool(np.min(low) >= -STATE_LIMIT and np.max(high) < STATE_LIMIT)
