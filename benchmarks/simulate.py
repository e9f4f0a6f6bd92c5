"""Stock Lava against pumice's ways to run the same network, step by step in one run, outputs checked equal.

Compared: stock `netx.hdf5.Network` under Lava's runtime, pumice's graph as many Lava processes, the same graph as
one Lava process, the fast backend on one stream, and on a batch of streams. All take turns, round by round, so that a
busy machine slows all of them; a figure is the median of the rounds, a ratio the median of the rounds' ratios.
Start-up (compiling, starting processes) is left out for all of them.

    python benchmarks/simulate.py [--rounds 7] [--data DIR] [NETWORK ...]

NETWORKs: ntidigits and pilotnet_lif (from lava-dl's wheel), digits (from netx_exports), oxford (needs --data: a
folder with net/oxford.net and oxford.npz).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import lava_steps
import numpy as np

from pumice.backends.fast import FastBackend, Program, Simulator
from pumice.backends.fast.batch import simulate
from pumice.ir import Graph
from pumice.machine import available_cores

HERE = Path(__file__).parent
LAVA = ("stock", "many", "one")
WARM_UP_STEPS = 2


@dataclass
class Network:
    """A network, its input stream (T, *shape), and how many steps each form takes in a round."""

    name: str
    path: Path
    x: np.ndarray
    arguments: dict
    steps: dict[str, int]
    batch: int


def networks(data: Path | None) -> Iterator[Network]:
    """Those whose files are there."""
    wheel = next(Path(p).parent / "tests/lava/lib/dl/netx" for p in find_spec("lava").submodule_search_locations)
    if data is not None:
        with np.load(data / "oxford.npz") as z:
            x = np.zeros((1900, 200), int)
            x[z["input_t"] // 1000, z["input_id"]] = 1
        yield Network("oxford", data / "net/oxford.net", x, {}, {"stock": 200, "many": 200, "one": 500}, 32)
    folder = wheel / "gts/ntidigits"
    x = np.load(folder / "input.npy").T.astype(int)
    steps = {"stock": 10, "many": 10, "one": 200}
    yield Network("ntidigits", folder / "ntidigits.net", x, {"num_layers": 5}, steps, 16)
    folder = wheel / "gts/pilotnet_lif"
    x = np.repeat(np.load(folder / "image.npy")[None], 64, axis=0)
    arguments = {"reset_interval": 16, "num_layers": 10}  # without the last neuron, which never fires
    yield Network("pilotnet_lif", folder / "network.net", x, arguments, {"stock": 2, "many": 2, "one": 256}, 8)
    path = HERE.parent / "netx_exports/digits/network.net"
    x = np.random.default_rng(0).integers(0, 17, (512, 8, 8, 1))
    arguments = {"reset_interval": 8, "reset_offset": 1, "input_shape": [8, 8, 1], "input_message_bits": 8}
    yield Network("digits", path, x, arguments, {"stock": 20, "many": 20, "one": 200}, 64)


class OnLava:
    """A worker of `lava_steps.py`."""

    def __init__(self, network: Network, form: str, folder: Path, rounds: int) -> None:
        self._n = network.steps[form]
        total = WARM_UP_STEPS + rounds * self._n
        self.x = np.resize(network.x, (total, *network.x.shape[1:]))
        self._y_path = folder / f"{network.name}-{form}-y.npy"
        x_path = folder / f"{network.name}-{form}-x.npy"
        np.save(x_path, self.x)
        command = [sys.executable, HERE / "lava_steps.py", form, network.path, x_path, self._y_path]
        self._process = subprocess.Popen(
            [*map(str, command), json.dumps(network.arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._take(WARM_UP_STEPS)

    def seconds_per_step(self) -> float:
        return self._take(self._n) / self._n

    def outputs(self) -> np.ndarray:
        self._process.stdin.close()
        if self._process.wait():
            raise SystemExit(f"{self._process.args[2]} failed")
        return np.load(self._y_path)

    def _take(self, n: int) -> float:
        print(n, file=self._process.stdin, flush=True)
        for line in self._process.stdout:
            try:
                return float(line)
            except ValueError:
                continue  # lava-dl prints notices
        raise SystemExit(f"{' '.join(self._process.args[1:4])} ended")


class Fast:
    """The fast backend on `batch` streams: the network's own, each begun elsewhere."""

    def __init__(self, graph: Graph, network: Network) -> None:
        self._program = Program(graph)
        self._graph = graph
        self.single = network.x.astype(np.int32)[None]
        self.batch = np.stack([np.roll(network.x, 7 * i, axis=0) for i in range(network.batch)]).astype(np.int32)
        self._sent = np.zeros((*self.batch.shape[:2], graph.output.size), np.int8)
        self.seconds_per_step(self.batch)

    def seconds_per_step(self, x: np.ndarray) -> float:
        """Of one stream, if there are several: per step and stream. What leaves the network is copied out."""
        name = self._graph.outputs[0]

        def collect(samples: slice, start: int, stop: int, simulator: Simulator) -> None:
            self._sent[samples, start:stop] = simulator.sent(name).swapaxes(0, 1)

        began = time.perf_counter()
        simulate(self._program, x, collect)
        return (time.perf_counter() - began) / (x.shape[0] * x.shape[1])


def measure(network: Network, rounds: int, folder: Path) -> dict[str, np.ndarray]:
    """Seconds per step of each form in each round, after all outputs were found equal."""
    graph = lava_steps.graph(str(network.path), network.arguments, network.x)
    fast = Fast(graph, network)
    workers = {form: OnLava(network, form, folder, rounds) for form in LAVA}
    seconds: dict[str, list[float]] = {form: [] for form in (*LAVA, "fast, one stream", "fast, batch")}
    for _ in range(rounds):
        for form, worker in workers.items():
            seconds[form].append(worker.seconds_per_step())
        seconds["fast, one stream"].append(fast.seconds_per_step(fast.single))
        seconds["fast, batch"].append(fast.seconds_per_step(fast.batch))
    for form, worker in workers.items():
        found, expected = worker.outputs(), FastBackend().run(graph, worker.x).spikes
        differing = int(np.count_nonzero(found.reshape(expected.shape) != expected))
        if differing:
            raise SystemExit(f"{network.name}: {differing} of {expected.size} outputs of {form} differ from fast")
        print(
            f"{network.name}: {form} and fast send equal spikes in {len(found)} steps ({int(expected.sum())} spikes)"
        )
    batch = FastBackend().run_batch(graph, fast.batch).spikes
    for i in (0, len(batch) - 1):
        if not np.array_equal(batch[i], FastBackend().run(graph, fast.batch[i]).spikes):
            raise SystemExit(f"{network.name}: stream {i} of the batch differs from a run of its own")
    return {form: np.array(values) for form, values in seconds.items()}


def show(network: Network, seconds: dict[str, np.ndarray]) -> float:
    """Print a table; returns stock's time over that of the fast batch."""
    print(f"\n{network.name} (batch of {network.batch} streams of {len(network.x)} steps)")
    print(f"  {'':20} {'ms per step: median':>20} [lowest .. highest]   {'stock / this':>12} [lowest .. highest]")
    for form, values in seconds.items():
        ms, ratio = 1e3 * values, seconds["stock"] / values
        print(
            f"  {form:20} {np.median(ms):20.4f} [{ms.min():.4f} .. {ms.max():.4f}]   "
            f"{np.median(ratio):12.1f} [{ratio.min():.1f} .. {ratio.max():.1f}]"
        )
    return float(np.median(seconds["stock"] / seconds["fast, batch"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", metavar="NETWORK")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--data", type=Path)
    options = parser.parse_args()
    load = os.getloadavg()[0]
    print(f"{platform.processor() or platform.machine()}, {available_cores()} cores, load {load:.1f} at the start")
    ratios = {}
    with tempfile.TemporaryDirectory() as folder:
        for network in networks(options.data):
            if not options.networks or network.name in options.networks:
                ratios[network.name] = show(network, measure(network, options.rounds, Path(folder)))
    names = [name for name in ("oxford", "ntidigits", "pilotnet_lif") if name in ratios]
    if names:
        mean = np.exp(np.mean([np.log(ratios[name]) for name in names]))
        print(f"\ngeometric mean of stock / fast batch over {', '.join(names)}: {mean:.0f}")


if __name__ == "__main__":
    main()
