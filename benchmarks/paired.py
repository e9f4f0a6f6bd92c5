"""Two versions of pumice on the same work, in turn, in one run: the time of this one over that of another.

    git worktree add /some/folder COMMIT
    uv run python benchmarks/paired.py /some/folder [--rounds 9] [CASE ...]

One worker per version loads that version's `src` and `benchmarks`, holds every case ready, and does one measurement
when told; the versions take turns, and the first of a round changes from round to round. A ratio is the
median of the rounds' own ratios. CASEs: the training steps of `train_step.py` (mlp, conv, deployed) and the fast
backend of `simulate.py` (ntidigits, pilotnet_lif, digits: one stream, and a batch).
"""

from __future__ import annotations

import argparse
import copy
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
TRAINING = ("mlp", "conv", "deployed")
SIMULATION = ("ntidigits", "pilotnet_lif", "digits")
SECONDS = 1.0  # a measurement repeats its work for at least this long


def training(case: str) -> Callable[[], None]:
    """A training step of pumice's own network."""
    import torch
    import train_step

    torch.manual_seed(0)
    if case == "deployed":
        lif = {"threshold": 1.25, "current_decay": 1.0, "voltage_decay": 0.25, "norm": train_step.nn.TDBN}
        x = torch.randint(0, 17, (32, 1, 28, 28, 16)).float()
        before = train_step.feedforward(lif, (1, 28, 28), 10, layers="12c5-2a-64c5-2a")
        before(x)
        quantize_ = getattr(train_step, "quantize_", getattr(train_step.nn, "deploy", None))
        model: Any = quantize_(copy.deepcopy(before), x)
    else:
        make, make_input = train_step.CASES[case]
        x, model = make_input(), make(train_step.nn)
    wanted = torch.full((len(x), 10), 0.1)
    return lambda: train_step.step(model, x, wanted)


def simulation(name: str, batch: bool) -> Callable[[], None]:
    """The fast backend on one stream, or on a batch of them."""
    import lava_steps
    import simulate

    network = next(n for n in simulate.networks(None) if n.name == name)
    fast = simulate.Fast(lava_steps.graph(str(network.path), network.arguments, network.x), network)
    x = fast.batch if batch else fast.single
    return lambda: fast.seconds_per_step(x) and None


def work(cases: list[str]) -> None:
    """The worker: build every case, then measure the one that each line of the input names."""
    sys.path.remove(str(HERE))  # the version's own benchmarks are on PYTHONPATH
    import train_step

    train_step.keep_large_tensors()
    runs: dict[str, Callable[[], None]] = {}
    for case in cases:
        if case in TRAINING:
            runs[case] = training(case)
        else:
            runs[f"{case}, one stream"], runs[f"{case}, batch"] = simulation(case, False), simulation(case, True)
    for run in runs.values():
        run()
        run()
    print("ready", *runs, sep="\t", flush=True)
    for line in sys.stdin:
        run, n, began = runs[line.strip()], 0, time.perf_counter()
        while not n or time.perf_counter() - began < SECONDS:
            run()
            n += 1
        print(f"seconds\t{(time.perf_counter() - began) / n}", flush=True)


class Version:
    """A worker of one tree; its benchmarks are this tree's."""

    def __init__(self, tree: Path, cases: list[str]) -> None:
        paths = os.pathsep.join(str(tree / folder) for folder in ("src", "benchmarks"))
        environment = os.environ | {"PYTHONPATH": paths, "OMP_WAIT_POLICY": "passive"}
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).resolve()), "--work", *cases],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.runs = self._answer("ready")

    def seconds(self, run: str) -> float:
        print(run, file=self._process.stdin, flush=True)
        return float(self._answer("seconds")[0])

    def _answer(self, kind: str) -> list[str]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            found, *values = line.rstrip("\n").split("\t")
            if found == kind:  # lava-dl prints notices
                return values
        raise SystemExit(f"the worker of {self._process.args} ended")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path, nargs="?", help="a checkout of the version to compare with")
    parser.add_argument("cases", nargs="*", metavar="CASE")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--work", nargs="*", help=argparse.SUPPRESS)
    options = parser.parse_intermixed_args()  # CASEs may come after options
    if options.work is not None:
        return work(options.work)
    if options.other is None or not (options.other / "src/pumice").is_dir():
        parser.error(f"OTHER must be a checkout with src/pumice, got {options.other}")
    unknown = set(options.cases) - {*TRAINING, *SIMULATION}
    if unknown:
        parser.error(f"no case {sorted(unknown)}; there are {[*TRAINING, *SIMULATION]}")
    cases = options.cases or [*TRAINING, *SIMULATION]
    trees = {"this": HERE.parent, "other": options.other.resolve()}
    versions = {name: Version(tree, cases) for name, tree in trees.items()}
    print(f"load {os.getloadavg()[0]:.1f}; {options.rounds} rounds; this / other: median [lowest .. highest]")
    for run in versions["this"].runs:
        seconds: dict[str, list[float]] = {name: [] for name in versions}
        for index in range(options.rounds):
            for name in list(versions)[:: 1 if index % 2 else -1]:
                seconds[name].append(versions[name].seconds(run))
        ratios = [a / b for a, b in zip(seconds["this"], seconds["other"], strict=True)]
        print(
            f"  {run:26} {1e3 * statistics.median(seconds['this']):8.1f} ms "
            f"{1e3 * statistics.median(seconds['other']):8.1f} ms   "
            f"{statistics.median(ratios):.3f} [{min(ratios):.3f} .. {max(ratios):.3f}]",
            flush=True,
        )
    return None


if __name__ == "__main__":
    main()
