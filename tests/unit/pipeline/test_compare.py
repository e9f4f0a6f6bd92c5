"""Planted defects: each kind of difference is counted where it is."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import pumice
from pumice.pipeline import compare
from pumice.pipeline.compare import run_test_split


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
