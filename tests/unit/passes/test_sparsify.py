"""Single weights are what the matrix was."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import pumice
from pumice import nn
from pumice.backends import get_backend
from pumice.backends.verify import first_difference
from pumice.errors import GraphError, LoweringError
from pumice.ir import Cuba, Dense, Graph, Input, Sparse, verify_graph
from pumice.passes.cost import graph_cost
from pumice.passes.sparsify import sparsify

RNG = np.random.default_rng(0)


def graph(delay_steps=0, **options):
    weight = 2 * RNG.integers(10, 60, (5, 12)) * (RNG.random((5, 12)) < 0.2)
    dense = Dense(
        "input", "a", True, weight=weight, weight_exp=1, delay_steps=delay_steps, balance_steps=2, **options
    )
    image = Input("input", (2, 3, 2), (-3, 5))
    return verify_graph(Graph(image, (Cuba("a", (7,), 300, 2000, 500),), (dense,), ("a",)))


@pytest.mark.parametrize(
    "delay_steps", [0, 3, RNG.integers(0, 9, 12), RNG.integers(0, 9, (5, 12))], ids=["0", "3", "source", "weight"]
)
def test_nothing_changes_but_the_form(delay_steps):
    dense = graph(delay_steps, target_channels=(1, 6))
    result = sparsify(dense, below=0.5)
    assert result.modified
    (synapse,) = verify_graph(result.graph).synapses
    assert isinstance(synapse, Sparse)
    assert len(synapse.values) == np.count_nonzero(dense.synapses[0].weight)
    x = RNG.integers(-3, 6, (60, 2, 3, 2))
    expected = get_backend("reference").run(dense, x, record=True).records
    for name in ("reference", "fast"):
        assert first_difference(expected, get_backend(name).run(result.graph, x, record=True).records) is None
    assert expected["a"].s.any()
    assert graph_cost(result.graph).synapses < graph_cost(dense).synapses
    assert sparsify(result.graph, below=0.5).graph is result.graph


def test_what_is_not_sparse_stays():
    full = graph(target_channels=(1, 6))
    assert not sparsify(full, below=0.0).modified
    share = np.count_nonzero(full.synapses[0].weight) / 60
    assert not sparsify(full, below=share).modified
    assert sparsify(full, below=share + 1e-9).modified
    dead = full.replace(synapses=(replace(full.synapses[0], weight=np.zeros((5, 12), int)),))
    assert not sparsify(dead, below=1.0).modified  # prune_dead's to remove
    with pytest.raises(GraphError, match=r"must lie in 0\.\.1, got 20"):
        sparsify(full, below=20)


def test_a_pruned_network_is_lowered_to_single_weights():
    torch.manual_seed(0)
    lif = {"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 0.3}
    model = torch.nn.Sequential(nn.Dense(lif, 12, 16, weight_scale=4), nn.Dense(lif, 16, 5, weight_scale=4))
    torch.nn.utils.prune.l1_unstructured(model[0].synapse, "weight", amount=0.8)
    x = (torch.rand(6, 12, 20) < 0.5).float()
    dense, sparse = (pumice.lower(model, x, sparse_below=below) for below in (0.0, 0.4))
    assert [type(s).__name__ for s in sparse.synapses] == ["Sparse", "Dense"]
    assert [type(s).__name__ for s in dense.synapses] == ["Dense", "Dense"]
    assert torch.equal(pumice.run(sparse, x).spikes, model(x))
    assert model(x).any()
    with pytest.raises(LoweringError, match="sparse_below must be a share of the weights, 0 to 1, got 40"):
        pumice.lower(model, x, sparse_below=40)
