"""Where the time of a step of the one-process Lava model goes, and how much of it the fast backend would take.

Measured on the same stream: the fast backend over all steps at once and step by step, the one-process model under
Lava's runtime, and such a process that computes nothing: Lava's own synchronisation and messages. They take turns;
figures are medians of the rounds.

    python benchmarks/one_process.py [--rounds 7] [--data DIR] [NETWORK ...]

NETWORKs as in `simulate.py`; pilotnet_lif if none is named.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import lava_steps
import numpy as np
from simulate import Fast, Network, OnLava, networks

from pumice.backends.fast import Program, Simulator
from pumice.backends.lava.one_process import STEPS_AT_HAND

STEPS = 256


class StepByStep:
    """The simulator as the one-process model uses it."""

    def __init__(self, network: Network) -> None:
        self._simulator = Simulator(Program(lava_steps.any_input(graph_of(network))), 1, STEPS_AT_HAND)
        self._x = np.resize(network.x, (STEPS, *network.x.shape[1:])).astype(np.int32)
        self.seconds_per_step()

    def seconds_per_step(self) -> float:
        began = time.perf_counter()
        for x in self._x:
            self._simulator.begin_step()
            self._simulator.finish_step(x[None, None])
        return (time.perf_counter() - began) / len(self._x)

    def seconds_by_population(self) -> dict[str, float]:
        """Of each population by itself, the best of many repetitions of one step."""
        program, simulator = self._simulator._program, self._simulator
        found = {}
        for stage in program.before_input + program.after_input:
            seconds = []
            for _ in range(50):
                began = time.perf_counter()
                simulator._run(stage, simulator._first, simulator._stop)
                seconds.append(time.perf_counter() - began)
            found[stage.members[0].population.name] = min(seconds)
        return found


def graph_of(network: Network) -> lava_steps.pumice.Graph:
    return lava_steps.graph(str(network.path), network.arguments, network.x)


def show(network: Network, rounds: int, folder: Path) -> None:
    network.steps = dict.fromkeys(("one", "empty"), STEPS)
    fast, steps = Fast(graph_of(network), network), StepByStep(network)
    workers = {form: OnLava(network, form, folder, rounds) for form in ("one", "empty")}
    seconds: dict[str, list[float]] = {name: [] for name in ("fast", "steps", "empty", "one")}
    for _ in range(rounds):
        seconds["fast"].append(fast.seconds_per_step(fast.single))
        seconds["steps"].append(steps.seconds_per_step())
        for form, worker in workers.items():
            seconds[form].append(worker.seconds_per_step())
    for worker in workers.values():
        worker.outputs()
    ms = {name: 1e3 * float(np.median(values)) for name, values in seconds.items()}
    print(f"\n{network.name}: ms per step, medians of {rounds} rounds of {STEPS} steps")
    rows = {
        "fast, all steps of a stream at once": ms["fast"],
        "+ step by step: calls, states through memory": ms["steps"] - ms["fast"],
        "+ Lava's synchronisation and messages, alone": ms["empty"],
        "+ what they cost each other": ms["one"] - ms["steps"] - ms["empty"],
        "= one process on Lava": ms["one"],
    }
    for name, value in rows.items():
        print(f"  {name:46} {value:8.3f}")
    print("  step by step, by population: ", end="")
    print(", ".join(f"{name} {1e3 * value:.3f}" for name, value in steps.seconds_by_population().items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", metavar="NETWORK", default=["pilotnet_lif"])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--data", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for network in networks(options.data):
            if network.name in options.networks:
                show(network, options.rounds, Path(folder))


if __name__ == "__main__":
    main()
