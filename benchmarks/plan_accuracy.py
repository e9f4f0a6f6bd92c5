"""What `pumice plan` predicts against every published measurement on Loihi 2 that we know of.

Prints the table of docs/plan.md. Rows: tests/unit/planner/oracles/measurements.json, where each has its source.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pumice.hardware import Range, load_constants
from pumice.ir import Cuba, Dense, Graph, Input, Resonator
from pumice.planner.activity import Activity
from pumice.planner.energy import step_energy
from pumice.planner.io import host_io
from pumice.planner.placement import place
from pumice.planner.split import Rules
from pumice.planner.text import rounded
from pumice.planner.timing import step_time, sync_time

ROWS = Path(__file__).parents[1] / "tests/unit/planner/oracles/measurements.json"
CONSTANTS = load_constants()


class Compared(NamedTuple):
    """One measured quantity; `constant` names what was taken from this very row, so that it is no test of it."""

    row: str
    quantity: str
    unit: str
    measured: float
    predicted: Range | None
    constant: str = ""
    note: str = ""


def on_one_core(neurons: int, operations: float = 0, *, microcode: bool = False, chips: int = 1) -> Range:
    """Time of a step, in us, if the slowest core holds so many neurons and has so many synaptic operations."""
    population = (
        Resonator("a", (neurons,), vth=1, sin_decay=1, cos_decay=1)
        if microcode
        else Cuba("a", (neurons,), vth_mant=1)
    )
    graph = Graph(Input("in", (1,)), (population,), (Dense("in", "a", weight=np.ones((neurons, 1), int)),), ("a",))
    placement = place(graph, Rules(CONSTANTS), CONSTANTS.board("hala-point"))
    assert placement.cores == 1
    activity = Activity("", np.array([[float(operations)]]), np.zeros((1, 1)))
    alone = step_time(placement, activity, CONSTANTS).mean
    barrier = [there - here for here, there in zip(sync_time(1, CONSTANTS), sync_time(chips, CONSTANTS), strict=True)]
    return Range(*(t + more for t, more in zip(alone, barrier, strict=True)))


def power(constant: str, chips: int = 1) -> Range:
    """In W."""
    return CONSTANTS[constant].range.times(chips)


def plus(*parts: Range) -> Range:
    return Range(*(sum(bounds) for bounds in zip(*parts, strict=True)))


def pilotnet_lif(row: dict[str, Any]) -> Iterator[Compared]:
    counted, steps = row["activity"], row["steps_per_inference"]
    time = on_one_core(counted["largest_core_neurons"], counted["busiest_core_synops_per_step"])
    energy = step_energy(time, counted["synops_per_step"], 1, 1, CONSTANTS).times(steps / 1000)
    of = row["id"]
    yield Compared(of, "time per step", "us", row["time_per_step_us"], time, "t_synapse, t_neuron")
    yield Compared(of, "dynamic energy per inference", "mJ", row["energy_dynamic_mj"], energy.dynamic, "e_synapse")
    yield Compared(of, "total energy per inference", "mJ", row["energy_total_mj"], energy.chip)
    yield Compared(of, "static power", "W", row["power_static_w"], power("p_static_chip"), "p_static_chip")


def pilotnet_sdnn(row: dict[str, Any]) -> Iterator[Compared]:
    time = host_io("python", 200 * 66 * 3, CONSTANTS).time
    energy = step_energy(time, 0, 1, 1, CONSTANTS).times(1 / 1000)
    yield Compared(row["id"], "time per step", "us", row["time_per_step_us"], time, "io_python")
    yield Compared(row["id"], "total energy per frame", "mJ", row["energy_total_mj"], energy.chip)
    yield Compared(row["id"], "static power", "W", row["power_static_w"], power("p_static_chip"), "p_static_chip")


def oxford(row: dict[str, Any]) -> Iterator[Compared]:
    time = host_io("python", 200 + 200, CONSTANTS).time
    yield Compared(row["id"], "time per step", "us", row["time_per_step_us"], time, "io_python")


def yolo(row: dict[str, Any]) -> Iterator[Compared]:
    time = host_io("ethernet", 448 * 448 * 3, CONSTANTS).time
    yield Compared(row["id"], "time per frame", "us", row["time_per_step_us"], time, "io_ethernet")


def two_lif(row: dict[str, Any]) -> Iterator[Compared]:
    time = on_one_core(1)
    energy = step_energy(time, 0, 1, 1, CONSTANTS).times(1000)
    yield Compared(row["id"], "time per step", "us", row["time_per_step_us"], time, "t_sync")
    measured = row["energy_dynamic_nj_per_step"]
    yield Compared(row["id"], "dynamic energy per step", "nJ", measured, energy.dynamic, "p_floor")
    yield Compared(row["id"], "static power", "W", row["power_static_w"], power("p_static_chip"), "p_static_chip")


def s4d(row: dict[str, Any]) -> Iterator[Compared]:
    time = plus(on_one_core(1), host_io("embedded", 3, CONSTANTS).time)
    yield Compared(row["id"], "time per step", "us", row["time_per_step_us"], time, "io_embedded")
    last = row["last_run"]
    yield Compared(row["id"], "static power", "W", last["power_static_w"], power("p_static_chip"), "p_static_chip")
    yield Compared(row["id"], "dynamic power", "W", last["power_dynamic_w"], power("p_floor"), "p_floor")


def microcode(row: dict[str, Any]) -> Iterator[Compared]:
    time = on_one_core(max(row["microcode_neurons"]), microcode=True)
    yield Compared(row["id"], "time per step", "us", row["time_per_step_us"], time, "t_microcode")


def wta(row: dict[str, Any]) -> Iterator[Compared]:
    per_core = -(-max(row["neurons"]) // 57)
    time = on_one_core(per_core)
    note = "its operations are not published: barrier and neurons only"
    yield Compared(row["id"], "time per step", "us", row["time_per_step_us"], time, "t_sync", note)
    total = plus(power("p_static_chip"), power("p_floor"))
    for cores, measured in zip(row["cores"], row["power_total_w"], strict=True):
        note = "power of cores that are in use is not modelled"
        yield Compared(row["id"], f"total power, {cores} cores", "W", measured, total, note=note)


def flywire(row: dict[str, Any]) -> Iterator[Compared]:
    time = on_one_core(-(-row["neurons"] // 1440), chips=12)
    note = "its operations are not published: barrier and neurons only"
    for steps, measured in zip(row["steps_per_s_simulated"], row["time_per_step_us"], strict=True):
        constant = "t_sync_chips" if measured == min(row["time_per_step_us"]) else ""
        yield Compared(row["id"], f"time per step, {steps:,} steps/s", "us", measured, time, constant, note)


def autoencoder(row: dict[str, Any]) -> Iterator[Compared]:
    of, preloaded = row["id"], row["preloaded"]
    yield Compared(of, "latency, preloaded", "us", preloaded["latency_us"], None, note="its steps are not published")
    measured = preloaded["latency_us"]
    energy = step_energy(Range(measured, measured, measured), row["synops_per_inference"], 16, 16, CONSTANTS)
    energy = energy.times(1 / 1000)
    note = "with the measured time"
    measured = preloaded["energy_dynamic_mj"]
    yield Compared(of, "dynamic energy per inference", "mJ", measured, energy.dynamic, "e_synapse", note)
    yield Compared(of, "total energy per inference", "mJ", preloaded["energy_total_mj"], energy.board, note=note)
    outside = row["ethernet"]["latency_us"] - preloaded["latency_us"]
    time = host_io("ethernet", 256 + 256, CONSTANTS).time
    yield Compared(of, "Ethernet per inference", "us", outside, time, "io_ethernet")
    yield Compared(of, "static power", "W", row["power_static_w"], power("p_static_board", 16), "p_static_board")


def q_learning(row: dict[str, Any]) -> Iterator[Compared]:
    for phase, latency in row["latency_per_update_us"].items():
        learns = phase == "training"
        time = None if learns else on_one_core(1)
        note = "learning is not modelled" if learns else "barrier only"
        yield Compared(row["id"], f"time per step, {phase}", "us", latency / row["steps_per_update"], time, note=note)
    yield Compared(row["id"], "static power", "W", row["power_static_w"], power("p_static_board"), "p_static_board")


def matmulfree(row: dict[str, Any]) -> Iterator[Compared]:
    note = "no spiking network of this kind can be described here"
    yield Compared(row["id"], "tokens per second", "", row["generation"]["tokens_per_s"], None, note=note)
    yield Compared(row["id"], "energy per token", "mJ", row["generation"]["energy_mj_per_token"], None, note=note)


def shd(row: dict[str, Any]) -> Iterator[Compared]:
    for measured in row["energy_mj"]:
        yield Compared(row["id"], "energy", "mJ", measured, None, note="network and activity are not published")


def clp(row: dict[str, Any]) -> Iterator[Compared]:
    note = "network and activity are not published"
    yield Compared(row["id"], "latency", "ms", row["latency_ms"], None, note=note)
    yield Compared(row["id"], "energy", "mJ", row["energy_mj"], None, note=note)


def hala_point(row: dict[str, Any]) -> Iterator[Compared]:
    per_operation = 1e9 / row["per_core"]["synops_per_s"]
    time = CONSTANTS["t_synapse"].range
    yield Compared(row["id"], "time per operation and core", "ns", per_operation, time, "t_synapse")
    time = CONSTANTS["t_neuron"].range
    per_neuron = 1e9 / row["per_core"]["neuron_ops_per_s"]
    yield Compared(row["id"], "time per neuron and core", "ns", per_neuron, time, "t_neuron")
    note = "the most that the machine takes, whatever it does"
    yield Compared(row["id"], "power", "W", row["power_max_w"], None, note=note)


PREDICTORS = {
    "pilotnet_lif": pilotnet_lif,
    "pilotnet_sdnn": pilotnet_sdnn,
    "oxford_python_io": oxford,
    "yolo_kp_ethernet": yolo,
    "two_lif": two_lif,
    "s4d_scifar_slayer": s4d,
    "s4d_scifar_torch": s4d,
    "qp_264": microcode,
    "scheduler_qubo": microcode,
    "wta_lif": wta,
    "flywire": flywire,
    "autoencoder_vpx": autoencoder,
    "q_learning_cartpole": q_learning,
    "matmulfree_llm_370m": matmulfree,
    "shd_delays": shd,
    "clp_snn": clp,
    "hala_point": hala_point,
}
"""Every row of the file has one."""


def compare() -> list[Compared]:
    rows = json.loads(ROWS.read_text())["measurements"]
    return [compared for row in rows for compared in PREDICTORS[row["id"]](row)]


def is_within(one: Compared) -> bool:
    """With the two digits that are printed."""
    assert one.predicted is not None
    low, high = (float(rounded(bound).replace(",", "")) for bound in (one.predicted.low, one.predicted.high))
    return low <= float(rounded(one.measured).replace(",", "")) <= high


def table(found: list[Compared]) -> str:
    lines = [
        "| measurement | quantity | measured | low | nominal | high | nominal/measured | within | taken from it |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for one in found:
        predicted = ["-"] * 5 if one.predicted is None else [
            *map(rounded, one.predicted),
            rounded(one.predicted.nominal / one.measured),
            "yes" if is_within(one) else "**no**",
        ]  # fmt: skip
        unit = f" {one.unit}" if one.unit else ""
        last = "; ".join(filter(None, [one.constant, one.note]))
        cells = [one.row, one.quantity, rounded(one.measured, 3) + unit, *predicted, last]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def summary(found: list[Compared]) -> str:
    predicted = [one for one in found if one.predicted is not None]
    free = [one for one in predicted if not one.constant]
    inside = sum(map(is_within, predicted)), sum(map(is_within, free))
    return (
        f"{len(found)} quantities of {len({one.row for one in found})} measurements: {len(predicted)} are predicted, "
        f"{inside[0]} of them within the range. From {len(predicted) - len(free)} a constant was taken, so they test "
        f"nothing; of the other {len(free)}, {inside[1]} lie within the range."
    )


if __name__ == "__main__":
    made = compare()
    print(table(made))
    print()
    print(summary(made))
