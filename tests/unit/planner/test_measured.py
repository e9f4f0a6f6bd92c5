"""A run on a chip beside its plan: cell by cell, quantity by quantity."""

import json
from dataclasses import replace

import numpy as np
import pytest

from pumice.errors import InputError
from pumice.hardware.profile import CoreRow, Profile
from pumice.ir.builder import chain
from pumice.planner import compare, plan
from pumice.planner.registers import BUDGETS
from pumice.planner.text import TITLES


@pytest.fixture(scope="module")
def made():
    return plan(chain((784,), [128, 64, 10], seed=0), np.ones((6, 784), int), io="python")


def table(made, unit="%"):
    """What the compiler prints if it does what was planned, last layer first."""

    def value(layer, name):
        words = layer.largest[name]
        return round(100 * words / made.constants[BUDGETS[name]].value, 2) if unit == "%" else float(words)

    return tuple(
        CoreRow(tuple(value(layer, name) for name in TITLES), layer.cores, unit) for layer in made.layers[::-1]
    )


@pytest.mark.parametrize("unit", ["%", "words"])
def test_a_compiler_that_does_as_planned_has_no_difference(made, unit):
    found = compare(made, Profile("net", 6, core_table=table(made, unit)))
    assert (found.compared_cells, found.differences, found.unmatched) == (24, (), None)
    assert [(q.name, q.measured, q.ratio, q.within) for q in found.quantities] == [("cores", 5.0, 1.0, True)]


def test_each_cell_that_differs_is_named(made):
    rows = list(table(made))
    first = rows[-1]
    rows[-1] = CoreRow((*first.values[:3], first.values[3] - 0.02, *first.values[4:]), first.cores + 1)
    found = compare(made, Profile("net", 6, core_table=tuple(rows)))
    assert [(d.population, d.column) for d in found.differences] == [("dense0", "Synapses"), ("dense0", "Cores")]
    assert "dense0, Cores: planned 3, compiled 4" in str(found)
    assert "24 cells compared, 2 differ" in str(found)


def test_tables_of_other_length_are_not_matched(made):
    found = compare(made, Profile("net", 6, core_table=table(made)[:2]))
    assert "2 rows for 2 cores, the plan 3 for 5" in found.unmatched
    assert "tables not compared" in str(found)
    assert "no table" in compare(made, Profile("net", 6)).unmatched


def test_time_and_energy_are_laid_beside(made):
    nominal = made.time.mean.nominal + made.io.time.nominal
    profile = Profile("net", 6, measured={"time_per_step": nominal, "total_power": 0.25, "static_power": 9.0})
    found = {q.name.split()[0]: q for q in compare(made, profile).quantities}
    assert found["time"].ratio == pytest.approx(1)
    assert found["time"].within
    assert found["energy"].measured == pytest.approx(0.25 * nominal)
    assert found["energy"].within
    assert not found["static"].within
    assert "OUTSIDE" in str(compare(made, profile))
    json.dumps(compare(made, profile).as_dict())


def test_all_digits_of_a_number_of_cores_are_shown():
    many = plan(chain((784,), [5300], seed=0))
    found = compare(many, Profile("net", 6, core_table=table(many)))
    assert many.cores == 171
    assert "cores: planned 171; measured 171; ratio 1.00, within" in str(found)
    more = compare(many, Profile("net", 6, core_table=(table(many)[0]._replace(cores=1234),)))
    assert "cores: planned 171; measured 1,234; ratio 0.14, OUTSIDE" in str(more)


def test_a_path_is_no_profile(made):
    with pytest.raises(InputError, match="a Plan and a Profile are needed, got Plan and str"):
        compare(made, "P.json")


def test_what_reads_0_has_no_ratio(made):
    found = compare(made, Profile("net", 6, measured={"static_power": 0.0}))
    assert [q.ratio for q in found.quantities] == [None]
    assert "measured 0 W; OUTSIDE" in str(found)
    assert "Infinity" not in json.dumps(found.as_dict())


def test_without_activity_only_tables_are_compared(made):
    silent = replace(made, time=None, counts=None)
    found = compare(silent, Profile("net", 6, core_table=table(made), measured={"time_per_step": 1.0}))
    assert [q.name for q in found.quantities] == ["cores"]
