import pytest

from pumice.hardware import Range, load_constants
from pumice.planner.energy import step_energy

CONSTANTS = load_constants()


def test_pilotnets_measured_energy_lies_within(oracles):
    row = next(row for row in oracles("measurements")["measurements"] if row["id"] == "pilotnet_lif")
    steps = row["steps_per_inference"]
    found = step_energy(Range(53, 143, 305), row["activity"]["synops_per_step"], 1, 1, CONSTANTS).times(steps)
    assert found.dynamic.low <= row["energy_dynamic_mj"] * 1000 <= found.dynamic.high
    assert found.chip.low <= row["energy_total_mj"] * 1000 <= found.chip.high
    assert found.chip.nominal == pytest.approx(row["energy_total_mj"] * 1000, rel=0.1)


def test_each_part_by_hand():
    found = step_energy(Range(10, 20, 30), 1_000_000, 2, 16, CONSTANTS)
    assert found.dynamic.nominal == pytest.approx(24 + 20 * 0.03 * 2)
    assert found.static_chip.nominal == pytest.approx(20 * 0.22 * 2)
    assert found.static_board.nominal == pytest.approx(20 * 1.0 * 16)
    assert found.board.nominal == pytest.approx(found.dynamic.nominal + found.static_board.nominal)
    assert found.chip.low == pytest.approx(21 + 10 * (0.01 + 0.11) * 2)
    assert found.times(3).chip.high == pytest.approx(3 * found.chip.high)
