"""NeuroBench's figures: of a network that is counted by hand, and of random ones by NeuroBench itself."""

import numpy as np
import pytest
import torch

import pumice
from pumice import PumiceError
from pumice.backends.metrics import metrics
from pumice.backends.neurobench import NeuroBenchGraph, _SynapseRecord
from pumice.ir import Conv, Cuba, Dense, Graph, Input, OneToOne, Timing, recorded_samples
from pumice.ir.builder import chain
from pumice.passes.order import run_passes
from pumice.testing.motifs import random_graph


@pytest.fixture
def small():
    """Two inputs into two integrators that fire above 2, those into one that fires above 1."""
    populations = Cuba("a", (2,), vth_mant=2, i_decay_q12=4096), Cuba("b", (1,), vth_mant=1, i_decay_q12=4096)
    first = Dense("input", "a", weight=np.array([[3, 0], [1, 1]]))
    graph = Graph(
        Input("input", (2,), (0, 1)), populations, (first, Dense("a", "b", weight=np.array([[2, 0]]))), ("b",)
    )
    return graph.replace(timing=Timing(3, 4))


X = np.array([[[1, 0], [1, 1], [0, 0]]])
# a: sums (3, 1), (3, 2), (0, 0); a0 fires in steps 0 and 1, a1 (voltage 1, 3) in step 1: 3 spikes of 2 * 3
# b: sums 2, 2, 0: fires in steps 0 and 1: 2 spikes of 1 * 3
# events: input 0 twice, each meets 2 weights that are not 0; input 1 once, 1 weight; a0 twice, 1 weight; a1 none
# voltages after a step: a0 0 0 0, a1 1 0 0, b 0 0 0; 3 of the first step, and a1's second


def test_by_hand(small):
    found = metrics(small, [(X[0], 0)])
    assert found.connection_sparsity == round(2 / 6, 4)
    assert found.activation_sparsity == (9 - 5) / 9
    assert found.activation_sparsity_by_layer == {"a": 0.5, "b": 1 / 3}
    assert found.synaptic_operations == {"Effective_ACs": 2 * 2 + 1 + 2, "Effective_MACs": 0.0, "Dense": 3 * 6}
    assert found.membrane_updates == 4
    # weights 6; states u and v of 3 neurons, 3 bytes each; 2 populations: decays 2 + 1, threshold, bias and exponent
    assert found.footprint == 6 + 18 + 2 * (2 + 1 + 1 + 1 + 1)


def test_graded_values_multiply(small):
    graph = small.replace(
        input=Input("input", (2,), (0, 7)),
        synapses=(Dense("input", "a", True, weight=np.array([[3, 0], [1, 1]])), small.synapses[1]),
    )
    found = metrics(graph, [(5 * X[0], 0)]).synaptic_operations
    assert found["Effective_MACs"] == 5
    assert found["Effective_ACs"] > 0


def test_without_samples_only_what_is_stored(small):
    assert set(metrics(small).as_dict()) == {"Footprint", "ConnectionSparsity"}
    with pytest.raises(PumiceError, match="holds no sample"):
        metrics(small, [])
    with pytest.raises(PumiceError, match="states no sample length"):
        metrics(small.replace(timing=None), [(X[0], 0)])


def test_samples_of_a_certificate(small):
    graph = pumice.certify(small, np.concatenate([X[0], np.zeros((1, 2), int), 1 - X[0], np.zeros((3, 2), int)]))
    np.testing.assert_array_equal(recorded_samples(graph), np.concatenate([X, 1 - X]))


def as_torch(x):
    return torch.from_numpy(x.transpose(0, 1, 4, 3, 2) if x.ndim == 5 else x).float()


def by_neurobench(graph, x, batch=2):
    benchmarks = pytest.importorskip("neurobench.benchmarks")
    static, workload = (pytest.importorskip(f"neurobench.metrics.{name}") for name in ("static", "workload"))
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(as_torch(x), torch.zeros(len(x), dtype=torch.long)), batch_size=batch
    )
    of_all = ["ActivationSparsity", "ActivationSparsityByLayer", "SynapticOperations", "MembraneUpdates"]
    wanted = [[static.Footprint, static.ConnectionSparsity], [getattr(workload, name) for name in of_all]]
    model = NeuroBenchGraph(graph)
    return benchmarks.Benchmark(model, loader, [], [], wanted).run(quiet=True)


def test_neurobench_itself_counts_the_same(small):
    found = by_neurobench(small, X)
    assert found == metrics(small, [(X[0], 0)]).as_dict()


@pytest.mark.parametrize("seed", [0, 5, 6, 8, 11])
def test_neurobench_itself_counts_the_same_of_random_graphs(seed):
    rng = np.random.default_rng(seed)
    graph = run_passes(random_graph(rng, 1, 6), 6)
    low, high = graph.input.value_range
    x = rng.integers(max(low, 0), high + 1, (5, 6, *graph.input.shape))
    expected, found = metrics(graph, zip(x, np.zeros(5, int), strict=True)).as_dict(), by_neurobench(graph, x)
    by_layer = expected.pop("ActivationSparsityByLayer"), found.pop("ActivationSparsityByLayer")
    assert by_layer[1] == pytest.approx(by_layer[0])
    assert found.pop("SynapticOperations") == pytest.approx(expected.pop("SynapticOperations"))
    assert found == pytest.approx(expected)


def records(graph, x):
    """What the runner would read, without it."""
    model = NeuroBenchGraph(graph, answer="spikes")
    model.register_hooks()
    return model, model(as_torch(x))


def test_what_the_runner_reads_adds_up_to_the_metrics():
    image = (4, 3, 2)
    synapses = (
        Conv("input", "a", weight=np.arange(36).reshape(2, 3, 3, 2) % 5, padding=(1, 1)),
        OneToOne("a", "b", weight=np.array([3, 0])),
    )
    populations = Cuba("a", image, vth_mant=9, i_decay_q12=4096), Cuba("b", image, vth_mant=2, i_decay_q12=4096)
    graph = Graph(Input("input", image, (0, 1)), populations, synapses, ("b",)).replace(timing=Timing(5, 8))
    x = (np.random.default_rng(0).random((3, 5, *image)) < 0.4).astype(np.int64)
    model, spikes = records(graph, x)
    expected = metrics(graph, zip(x, [0] * 3, strict=True))
    assert spikes.shape == (3, 5, 24)
    operations = sum(
        float(torch.sum(binary(hook.layer)(entering)))
        for hook in model.connection_hooks
        for (entering,) in hook.inputs
    )
    assert operations / 3 == expected.synaptic_operations["Effective_ACs"] > 0
    stored = sum(p.numel() * p.element_size() for p in (*model.__net__().parameters(), *model.__net__().buffers()))
    assert stored == expected.footprint
    sent = [torch.cat(hook.activation_outputs) for hook in model.activation_hooks]
    assert 1 - sum(map(torch.count_nonzero, sent)) / sum(map(torch.numel, sent)) == pytest.approx(
        expected.activation_sparsity
    )
    model.reset_hooks()
    assert not any(hook.inputs for hook in model.connection_hooks)
    model.cleanup_hooks()
    assert not model.connection_hooks


def binary(layer):
    layer.weight.data = (layer.weight != 0).float()
    return layer


def test_the_runners_model_refuses_what_does_not_fit(small):
    model = NeuroBenchGraph(small)
    assert model(torch.from_numpy(X).float()).tolist() == [0]
    with pytest.raises(PumiceError, match="whole numbers"):
        model(torch.full((1, 3, 2), 0.5))
    with pytest.raises(PumiceError, match=r"\(batch, 3, \*shape\)"):
        model(torch.ones(1, 4, 2))
    with pytest.raises(PumiceError, match="class, spikes"):
        NeuroBenchGraph(small, answer="counts")
    with pytest.raises(PumiceError, match="no sample length"):
        NeuroBenchGraph(chain((4,), [2], seed=0))


def test_a_matrix_behind_an_image_has_its_columns_where_activity_is_kept():
    weight = np.random.default_rng(0).integers(-3, 4, (3, 12))
    neurons = Cuba("image", (2, 3, 2), vth_mant=1), Cuba("flat", (3,), vth_mant=1)
    synapses = OneToOne("input", "image", weight=100), Dense("image", "flat", weight=weight)
    graph = Graph(Input("input", (2, 3, 2), (0, 1)), neurons, synapses, ("flat",), timing=Timing(3, 3))
    record = _SynapseRecord(graph, synapses[1])
    sent = np.random.default_rng(1).integers(0, 2, (1, 1, 2, 3, 2)).astype(np.int32)
    record.keep(sent.reshape(1, 1, 12))
    expected = synapses[1].accumulate(sent[0, 0], 0, (3,))
    assert record.layer(record.inputs[0][0])[0].tolist() == expected.tolist()
