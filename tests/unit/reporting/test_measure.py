from dataclasses import replace

import numpy as np
import pytest

import pumice
from pumice import ir
from pumice.backends.fast import FastBackend
from pumice.ir.builder import chain
from pumice.reporting.measure import choose, compared_backends, record_samples

from .conftest import findings_of


def test_samples_are_recorded_from_the_step_on_in_which_they_reach_a_layer(rng):
    graph = chain((4,), [3, 2], seed=1).replace(timing=ir.Timing(5, 8, lead_steps=3))
    samples = rng.integers(0, 2, (3, 5, 4))
    found = record_samples(graph, samples)
    np.testing.assert_array_equal(found["input"][0], samples)
    for i, sample in enumerate(samples):
        alone = pumice.run(graph, np.concatenate([np.zeros((3, 4), int), sample, np.zeros((2, 4), int)]), record=True)
        for lag, name in enumerate(("dense0", "dense1"), start=1):
            spikes, states = found[name]
            np.testing.assert_array_equal(spikes[i], alone.records[name].s[3 + lag :][:5])
            np.testing.assert_array_equal(states["v"][i], alone.records[name].v[3 + lag :][:5])


def test_dead_and_saturated_neurons_are_counted():
    """The first neuron gets nothing, the second fires always, the third in every other step."""
    population = ir.Cuba("out", (3,), vth_mant=1, bias_mant=np.array([0, 4, 0]))
    graph = ir.Graph(
        ir.Input("input", (1,)),
        (population,),
        (ir.Dense("input", "out", weight=np.array([[0], [0], [4]])),),
        ("out",),
        timing=ir.Timing(10, 10),
    )
    x = np.arange(10).reshape(10, 1) % 2
    (entry, layer) = findings_of(graph, [(x, 1), (x, 1)]).layers
    assert (layer.dead, layer.saturated) == (1, 1)
    assert layer.rate == pytest.approx(0.5)
    assert (entry.rate, entry.saturated, entry.dead) == (0.5, None, 0)


def test_bits_of_weights_thresholds_and_states(image_findings):
    conv, dense = image_findings.synapses
    assert (conv.count, conv.kind, conv.bits) == (18, "Conv", 5)
    assert sum(conv.histogram) == 18
    assert (dense.low, dense.high) == (-180, 178)
    hidden, out = image_findings.populations
    assert (hidden.threshold, hidden.bias) == (40, (0, 0))
    assert all(layer.largest["u"] > 0 for layer in (hidden, out))


def test_mistakes_are_shown_too():
    labels, predictions = np.array([0, 0, 0, 1, 1]), np.array([0, 0, 0, 0, 1])
    found = pumice.backends.evaluate.Evaluation(labels, predictions, {}, {})
    assert choose(found, 5, 2) == [0, 3]
    assert choose(found, 3, 2) == [0, 1]
    assert choose(found, 5, 1) == [0]


def test_a_backend_that_departs_is_seen(monkeypatch, image_graph, image_samples):
    honest = FastBackend._run

    def one_more(self, graph, x, record):
        result = honest(self, graph, x, record)
        records = dict(result.records)
        if record:
            v = records["output"].states["v"].copy()
            v[2, 1] += 1
            records["output"] = replace(records["output"], states={**records["output"].states, "v": v})
        return replace(result, records=records)

    samples = np.stack([x for x, _ in image_samples])
    (equal,) = compared_backends(image_graph, samples)
    monkeypatch.setattr(FastBackend, "_run", one_more)
    (differs,) = compared_backends(image_graph, samples)
    assert (equal.differing, differs.differing) == (0, 1)
    assert equal.compared == 3 * 27 * (5 * 6 + 2)
    assert [layer.v for layer in differs.layers] == [0, 1]


def test_a_graph_that_was_changed_after_it_was_certified(deployed_graph):
    first, *others = deployed_graph.populations
    changed = deployed_graph.replace(populations=(replace(first, vth_mant=first.vth_mant + 1), *others))
    found = findings_of(changed)
    assert not found.is_exact
    assert "changed after it was certified" in found.certificate
    assert findings_of(deployed_graph).is_exact


def test_titles_name_what_was_answered(image_findings, plain_findings, numbers_findings):
    assert "answered “" in image_findings.shown[0].title
    assert plain_findings.shown[0].title == "sample 0"
    assert ", answered " in numbers_findings.shown[0].title
