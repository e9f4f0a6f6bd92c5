import numpy as np
import pytest

import pumice
from pumice.errors import InputError
from pumice.hardware import load_constants
from pumice.ir import Conv, Cuba, Graph, Input, OneToOne
from pumice.ir.builder import chain
from pumice.planner.activity import all_fire, measure
from pumice.planner.placement import place
from pumice.planner.split import Rules
from pumice.testing.strategies import cases, example

CONSTANTS = load_constants()


def placed(graph):
    return place(graph, Rules(CONSTANTS), CONSTANTS.board("hala-point"))


def by_hand(graph, placement, x):
    """Operations of each core and step: every spike, weight by weight, on the reference backend."""
    records = pumice.run(graph, x, backend="reference", record=True).records
    sent = {graph.input.name: np.asarray(x) != 0, **{name: record.s != 0 for name, record in records.items()}}
    total = np.zeros((len(x), placement.cores))
    relayed = {layer.name: layer.repeats for layer in placement.layers if layer.repeats}
    for layer in placement.layers:
        cores = layer.first_core + layer.split.blocks.numbers()
        for incoming in layer.layer.incoming:
            s = incoming.synapse
            if not s.hop_steps:
                continue
            part = cores if s.target_channels is None else cores[..., slice(*s.target_channels)]
            stored = s.entries(incoming.source, part.shape)
            if hasattr(s, "weight") and type(s).__name__ in {"Conv", "Dense"}:  # zeros cost what others do
                whole = type(s)(**{**vars(s), "weight": np.ones_like(s.weight)})
                stored = whole.entries(incoming.source, part.shape)
            spikes = sent[relayed.get(s.source, s.source)].reshape(len(x), -1)
            for row, column in zip(stored.rows, stored.columns, strict=True):
                total[:, part.reshape(-1)[row]] += spikes[:, column]
    return total


@pytest.mark.parametrize("seed", range(10))
def test_operations_are_counted_weight_by_weight(seed):
    graph, x = example(cases(n_motifs=2, n_steps=12), seed)
    placement = placed(graph)
    assert placement.complete
    found = measure(graph, placement, x, "x")
    np.testing.assert_array_equal(found.operations, by_hand(graph, placement, x))
    assert found.steps == len(x)
    assert np.all(found.operations <= all_fire(graph, placement).operations)


def test_several_cores_share_a_layer():
    graph = chain((784,), [128, 10], seed=3)
    placement = placed(graph)
    x = np.random.default_rng(0).integers(0, 2, (7, 784))
    found = measure(graph, placement, x, "x")
    np.testing.assert_array_equal(found.operations[:, :3], x.sum(1)[:, None] * [50, 50, 28])
    np.testing.assert_array_equal(found.messages[:, :3], np.repeat(x.sum(1)[:, None], 3, 1))
    np.testing.assert_array_equal(found.operations, by_hand(graph, placement, x))


def test_an_image_over_several_tiles():
    rng = np.random.default_rng(1)
    populations = (Cuba("a", (40, 31, 8), vth_mant=9), Cuba("b", (20, 16, 12), vth_mant=9))
    synapses = (
        OneToOne("in", "a", weight=100),
        Conv("a", "b", weight=rng.integers(1, 9, (12, 3, 3, 8)), stride=(2, 2), padding=(1, 1), balance_steps=1),
    )
    graph = Graph(Input("in", (40, 31, 8)), populations, synapses, ("b",))
    placement = placed(graph)
    assert [layer.cores for layer in placement.layers] == [3, 2, 3]
    x = rng.integers(0, 2, (3, 40, 31, 8))
    found = measure(graph, placement, x, "x")
    np.testing.assert_array_equal(found.operations, by_hand(graph, placement, x))
    assert found.operations[1:, 5:].all()  # relays get what they send on


def test_every_neuron_fires_once_in_a_full_step():
    graph = chain((6,), [5, 2], seed=0)
    full = all_fire(graph, placed(graph))
    assert full.operations.tolist() == [[30, 10]]
    assert full.messages.tolist() == [[6, 5]]


def test_a_stream_that_does_not_fit_is_refused():
    graph = chain((6,), [5, 2], seed=0)
    with pytest.raises(InputError, match=r"input must have shape \(T, 6\), got \(4, 5\)"):
        measure(graph, placed(graph), np.ones((4, 5), int), "x")
