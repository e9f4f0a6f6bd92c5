"""A batch of samples through one program: in groups that fit the cache, on all cores."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.backends.fast.kernels.events import count_active
from pumice.backends.fast.program import Program
from pumice.backends.fast.simulator import Simulator
from pumice.backends.needed import Steps
from pumice.errors import InputError
from pumice.machine import available_cores

Array = npt.NDArray[Any]
Collect = Callable[[slice, int, int, Simulator], None]
"""Called after each chunk: with the samples that ran, the first step and one past the last, and their simulator."""

CHUNK_BYTES = 1 << 22
"""Aim for what all populations send in a chunk: layers read it soon after it was written."""
LONGEST_CHUNK = 2048


def simulate(
    program: Program,
    x: Array,
    collect: Collect,
    *,
    record: bool = False,
    threads: int | None = None,
    steps: Steps | None = None,
) -> None:
    """Run every sample from rest.

    Args:
        program: The prepared graph.
        x: Integers of at most 32 bits, shape (n, T, *input shape).
        collect: Takes what was simulated; from several threads, each with samples of its own.
        record: Also keep the states, for `Simulator.states`.
        threads: At most so many; by default as many as there are cores for this process.
        steps: What of populations is computed, see `Simulator`; by default all.
    """
    n, n_steps = x.shape[:2]
    threads = min(n, threads or available_cores())
    group, chunk_steps = tiling(program, n, n_steps, threads)
    groups = [slice(first, min(first + group, n)) for first in range(0, n, group)]

    def work(mine: list[slice]) -> None:
        simulator: Simulator | None = None
        for samples in mine:
            size = samples.stop - samples.start
            if simulator is None or simulator.batch != size:
                simulator = Simulator(program, size, chunk_steps, record=record, steps=steps)
            simulator.clear()
            for start in range(0, n_steps, chunk_steps):
                stop = min(start + chunk_steps, n_steps)
                simulator.advance_checked(x[samples, start:stop].swapaxes(0, 1))
                collect(samples, start, stop, simulator)

    if threads == 1:
        work(groups)
        return
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(work, groups[i::threads]) for i in range(threads)]:
            done.result()


def compile_loops(program: Program, *, record: bool = False) -> None:
    """Simulate one step without input and count its spikes: what has to be compiled is, then."""
    graph = program.graph
    sizes = {graph.input.name: graph.input.size} | {p.name: p.size for p in graph.populations}

    def collect(samples: slice, start: int, stop: int, simulator: Simulator) -> None:
        for name, size in sizes.items():
            count_active(simulator.sent(name), np.zeros((1, size), np.int32))

    simulate(program, np.zeros((1, 1, *graph.input.shape), np.int32), collect, record=record, threads=1)


def check_threads(threads: int | None) -> None:
    """Refuse what is no number of threads.

    Raises:
        InputError: It is neither None nor an integer from 1 on.
    """
    if threads is not None and (not isinstance(threads, int | np.integer) or threads < 1):
        raise InputError(f"threads must be an integer, 1 or more, or None (one per core), got {threads!r}")


def tiling(program: Program, n: int, n_steps: int, threads: int) -> tuple[int, int]:
    """How many samples to run together, and for how many steps at once."""
    frames = max(1, CHUNK_BYTES // sum(p.size for p in program.graph.populations))
    group = int(np.clip(frames // n_steps, 1, -(-n // threads)))
    return group, int(np.clip(frames // group, 1, min(n_steps, LONGEST_CHUNK)))
