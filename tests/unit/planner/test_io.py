import pytest

from pumice.errors import InputError
from pumice.hardware import load_constants
from pumice.planner.io import PATHS, host_io

CONSTANTS = load_constants()


@pytest.mark.parametrize(
    ("row", "path", "values", "unit"),
    [
        ("oxford_python_io", "python", 400, "time_per_step_us"),
        ("pilotnet_sdnn", "python", 39_600, "time_per_step_us"),
        ("yolo_kp_ethernet", "ethernet", 602_112, "time_per_step_us"),
        ("s4d_scifar_slayer", "embedded", 3, "time_per_step_us"),
    ],
)
def test_measured_paths_lie_within(oracles, row, path, values, unit):
    measured = next(r for r in oracles("measurements")["measurements"] if r["id"] == row)[unit]
    found = host_io(path, values, CONSTANTS)
    assert found.time.low * 0.95 <= measured <= found.time.high * 1.05


def test_nothing_costs_nothing():
    assert host_io("none", 1000, CONSTANTS).time == (0, 0, 0)


def test_other_paths_are_refused():
    with pytest.raises(InputError, match="unknown path of input and output 'etherent'; did you mean 'ethernet'"):
        host_io("etherent", 1, CONSTANTS)
    assert set(PATHS) == {"none", "embedded", "ethernet", "python"}
