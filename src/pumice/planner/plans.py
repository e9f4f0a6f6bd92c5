"""What a plan says."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from pumice.hardware.constants import Board, Constants, Range
from pumice.hardware.violation import Violation
from pumice.planner.activity import Activity
from pumice.planner.energy import Energy
from pumice.planner.io import HostIO
from pumice.planner.placement import Placement
from pumice.planner.split import Compiler
from pumice.planner.text import as_text
from pumice.planner.timing import StepTime


@dataclass(frozen=True)
class LayerRow:
    """One population on its cores.

    Attributes:
        population: Its name.
        tile: Neurons along each axis of what a core holds.
        cores: How many it takes.
        first_core: The first of them.
        neurons: Of the whole population.
        largest: Words of each register on the fullest core (`planner.registers.BUDGETS`).
        operations: Synaptic operations of its busiest core in the busiest step; None if nothing was run.
        updates: Neuron updates of its fullest core in a step.
        marks: Letters of the assumptions that it depends on.
    """

    population: str
    tile: tuple[int, ...]
    cores: int
    first_core: int
    neurons: int
    largest: dict[str, int]
    operations: int | None
    updates: int
    marks: str


@dataclass(frozen=True)
class Sample:
    """What a sample takes, if samples follow each other.

    Attributes:
        steps: From one sample's start to the next one's.
        latency: From a sample's first input to its last output, in us.
        throughput: Samples in a second.
        energy: Of one of them.
    """

    steps: int
    latency: Range
    throughput: Range
    energy: Energy


@dataclass(frozen=True)
class Plan:
    """Whether and how a graph fits a board, and what it will probably cost there; print it.

    Not to be taken for `pumice.quantization.Plan`, which is about a network's integers.

    Attributes:
        network: Its name.
        board: Where it is to run.
        compiler: Whose rules cut the layers.
        cores: How many it takes; of the layers that can be placed, if others cannot.
        cores_by_other: The same by the rules of the other compiler.
        chips: How many that is.
        chip_cores: Cores of a chip.
        violations: What does not fit; empty if the graph does.
        warnings: What fits and may still go wrong.
        layers: One row for each population, in the graph's order.
        latency_steps: From the input to the slowest output; None where paths of different length meet.
        activity: What was run, and for how many steps; None if nothing was.
        time: Of a step on the chip; None without activity.
        io: Input and output of a step, by the chosen path.
        energy: Of a step, input and output included.
        sample: None if the graph states no timing.
        at_rates: Without activity: time of a step, in us, if this share of all neurons fires.
        assumptions: Letter, what is assumed, populations that depend on it.
        constants: What all of it was computed with.
    """

    network: str
    board: Board
    compiler: Compiler
    cores: int
    cores_by_other: int | None
    chips: int
    chip_cores: int
    violations: tuple[Violation, ...]
    warnings: tuple[str, ...]
    layers: tuple[LayerRow, ...]
    latency_steps: int | None
    activity: tuple[str, int] | None
    time: StepTime | None
    io: HostIO | None
    energy: Energy | None
    sample: Sample | None
    at_rates: tuple[tuple[float, Range], ...]
    assumptions: tuple[tuple[str, str, tuple[str, ...]], ...]
    constants: Constants = field(repr=False)
    placement: Placement = field(repr=False)
    counts: Activity | None = field(repr=False)

    @property
    def fits(self) -> bool:
        """Whether nothing stands against it."""
        return not self.violations

    def to_json(self) -> str:
        """The whole plan as one JSON object; times in us, energies in uJ, ranges as low, nominal, high."""
        return json.dumps(self.as_dict())

    def as_dict(self) -> dict[str, Any]:
        """The same as dictionaries, lists, numbers and text."""
        hidden = {"placement", "counts", "constants"}
        shown = {name: _plain(value) for name, value in vars(self).items() if name not in hidden}
        return {"fits": self.fits, **shown, "constants": _plain(dict(self.constants.table))}

    def __str__(self) -> str:
        return as_text(self)


def _plain(value: Any) -> Any:
    if hasattr(value, "_asdict"):
        return {name: _plain(v) for name, v in value._asdict().items()}
    if hasattr(value, "__dataclass_fields__"):
        return {name: _plain(v) for name, v in vars(value).items()}
    if isinstance(value, dict):
        return {str(name): _plain(v) for name, v in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(v) for v in value]
    return value.value if isinstance(value, Compiler) else value
