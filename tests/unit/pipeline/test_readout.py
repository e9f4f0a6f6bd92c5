"""A network that answers in numbers, held against its graph."""

import numpy as np
import pytest

import pumice
from pumice.backends import run
from pumice.backends.compare import compare_records
from pumice.ir import to_stream
from pumice.ir.relays import is_value_relay
from pumice.pipeline import compare, lower_trained
from pumice.pipeline.compare import run_test_split
from pumice.pipeline.lowered import encoded_test
from pumice.train import Recipe, predict, predict_counts, train

MIXER = {"embed_dim": 16, "depth": 1, "heads": 2, "expansion": 2, "downsampling": 1}


@pytest.fixture(scope="module")
def trained(digits):
    recipe = Recipe(
        data={"max_train": 96, "max_test": 40, "steps": 2},
        neuron={"threshold": 1.0, "voltage_decay": 0.5, "surrogate": "dspike"},
        network={"name": "stmixer", "args": MIXER},
        training={"epochs": 3, "finetune_epochs": 1, "batch_size": 16},
    )
    return train(recipe, digits)


@pytest.fixture(scope="module")
def graph(trained):
    return lower_trained(trained)


def test_the_graph_answers_as_the_network(trained, graph):
    found = run_test_split(graph, trained, "fast")
    assert sum(layer.s for layer in found.comparison) == 0
    assert next(layer for layer in found.comparison if layer.population == "head").compared == 40 * 2 * 10
    sums = predict_counts(trained.model, trained.encoder, trained.dataset.test.images)
    np.testing.assert_array_equal(found.predictions, predict(sums))
    assert trained.test_accuracy() == (found.predictions == trained.dataset.test.labels).mean()


def test_sums_keep_their_fractions(trained):
    sums = predict_counts(trained.model, trained.encoder, trained.dataset.test.images)
    integers = sums / trained.model.head.unit
    np.testing.assert_array_equal(integers, integers.round())
    assert not np.array_equal(sums, sums.round())


def test_an_answer_one_unit_off_is_seen(trained, graph, monkeypatch):
    exact = compare.undelayed

    def off(call):
        return exact(call) + (call.block is trained.model.head)

    monkeypatch.setattr(compare, "undelayed", off)
    differing = {layer.population: layer.s for layer in run_test_split(graph, trained, "fast").comparison}
    assert differing.pop("head") == 40 * 2 * 10
    assert not any(differing.values())


def test_relays_are_compared_with_all_their_states(trained):
    relayed = pumice.lower(trained.model, trained.example, residual="relays")
    stream = to_stream(relayed, encoded_test(trained, 2))
    expected, got = (run(relayed, stream, backend=b, record=True).records for b in ("reference", "fast"))
    relay = next(p for p in relayed.populations if is_value_relay(p))
    assert all(layer.s == layer.states == 0 for layer in compare_records(expected, got))
    got[relay.name].states["error"][3] += 1
    found = {layer.population: layer for layer in compare_records(expected, got)}
    assert (found[relay.name].other, found[relay.name].quantities) == (relay.size, 5)
    assert sum(layer.states for layer in found.values()) == relay.size
