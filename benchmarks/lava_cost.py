"""What a piece of a Lava network costs: time per step and memory of its processes, measured while it runs."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pumice.backends.lava.execute import execute
from pumice.backends.lava.memory import shared_array
from pumice.backends.lava.processes.stream import Source, SpikeRecorder
from pumice.backends.lava.supervise import Stall, supervise

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

    Memory is the private memory of all processes together at its peak, sampled every 50 ms.
    """
    steps_done, out = shared_array((1,), np.int64), shared_array((len(x), *target_shape), np.int32)
    ended = threading.Event()
    times, memory = {}, [0.0, 0]

    def watch_steps() -> None:
        while not ended.is_set():
            times.setdefault(int(steps_done[0]), time.monotonic())
            time.sleep(0.0005)

    def watch_memory() -> None:
        while not ended.wait(0.05):
            pids = _descendants(os.getpid())
            memory[:] = max(memory[0], sum(map(_private_mb, pids))), max(memory[1], len(pids))

    def work() -> None:
        source, recorder = Source(x.astype(np.int32)), SpikeRecorder(steps_done, out)
        build(source.s_out, recorder.s_in)
        execute(source, len(x))

    watchers = [threading.Thread(target=watch) for watch in (watch_steps, watch_memory)]
    for watcher in watchers:
        watcher.start()
    supervise(work, Stall(steps_done, 300))
    ended.set()
    for watcher in watchers:
        watcher.join()
    seen = sorted(step for step in times if step >= WARM_UP_STEPS)
    per_step = (times[seen[-1]] - times[seen[0]]) / (seen[-1] - seen[0])
    return Cost(memory[1], 1e3 * per_step, memory[0], out.copy())


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
