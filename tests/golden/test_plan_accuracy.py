"""Predicted against measured: the table of docs/plan.md is what the script prints, and no measurement is left out."""

import json
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def script():
    return runpy.run_path(str(ROOT / "benchmarks/plan_accuracy.py"))


@pytest.fixture(scope="module")
def found(script):
    return script["compare"]()


def test_every_measurement_has_a_row(found):
    rows = json.loads((ROOT / "tests/unit/planner/oracles/measurements.json").read_text())["measurements"]
    assert {one.row for one in found} == {row["id"] for row in rows}
    assert all(one.predicted is not None or one.note for one in found)


def test_the_table_in_the_documentation_is_this_one(script, found):
    page = (ROOT / "docs/plan.md").read_text()
    assert script["table"](found) in page
    assert script["summary"](found) in page


def test_rows_that_a_constant_was_taken_from_lie_within(script, found):
    """Those outside are known, and none of them is calibrated on."""
    outside = [one for one in found if one.predicted is not None and not script["is_within"](one)]
    assert {(one.row, one.quantity.partition(",")[0]) for one in outside} == {
        ("wta_lif", "total power"),
        ("flywire", "time per step"),
    }
    assert not [one for one in outside if one.constant]


def test_pilotnets_time(found):
    one = next(one for one in found if (one.row, one.quantity) == ("pilotnet_lif", "time per step"))
    assert one.predicted.low < one.measured == 152.84 < one.predicted.high
