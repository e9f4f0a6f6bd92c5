"""How near the fast backend is to what a network must cost at least: its additions and its neurons' updates.

    python benchmarks/limits.py [--rounds 5] [--samples 2] [NETWORK ...]

A NETWORK is pilotnet_lif, ntidigits or digits as in `simulate.py`, or a file FILE.net:X.npz, with arrays as of
`pumice evaluate --data`. Counted are the synaptic additions that events cause (each event once for every non-zero
weight that it meets; what multiplies whole frames counts alike) and the updates of neurons. The limit is a plain
compiled loop that does just so many of each and nothing else: rows of `ROW` weights added to a row that stays in
the cache, and leaky integrators over arrays of the populations' mean size. Both take turns with the simulation, on
one thread, in seconds of the processor; ratios are medians of the rounds' own. Then the simulation's time by kind of
link.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import simulate as networks_of
from lava_steps import graph as graph_of

import pumice
from pumice.backends.counting import Wanted
from pumice.backends.fast import Program, Simulator
from pumice.backends.fast.batch import simulate
from pumice.backends.fast.links import Link
from pumice.ir import Graph
from pumice.jit import njit

ROW, ROWS = 128, 1024

Array = np.ndarray[Any, Any]


@njit(nogil=True, cache=True)
def add(total: Array, weights: Array, additions: int) -> None:
    """So many additions, row by row."""
    row = np.uintp(0)
    for _ in range(additions // ROW):
        for i in range(np.uintp(ROW)):
            total[i] += weights[row + i]
        row = (row + np.uintp(7 * ROW)) % np.uintp(weights.size)


@njit(nogil=True, cache=True)
def update(u: Array, v: Array, sums: Array, sent: Array, updates: int) -> None:
    """So many updates of leaky integrate-and-fire neurons."""
    for _ in range(updates // u.size):
        for i in range(u.size):
            current = np.int32((np.int64(u[i]) * 3072) >> 12) + (sums[i] << 6)
            voltage = np.int32((np.int64(v[i]) * 3968) >> 12) + current
            fires = voltage > 1 << 20
            sent[i] = fires
            u[i], v[i] = current, 0 if fires else voltage


def named(names: list[str], samples: int) -> Iterator[tuple[str, Graph, Array]]:
    """Name, graph and streams (n, steps, *input shape)."""
    for name in names:
        path, _, data = name.partition(":")
        if data:
            graph = pumice.load(path)
            with np.load(data) as arrays:
                own = arrays["x"][:samples].astype(np.int32)
            steps = Wanted.of(graph, graph.timing).n_steps if graph.timing is not None else own.shape[1]
            x = np.zeros((len(own), steps, *own.shape[2:]), np.int32)
            x[:, : own.shape[1]] = own
            yield Path(path).stem, graph, x
    for network in networks_of.networks(None):
        if network.name in names:
            graph = graph_of(str(network.path), network.arguments, network.x)
            x = np.stack([np.roll(network.x, 7 * i, axis=0) for i in range(samples)]).astype(np.int32)
            yield network.name, graph, x


def counts(program: Program, x: Array) -> tuple[int, int]:
    """Additions, and updates of neurons, of these streams."""
    graph, additions = program.graph, 0
    fan_out = [(s, s.fan_out(*graph.ends_of(s))) for s in graph.synapses]

    def collect(samples: slice, start: int, stop: int, simulator: Simulator) -> None:
        nonlocal additions
        for s, per_neuron in fan_out:
            additions += int(np.count_nonzero(simulator.sent(s.source), axis=(0, 1)) @ per_neuron)

    simulate(program, x, collect, threads=1)
    return additions, x.shape[0] * x.shape[1] * sum(p.size for p in graph.populations)


class LinkTimes:
    """Seconds of the processor that links take, by kind, while it is entered."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._add = Link.add

    def __enter__(self) -> dict[str, float]:
        plain, seconds = self._add, self.seconds

        def timed(link: Link, *args: Any) -> None:
            began = time.thread_time()
            plain(link, *args)
            seconds[type(link).__name__] += time.thread_time() - began

        Link.add = timed  # type: ignore[method-assign]
        return self.seconds

    def __exit__(self, *_: object) -> None:
        Link.add = self._add  # type: ignore[method-assign]


def measure(name: str, graph: Graph, x: Array, rounds: int) -> None:
    """Print the table of one network."""
    program = Program(graph)
    additions, updates = counts(program, x)
    steps = x.shape[0] * x.shape[1]
    total, weights = np.zeros(ROW, np.int32), np.ones(ROW * ROWS, np.int16)
    size = sum(p.size for p in graph.populations) // len(graph.populations)
    u, v, sums, sent = (np.ones(size, kind) for kind in (np.int32, np.int32, np.int32, np.int8))
    add(total, weights, ROW), update(u, v, sums, sent, size)
    found: dict[str, list[float]] = {"simulation": [], "additions": [], "updates": []}
    calls = {
        "simulation": lambda: simulate(program, x, lambda *_: None, threads=1),
        "additions": lambda: add(total, weights, additions),
        "updates": lambda: update(u, v, sums, sent, updates),
    }
    for _ in range(rounds):
        for what, call in calls.items():
            began = time.thread_time()
            call()
            found[what].append(time.thread_time() - began)
    ratio = statistics.median(
        s / (a + b) for s, a, b in zip(found["simulation"], found["additions"], found["updates"], strict=True)
    )
    middle = {what: statistics.median(values) for what, values in found.items()}
    print(f"{name}: {len(x)} streams, {additions / steps:,.0f} additions and {updates / steps:,.0f} updates a step")
    for what, seconds in middle.items():
        print(f"  {what:12} {1e3 * seconds / steps:9.4f} ms a step, {1e3 * seconds / len(x):9.2f} ms a stream")
    print(
        f"  plain loops: {additions / middle['additions'] / 1e9:.2f} G additions/s, "
        f"{updates / middle['updates'] / 1e9:.2f} G updates/s; the simulation takes {ratio:.2f} times their time"
    )
    with LinkTimes() as seconds_of:
        began = time.thread_time()
        simulate(program, x, lambda *_: None, threads=1)
        whole = time.thread_time() - began
    rest = whole - sum(seconds_of.values())
    for kind, seconds in sorted({**seconds_of, "neurons and the rest": rest}.items(), key=lambda item: -item[1]):
        print(f"    {kind:22} {seconds / whole:6.1%}")


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", metavar="NETWORK", default=["pilotnet_lif"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--samples", type=int, default=2, help="streams of each network")
    options = parser.parse_args()
    for name, graph, x in named(options.networks, options.samples):
        measure(name, graph, x, options.rounds)


if __name__ == "__main__":
    main()
