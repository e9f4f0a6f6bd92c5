"""How long a step takes: the slowest core sets the time, because all meet at a barrier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.hardware.constants import Constants, Range
from pumice.planner.activity import Activity
from pumice.planner.placement import Placement

Floats = npt.NDArray[np.float64]
TERMS = ("synaptic operations", "neuron updates", "messages")
NS_PER_US = 1e3


@dataclass(frozen=True)
class StepTime:
    """Time of a step on the chip, in us.

    Attributes:
        mean: Over the steps of the run.
        busiest: Of the slowest of them.
        core: The core that sets the nominal time of that step.
        population: What lies on it.
        term: What it is busy with.
        amount: How many of these.
    """

    mean: Range
    busiest: Range
    core: int
    population: str
    term: str
    amount: int


def step_time(placement: Placement, activity: Activity, constants: Constants) -> StepTime:
    """Estimate the time of a step.

    `t = t_sync + max over cores of (operations * t_synapse, neurons * t_neuron, messages * t_message)`, with the
    nominal and the low constants; with the high ones, and their sum in place of the maximum, for the high end.
    That the slowest core sets the time is arXiv 2601.10035's model; the constants are inferred, see docs/plan.md.

    Args:
        placement: A graph that fits.
        activity: What its cores do.
        constants: Of the chip.
    """
    neurons, per_neuron = neuron_updates(placement, constants)
    work = (activity.operations, np.broadcast_to(neurons, activity.operations.shape), activity.messages)
    costs = [_ends(constants["t_synapse"].range), per_neuron, _ends(constants["t_message"].range)]
    low, nominal, high = (
        np.stack([amount * cost[end] / NS_PER_US for amount, cost in zip(work, costs, strict=True)])
        for end in range(3)
    )
    sync = sync_time(placement.chips, constants)
    slowest = [sync.low + low.max((0, 2)), sync.nominal + nominal.max((0, 2)), sync.high + high.sum(0).max(1)]
    step = int(np.argmax(slowest[1]))
    term, core = np.unravel_index(int(np.argmax(nominal[:, step])), nominal[:, step].shape)
    return StepTime(
        mean=Range(*(float(times.mean()) for times in slowest)),
        busiest=Range(*(float(times[step]) for times in slowest)),
        core=int(core),
        population=population_on(placement, int(core)),
        term=TERMS[term],
        amount=int(work[term][step, core]),
    )


def sync_time(chips: int, constants: Constants) -> Range:
    """The barrier, in us."""
    return constants["t_sync" if chips <= 1 else "t_sync_chips"].range


def neuron_updates(placement: Placement, constants: Constants) -> tuple[Floats, Floats]:
    """Neurons on each core, and the (low, nominal, high) ns that one takes, shapes (cores,) and (3, cores)."""
    neurons = np.zeros(placement.cores)
    cost = np.zeros((3, placement.cores))
    for placed in placement.layers:
        cores = slice(placed.first_core, placed.first_core + placed.cores)
        neurons[cores] = placed.split.blocks.sizes()
        cost[:, cores] = _ends(neuron_cost(placed.layer.population.hard_wired, constants))[:, None]
    return neurons, cost


def neuron_cost(hard_wired: bool | None, constants: Constants) -> Range:
    """Of one neuron, in ns; where it is not known whether it is microcode, the range of both."""
    wired, microcode = constants["t_neuron"].range, constants["t_microcode"].range
    if hard_wired is None:
        return Range(wired.low, wired.nominal, max(wired.high, microcode.high))
    return wired if hard_wired else microcode


def population_on(placement: Placement, core: int) -> str:
    """What lies on a core."""
    return next(p.name for p in reversed(placement.layers) if p.first_core <= core)


def _ends(of: Range) -> npt.NDArray[Any]:
    return np.array(of)
