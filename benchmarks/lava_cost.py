"""What a piece of a Lava network costs: time per step and memory of its processes, measured while it runs."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pumice.backends.lava.backend import _shared
from pumice.backends.lava.execute import execute
from pumice.backends.lava.processes.stream import Source, SpikeRecorder
from pumice.backends.lava.supervise import supervise

WARM_UP_STEPS = 3


@dataclass
class Cost:
    """What was measured, and what came out (to see that candidates agree)."""

    n_processes: int
    ms_per_step: float
    memory_mb: float
    out: np.ndarray


def measure(x: np.ndarray, target_shape: tuple[int, ...], build: Callable) -> Cost:
    """Run source -> what `build(source port, target port)` connects -> recorder, on the stream `x`.

    Memory is the private memory of all processes at its peak, without that of an empty network's.
    """
    steps_done, out = _shared((1,), np.int64), _shared((len(x), *target_shape), np.int32)
    sampler = _Sampler(steps_done)

    def work() -> None:
        source, recorder = Source(x.astype(np.int32)), SpikeRecorder(out, steps_done)
        build(source.s_out, recorder.s_in)
        execute(source, len(x))

    sampler.start()
    supervise(work, steps_done, 300)
    sampler.stop()
    per_step = sampler.seconds / (len(x) - WARM_UP_STEPS)
    return Cost(sampler.n_processes, 1e3 * per_step, sampler.peak_mb, out.copy())


class _Sampler(threading.Thread):
    def __init__(self, steps_done: np.ndarray) -> None:
        super().__init__()
        self._steps_done, self._running = steps_done, True
        self.peak_mb, self.n_processes, self.seconds = 0.0, 0, 0.0

    def run(self) -> None:
        warm = None
        while self._running:
            if warm is None and self._steps_done[0] >= WARM_UP_STEPS:
                warm = time.monotonic(), int(self._steps_done[0])
            if warm is not None:
                steps = int(self._steps_done[0]) - warm[1]
                if steps:
                    self._last = time.monotonic() - warm[0]
            pids = _descendants(os.getpid())
            self.n_processes = max(self.n_processes, len(pids))
            self.peak_mb = max(self.peak_mb, sum(map(_private_mb, pids)))
            time.sleep(0.02)

    def stop(self) -> None:
        self._running = False
        self.join()
        self.seconds = self._last


def _descendants(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            found += [child, *_descendants(child)]
    return found


def _private_mb(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Private_")) / 1024
