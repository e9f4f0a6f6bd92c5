"""Work in processes that may crash, hang or take too much, and the table of what became of it."""

import os
import pickle
import resource
import select
import signal
import warnings
from collections import Counter

import numpy as np
import pytest

from pumice.errors import PumiceError

OUTCOMES = ("clean error", "correct", "changed", "foreign error", "crash", "hang", "over budget")
BAD = OUTCOMES[2:]
BUDGET = 1 << 30
WALL_S = 60
EXAMPLES = 8


@pytest.fixture
def rng(request):
    return np.random.default_rng([request.config.getoption("--campaign-seed"), len(request.node.name)])


@pytest.fixture
def tally(request):
    """Counts outcomes, keeps a few examples of bad ones, and hands both to the table."""
    counts, examples = Counter(), []
    yield Tally(counts, examples)
    request.node.user_properties.append(("campaign", (request.node.name, dict(counts), examples)))


class Tally:
    def __init__(self, counts, examples):
        self.counts, self.examples = counts, examples

    def add(self, outcome, text=""):
        self.counts[outcome] += 1
        if outcome in BAD and len(self.examples) < EXAMPLES:
            self.examples.append(f"{outcome}: {text[:300]}")

    def check(self, tried):
        assert sum(self.counts.values()) == tried
        assert not [outcome for outcome in BAD if self.counts[outcome]], "\n".join(map(str, self.examples))


@pytest.fixture
def isolated(tally):
    """Function: do `work(item)` for each item in a forked process with limits; the next one goes on after a crash.

    `work` returns whether what it found is right; an error of ours is as good.
    """

    def run(work, items):
        waiting = list(items)
        while waiting:
            told, tell = os.pipe()
            pid = os.fork()
            if not pid:
                os.close(told)
                _work(work, waiting, tell)
            os.close(tell)
            with open(told, "rb") as answers:
                done, ended_well = _listen(answers, pid, tally, len(waiting))
            _, status = os.waitpid(pid, 0)
            del waiting[:done]
            if waiting:
                outcome = "hang" if not ended_well else "crash"
                tally.add(outcome, f"status {status} at {str(waiting[0])[:100]}")
                del waiting[0]

    return run


def _work(work, items, tell):
    try:
        warnings.simplefilter("ignore")
        mapped = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()  # noqa: SIM115
        resource.setrlimit(resource.RLIMIT_AS, (mapped + 2 * BUDGET, resource.RLIM_INFINITY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with open(tell, "wb") as answers:
            for item in items:
                pickle.dump(_outcome(work, item), answers)
                answers.flush()
    finally:
        os._exit(0)


def _outcome(work, item):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        found = "correct" if work(item) else "changed", str(item)
    except PumiceError as error:
        found = "clean error", str(error)
    except MemoryError as error:
        found = "over budget", str(error)
    except BaseException as error:
        found = "foreign error", f"{type(error).__name__}: {error}"
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10
    return ("over budget", f"{grown} bytes: {found[1]}") if grown > BUDGET else found


def _listen(answers, pid, tally, n):
    """(number of answers, False if the process was killed because it gave none for so long)."""
    for done in range(n):
        if not select.select([answers], [], [], WALL_S)[0] and not answers.peek(1):
            os.kill(pid, signal.SIGKILL)
            return done, False
        try:
            tally.add(*pickle.load(answers))
        except (EOFError, pickle.UnpicklingError):
            return done, True
    return n, True


@pytest.fixture
def nothing_stays():
    """Every process forked meanwhile holds one end of a pipe; when all are gone, the other end says so."""
    told, tell = os.pipe()
    yield
    os.close(tell)
    ended = select.select([told], [], [], WALL_S)[0]
    os.close(told)
    assert ended, "processes stay behind"


def pytest_terminal_summary(terminalreporter):
    rows = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            for key, value in getattr(report, "user_properties", []):
                if key == "campaign" and report.when == "teardown":
                    rows[value[0]] = value
    if not rows:
        return
    write = terminalreporter.write_line
    write("")
    write(f"| campaign | tried | {' | '.join(OUTCOMES)} |")
    write("|---" * (len(OUTCOMES) + 2) + "|")
    for name, counts, _ in rows.values():
        cells = [sum(counts.values()), *(counts.get(outcome, 0) for outcome in OUTCOMES)]
        write(f"| {name.removeprefix('test_').replace('_', ' ')} | {' | '.join(map(str, cells))} |")
    for name, _, examples in rows.values():
        for example in examples:
            write(f"{name}: {example}")
