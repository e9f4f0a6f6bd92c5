"""How the fast backend's time and memory grow, on networks of random weights whose firing rates are set.

Time against steps, batch, width and firing rate, each with the slope of the log-log line: 1 is proportional. For
width and rate the line is over synaptic events: spikes times the weights that each meets. Memory against steps: the
peak of a process that streams from a generator.

    python benchmarks/growth.py
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from pumice.backends.fast import Program, Simulator
from pumice.backends.fast.batch import simulate
from pumice.ir import Cuba, Dense, Graph, Input

REPEATS = 5
MEMORY_CHUNK = 256


def network(width: int, seed: int = 0) -> Graph:
    """Input, one hidden layer of the same width: spikes in are set, so the events into it are, too."""
    rng = np.random.default_rng(seed)
    weight = 2 * rng.integers(-60, 61, (width, width))
    hidden = Cuba("hidden", (width,), vth_mant=2**16, v_decay_q12=400)
    return Graph(Input("input", (width,)), (hidden,), (Dense("input", "hidden", weight=weight),), ("hidden",))


def spikes(batch: int, steps: int, width: int, rate: float) -> np.ndarray:
    return (np.random.default_rng(1).random((batch, steps, width)) < rate).astype(np.int8)


def seconds(graph: Graph, x: np.ndarray) -> float:
    """Median over a few runs on one thread, compiled before."""
    program = Program(graph)
    simulate(program, x[:1, :2], lambda *_: None, threads=1)
    found = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        simulate(program, x, lambda *_: None, threads=1)
        found.append(time.perf_counter() - began)
    return statistics.median(found)


def table(title: str, values: list[float], measure: Callable[[float], tuple[float, float]]) -> None:
    """Measure at each value: (x of the log-log line, seconds)."""
    points = [measure(value) for value in values]
    slope = np.polyfit(*np.log(np.array(points)).T, 1)[0]
    print(f"\n{title}: slope {slope:.2f}")
    for value, (x, y) in zip(values, points, strict=True):
        print(f"  {value:>10g}  {x:>14.0f}  {1e3 * y:10.2f} ms")


def peak_mb(steps: int) -> float:
    """Peak memory of a process that streams so many steps."""
    done = subprocess.run(
        [sys.executable, __file__, "stream", str(steps)], capture_output=True, text=True, check=True
    )
    return float(done.stdout.split()[-1])


def stream(steps: int) -> None:
    simulator = Simulator(Program(network(1024)), batch=4, chunk_steps=MEMORY_CHUNK)
    rng = np.random.default_rng(0)
    total = 0
    for _ in range(0, steps, MEMORY_CHUNK):
        simulator.advance((rng.random((MEMORY_CHUNK, 4, 1024)) < 0.05).astype(np.int8))
        total += int(simulator.sent("hidden").sum())
    status = Path("/proc/self/status").read_text()  # getrusage would tell the parent's peak, if that was higher
    print(total, int(status.partition("VmHWM:")[2].split()[0]) / 1024)


def main() -> None:
    print(f"load {os.getloadavg()[0]:.1f}; columns: value, x of the line, time")
    table(
        "time / steps (width 512, 5 % spikes)",
        [250, 1000, 4000, 16000],
        lambda n: (n, seconds(network(512), spikes(1, int(n), 512, 0.05))),
    )
    table(
        "time / batch (1,000 steps)",
        [1, 4, 16, 64],
        lambda n: (n, seconds(network(512), spikes(int(n), 1000, 512, 0.05))),
    )

    def by_width(n: float) -> tuple[float, float]:
        x = spikes(2, 500, int(n), 0.05)
        return float(x.sum() * n), seconds(network(int(n)), x)

    table("time / synaptic events, by width (5 % spikes)", [256, 512, 1024, 2048, 4096], by_width)

    def by_rate(rate: float) -> tuple[float, float]:
        x = spikes(2, 500, 2048, rate)
        return float(x.sum() * 2048), seconds(network(2048), x)

    table("time / synaptic events, by firing rate (width 2048)", [0.01, 0.03, 0.1, 0.3, 0.5], by_rate)
    table("time / synaptic events, more than half of the sources spike", [0.5, 0.7, 0.9, 0.97], by_rate)
    base, long = peak_mb(10 * MEMORY_CHUNK), peak_mb(100 * MEMORY_CHUNK)
    print(f"\npeak memory of a stream of {10 * MEMORY_CHUNK} steps {base:.1f} MB, of ten times as many {long:.1f} MB")
    print(f"ten times the steps: {100 * (long / base - 1):+.1f} %")


if __name__ == "__main__":
    if sys.argv[1:2] == ["stream"]:
        stream(int(sys.argv[2]))
    else:
        main()
