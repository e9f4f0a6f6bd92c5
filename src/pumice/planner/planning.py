"""Plan a graph: place it, run it, and estimate."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.errors import InputError
from pumice.hardware.constants import Constants, Range, load_constants
from pumice.ir import Graph, verify_graph
from pumice.planner.activity import Activity, all_fire, measure
from pumice.planner.assumptions import marks
from pumice.planner.energy import Energy, step_energy
from pumice.planner.io import HostIO, check_path, host_io
from pumice.planner.placement import Placed, Placement, latency_steps, place
from pumice.planner.plans import LayerRow, Plan, Sample
from pumice.planner.split import Compiler, Rules
from pumice.planner.timing import StepTime, step_time

RATES = (0.01, 0.1, 1.0)
US_PER_S = 1e6


def plan(
    graph: Graph,
    activity: npt.NDArray[np.integer[Any]] | None = None,
    *,
    board: str = "oheogulch",
    io: str = "none",
    compiler: str | Compiler = Compiler.SINCE_2023,
    constants: Constants | str | os.PathLike[str] | None = None,
) -> Plan:
    """Say whether a graph fits a board with Loihi 2, and estimate what it costs there. Needs neither chip nor Lava.

    Time and energy are ranges, not measurements: their constants are inferred from what others printed, and no chip
    was at hand. How the network is cut onto cores follows rules that reproduce 134 of 136 printed cells.

    Not to be taken for `pumice.quantization.plan`, which plans a network's integers.

    Args:
        graph: What is to run.
        activity: Stream to run on the fast backend, integers of shape (T, *input shape); the certificate's, if
            not given. Without either there is no estimate, only how time grows with the rate of spikes.
        board: "oheogulch" (1 chip), "kapoho-point" (8), "vpx16" (16), "alia-point" (32) or "hala-point" (1,152).
        io: How values reach the chip and leave it: "none", "embedded", "ethernet" or "python".
        compiler: Rules of the chip's compilers "2023" (and later) or "2022".
        constants: Of the chip, or a JSON file with those that are to be replaced (`hardware.load_constants`).

    Returns:
        The plan; print it. `plan.fits` is the verdict.

    Raises:
        GraphError: The graph is not valid.
        InputError: An argument is none of those listed, or the stream does not fit the graph.

    Example:
        >>> from pumice.ir.builder import chain
        >>> made = plan(chain((784,), [128, 64, 10], seed=0))
        >>> made.fits, made.cores, [row.cores for row in made.layers]
        (True, 5, [3, 1, 1])
    """
    verify_graph(graph)
    check_path(io)
    known = constants if isinstance(constants, Constants) else load_constants(constants)
    where, whose = known.board(board), _compiler(compiler)
    placement = place(graph, Rules(known, whose), where)
    other = place(graph, Rules(known, next(c for c in Compiler if c is not whose)), where)
    counts = _activity(graph, placement, activity) if placement.complete else None
    full = all_fire(graph, placement) if placement.complete and counts is None else None
    time = None if counts is None else step_time(placement, counts, known)
    host = None if counts is None else host_io(io, _values(graph), known)
    energy = None
    if counts is not None and time is not None and host is not None:
        operations = float(counts.operations.sum(1).mean())
        energy = step_energy(_whole(time, host), operations, placement.chips, where.chips, known)
    found = tuple(marks(placement.layers))
    letters = {letter: names for letter, _, names in found}
    return Plan(
        network=graph.info.get("name", "network"),
        board=where,
        compiler=whose,
        cores=placement.cores,
        cores_by_other=other.cores if other.complete else None,
        chips=placement.chips,
        chip_cores=known.words("cores_per_chip"),
        violations=placement.violations,
        warnings=placement.warnings,
        layers=tuple(_row(placed, counts, letters) for placed in placement.layers),
        latency_steps=latency_steps(graph),
        activity=None if counts is None else (counts.source, counts.steps),
        time=time,
        io=host,
        energy=energy,
        sample=_sample(graph, time, host, energy),
        at_rates=() if full is None else tuple((rate, _at_rate(placement, full, rate, known)) for rate in RATES),
        assumptions=found,
        constants=known,
        placement=placement,
        counts=counts,
    )


def _compiler(name: str | Compiler) -> Compiler:
    try:
        return Compiler(name)
    except ValueError:
        allowed = ", ".join(c.value for c in Compiler)
        raise InputError(f"compiler must be one of {allowed}, got {name!r}") from None


def _activity(graph: Graph, placement: Placement, x: npt.NDArray[np.integer[Any]] | None) -> Activity | None:
    if x is not None:
        return measure(graph, placement, x, "the given input")
    if graph.certificate is not None:
        return measure(graph, placement, graph.certificate.x, "the certificate's input")
    return None


def _values(graph: Graph) -> int:
    """What adapters carry in a step: whole arrays, zeros too."""
    return graph.input.size + sum(graph.population(name).size for name in graph.outputs)


def _whole(time: StepTime, host: HostIO) -> Range:
    """A step with its input and output."""
    return Range(*(chip + outside for chip, outside in zip(time.mean, host.time, strict=True)))


def _sample(graph: Graph, time: StepTime | None, host: HostIO | None, energy: Energy | None) -> Sample | None:
    latency = latency_steps(graph)
    if graph.timing is None or latency is None or time is None or host is None or energy is None:
        return None
    step, period = _whole(time, host), graph.timing.period_steps
    return Sample(
        steps=period,
        latency=step.times(latency + graph.timing.sample_steps),
        throughput=Range(*(US_PER_S / (period * t) for t in (step.high, step.nominal, step.low))),
        energy=energy.times(period),
    )


def _at_rate(placement: Placement, full: Activity, rate: float, constants: Constants) -> Range:
    part = Activity("", full.operations * rate, full.messages * rate)
    return step_time(placement, part, constants).mean


def _row(placed: Placed, counts: Activity | None, letters: dict[str, tuple[str, ...]]) -> LayerRow:
    cores = slice(placed.first_core, placed.first_core + placed.cores)
    operations = None if counts is None else int(counts.operations[:, cores].max())
    return LayerRow(
        population=placed.name,
        tile=tuple(map(min, placed.split.tile, placed.layer.population.shape)),
        cores=placed.cores,
        first_core=placed.first_core,
        neurons=placed.layer.population.size,
        largest=placed.split.registers.largest(),
        operations=operations,
        updates=int(placed.split.blocks.sizes().max()),
        marks="".join(letter for letter, names in letters.items() if placed.name in names),
    )
