"""Lava runs in a row, from threads at once, killed, and under limits: right or the cause is told; nothing stays."""

import os
import resource
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from pumice.backends import get_backend
from pumice.backends.lava import LavaBackend
from pumice.errors import PumiceError
from pumice.ir.builder import chain

pytestmark = [pytest.mark.campaign, pytest.mark.lava, pytest.mark.usefixtures("nothing_stays")]

THREADS = 6
TOLD_S = 10
"""A killed process is told of within so many seconds."""


@pytest.fixture
def n_runs(request):
    return request.config.getoption("--campaign-runs")


def network(rng, steps=20):
    """A random chain, its input, and what the reference says."""
    sizes = [int(n) for n in rng.integers(2, 9, rng.integers(2, 5))]
    graph = chain((sizes[0],), sizes[1:], seed=int(rng.integers(1 << 30)), vth_mant=20)
    x = rng.integers(0, 2, (steps, sizes[0]))
    return graph, x, get_backend("reference").run(graph, x).spikes


def judge(tally, run, expected):
    try:
        spikes = run().spikes
    except PumiceError as error:
        told = any(word in str(error) for word in ("killed", "died", "memory", "limit", "No space", "Resource"))
        tally.add("clean error" if told else "hang" if "no progress" in str(error) else "foreign error", str(error))
    except Exception as error:
        tally.add("foreign error", f"{type(error).__name__}: {error}")
    else:
        tally.add("correct" if np.array_equal(spikes, expected) else "changed")


def test_lava_runs_in_a_row(tally, rng, n_runs):
    n = n_runs * 7 // 10
    for index in range(n):
        graph, x, expected = network(rng)
        backend = LavaBackend(one_process=index % 3 == 1, in_threads=index % 3 == 2)
        judge(tally, lambda: backend.run(graph, x), expected)  # noqa: B023
    assert tally.counts["correct"] == n


def test_lava_runs_in_threads(tally, rng, n_runs):
    networks = [network(rng) for _ in range(n_runs // 5)]
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda n: judge(tally, lambda: LavaBackend().run(n[0], n[1]), n[2]), networks))
    assert tally.counts["correct"] == len(networks)


def children(pid):
    try:
        return [
            int(c) for task in Path(f"/proc/{pid}/task").iterdir() for c in (task / "children").read_text().split()
        ]
    except OSError:
        return []


def test_lava_runs_of_which_a_process_is_killed(tally, rng, n_runs):
    for _ in range(n_runs // 10):
        graph, x, expected = network(rng, steps=1500)
        before = set(children(os.getpid()))
        run = threading.Thread(target=judge, args=(tally, lambda: LavaBackend().run(graph, x), expected))  # noqa: B023
        run.start()
        while not (new := set(children(os.getpid())) - before):
            time.sleep(0.01)
        time.sleep(float(rng.uniform(0, 1)))
        supervisor = new.pop()
        family = [supervisor, *children(supervisor)]
        victim = family[int(rng.integers(len(family)))]
        began = time.monotonic()
        try:
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:
            continue
        finally:
            run.join()
        if time.monotonic() - began > TOLD_S:
            tally.add("over budget", f"{time.monotonic() - began:.0f} s")
    tally.check(n_runs // 10)


LIMITS = [
    (resource.RLIMIT_NOFILE, 4, 80),
    (resource.RLIMIT_AS, 1 << 22, 1 << 28),
    (resource.RLIMIT_FSIZE, 0, 1 << 16),
]
"""Least and most that is left of each."""


def test_lava_runs_under_limits(isolated, tally, rng, n_runs):
    def is_right(seed):
        own = np.random.default_rng(seed)
        graph, x, expected = network(own)
        kind, least, most = LIMITS[seed % len(LIMITS)]
        left = int(np.exp(own.uniform(np.log(least + 1), np.log(most))))
        if kind == resource.RLIMIT_NOFILE:
            left += len(os.listdir("/proc/self/fd"))
        if kind == resource.RLIMIT_AS:
            left += int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        soft, hard = resource.getrlimit(kind)
        resource.setrlimit(kind, (left, hard))
        try:
            return np.array_equal(LavaBackend(stall_timeout_s=30).run(graph, x).spikes, expected)
        finally:
            resource.setrlimit(kind, (soft, hard))

    n = n_runs // 10
    isolated(is_right, [int(seed) for seed in rng.integers(1 << 30, size=n)])
    tally.check(n)
