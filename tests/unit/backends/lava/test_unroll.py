"""Single weights are the synapse that they were written out from."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from pumice.backends.lava.unroll import SingleWeights, unroll
from pumice.ir import Cuba, Graph, Input, OneToOne, Sparse, TokenMixing

SHAPE = (3, 2, 4)
RNG = np.random.default_rng(0)
WEIGHT = RNG.integers(-9, 9, (2, 6, 6))
PLACES = {"rows": RNG.integers(0, 24, 50), "columns": RNG.integers(0, 24, 50), "values": RNG.integers(-9, 9, 50)}


@pytest.mark.parametrize(
    "synapse",
    [
        OneToOne("input", "n", graded=True, weight=7, delay_steps=np.array([0, 3, 1, 1])),
        OneToOne("input", "n", graded=True, weight=RNG.integers(-9, 9, SHAPE), balance_steps=2),
        TokenMixing("input", "n", graded=True, weight=WEIGHT, delay_steps=np.array([2, 0, 1, 2])),
        Sparse("input", "n", graded=True, **PLACES, delay_steps=RNG.integers(0, 4, 50)),
    ],
    ids=lambda s: type(s).__name__,
)
@pytest.mark.parametrize("channels", [None, (1, 5)])
def test_single_weights_are_the_synapse(synapse, channels):
    target = SHAPE if channels is None else (3, 2, 6)
    synapse = replace(synapse, target_channels=channels)
    graph = Graph(Input("input", SHAPE), (Cuba("n", target, 5),), (synapse,), ("n",))
    weights = unroll(graph, synapse)
    x = RNG.integers(-9, 9, SHAPE)
    for delay in range(6):
        got = np.zeros(target, np.int64)
        now = weights.delays == delay + synapse.balance_steps
        np.add.at(got.reshape(-1), weights.rows[now], weights.values[now] * x.reshape(-1)[weights.columns[now]])
        expected = synapse.accumulate(x, delay, SHAPE)
        kept = slice(*(channels or (0, 4)))
        np.testing.assert_array_equal(got[..., kept], expected)
        assert np.count_nonzero(got) == np.count_nonzero(got[..., kept])


def test_layers_have_each_place_once_and_keep_everything():
    weights = SingleWeights(*(np.array(a) for a in ([1, 0, 1, 1], [2, 0, 2, 3], [5, 6, 7, 8], [0, 0, 4, 0])))
    layers = list(weights.layers())
    assert len(layers) == 2
    for layer in layers:
        places = sorted(zip(layer.rows, layer.columns, strict=True))
        assert all(a != b for a, b in pairwise(places))
    together = sorted(tuple(row) for layer in layers for row in zip(*layer, strict=True))
    assert together == [(0, 0, 6, 0), (1, 2, 5, 0), (1, 2, 7, 4), (1, 3, 8, 0)]


def test_no_weights_are_one_empty_layer():
    empty = SingleWeights(*(np.zeros(0, int),) * 4)
    assert [layer.rows.size for layer in empty.layers()] == [0]
