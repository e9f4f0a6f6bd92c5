"""Planted defects: each kind of difference is counted where it is."""

from dataclasses import replace

import numpy as np
import pytest

import pumice
from pumice.backends.compare import LayerComparison, compare_records
from pumice.ir.builder import chain


@pytest.fixture(scope="module")
def records():
    return pumice.run(chain((4,), [3, 2], seed=1), np.ones((6, 4), int), record=True).records


@pytest.mark.parametrize("quantity", ["s", "u", "v"])
def test_one_wrong_value_is_counted(records, quantity):
    wrong = getattr(records["dense1"], quantity).copy()
    wrong[5, 1] += 1
    record = records["dense1"]
    changed = {"s": wrong} if quantity == "s" else {"states": {**record.states, quantity: wrong}}
    other = {**records, "dense1": replace(record, **changed)}
    expected = {"s": 0, "u": 0, "v": 0, quantity: 1}
    assert compare_records(records, other) == (
        LayerComparison("dense0", 18, 0, 0, 0, quantities=3),
        LayerComparison("dense1", 12, **expected, quantities=3),
    )
