"""Compile a network's loops in a second process while this one is busy, so that the first run waits half as long.

numba compiles one loop at a time in a process. What the second process has compiled lies in numba's cache, where this
one finds it; should it fail, or be slower, this one compiles as if there were no other.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from pumice.backends.fast import batch
from pumice.backends.fast.bounds import activation_types, sends_values
from pumice.backends.fast.kernels.cuba import cuba_steps
from pumice.backends.fast.neurons import neurons
from pumice.backends.fast.program import Program
from pumice.netx import load

LONGEST_WAIT_S = 60


@contextmanager
def compiling_ahead(file: Path, *, wait: bool = False) -> Iterator[None]:
    """Have a file's network simulated for one step elsewhere, if numba has kept no loop yet.

    Args:
        file: A network.
        wait: At the end, until that is done; else it is stopped then.
    """
    helper = _start(file) if sys.executable and is_cold() else None
    try:
        yield
        if helper is not None and wait:
            with suppress(subprocess.TimeoutExpired):
                helper.wait(LONGEST_WAIT_S)
    finally:
        if helper is not None:
            helper.kill()
            helper.wait()


def _start(file: Path) -> subprocess.Popen[bytes]:
    nothing = subprocess.DEVNULL
    command = [sys.executable, "-m", __name__, str(file)]
    return subprocess.Popen(command, stdin=nothing, stdout=nothing, stderr=nothing)


def is_cold() -> bool:
    """Whether numba keeps what it compiles, and has not kept the neurons' loop yet."""
    kept = cuba_steps.stats.cache_path
    return kept is not None and not any(Path(kept).glob("cuba.cuba_steps-*.nbi"))


def compile_loops(file: Path) -> None:
    """Compile first what steps neurons, which a run needs last, then all else that one step needs."""
    graph = load(file)
    types = activation_types(graph)
    for p in graph.populations:
        activation = {part: np.zeros((1, 1, p.size), types[p.name]) for part in p.parts}
        sent = np.zeros((1, 1, p.size), np.int32 if sends_values(graph, p.name) else np.int8)
        neurons(p, batch=1).advance(1, activation, sent, {s: np.zeros((0, 1, p.size), np.int32) for s in p.states})
    batch.compile_loops(Program(graph))


if __name__ == "__main__":
    compile_loops(Path(sys.argv[1]))
