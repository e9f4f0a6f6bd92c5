"""Planted defects: each kind of difference is counted where it is."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import pumice
from pumice.ir.builder import chain
from pumice.pipeline import compare
from pumice.pipeline.compare import LayerComparison, compare_records, run_test_split


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


@pytest.mark.lava
def test_a_changed_network_differs_from_its_graph(tiny_result):
    weight = tiny_result.trained.model.conv1.synapse.weight
    before = weight.detach().clone()
    with torch.no_grad():
        weight.neg_()
    try:
        found = run_test_split(tiny_result.graph, tiny_result.trained, "fast").comparison
    finally:
        with torch.no_grad():
            weight.copy_(before)
    assert all(layer.s > 0 for layer in found)


@pytest.mark.lava
def test_a_run_one_step_late_differs(tiny_result, monkeypatch):
    def late(*arguments, **options):
        result = pumice.run(*arguments, **options)
        shifted = {name: replace(r, s=np.roll(r.s, 1, axis=0)) for name, r in result.records.items()}
        return replace(result, records=shifted)

    monkeypatch.setattr(compare, "run", late)
    assert all(layer.s > 0 for layer in run_test_split(tiny_result.graph, tiny_result.trained, "fast").comparison)


@pytest.mark.lava
def test_batches_and_backends_make_no_difference(tiny_result, monkeypatch):
    monkeypatch.setattr(compare, "LARGEST_BATCH", 7)
    for backend in ("fast", "reference"):
        found = run_test_split(tiny_result.graph, tiny_result.trained, backend)
        np.testing.assert_array_equal(found.predictions, tiny_result.predictions)
        assert found.comparison == tiny_result.torch_comparison
        assert found.firing_rates == tiny_result.on_test.firing_rates
        assert len(found.samples) == 7
    assert all(0 < rate < 1 for rate in found.firing_rates.values())


@pytest.mark.lava
def test_a_difference_makes_a_result_inexact(tiny_result):
    first, *rest = tiny_result.lava_comparison
    for quantity in "suv":
        result = replace(tiny_result, lava_comparison=(replace(first, **{quantity: 2}), *rest))
        assert not result.is_exact
        assert result.differing_spikes + result.differing_states == 2
    on_test = replace(tiny_result.on_test, comparison=(replace(tiny_result.torch_comparison[0], s=1),))
    result = replace(tiny_result, on_test=on_test)
    assert (result.is_exact, result.differing_spikes) == (False, 1)
