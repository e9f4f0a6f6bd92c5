import numpy as np
import pytest

from pumice.ir import Conv, Cuba, Dense, Graph, Input, OneToOne, Sparse, TokenMixing
from pumice.ir.builder import chain, even_weights
from pumice.passes.cost import Cost, graph_cost


@pytest.mark.parametrize(
    ("synapse", "expected"),
    [
        (Conv("input", "a", weight=np.full((4, 3, 3, 4), 2), padding=(1, 1)), 4 * 9 * 4 * 6),
        (TokenMixing("input", "a", weight=np.full((2, 6, 6), 2)), 6 * 6 * 4),
        (OneToOne("input", "a", weight=2), 24),
        (Sparse("input", "a", rows=np.arange(5), columns=np.arange(5), values=np.full(5, 2)), 5),
        (Sparse("input", "a", rows=np.arange(5), columns=np.arange(5), values=np.array([2, 0, 3, 0, 0])), 2),
    ],
    ids=lambda value: type(value).__name__,
)
def test_connections_between_single_neurons(synapse, expected):
    graph = Graph(Input("input", (2, 3, 4)), (Cuba("a", (2, 3, 4), vth_mant=9),), (synapse,), ("a",))
    assert graph_cost(graph) == Cost(expected, 0)


def test_delays_are_counted_by_neurons_of_their_source():
    graph = chain((4,), [3, 2], seed=0)
    late = Dense(
        "input", "dense1", weight=even_weights(np.random.default_rng(0), (2, 4), 9), delay_steps=2, balance_steps=5
    )
    cost = graph_cost(graph.replace(synapses=(*graph.synapses, late)))
    assert cost == Cost(4 * 3 + 3 * 2 + 4 * 2, 7 * 4)
    assert cost.total == 26 + 28
