from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.utils import prune

import pumice
from pumice import nn
from pumice.errors import InputError
from pumice.lowering.synapses import population_name
from pumice.models import build_model
from pumice.quantization.trace import SYNAPTIC, trace
from pumice.train import Recipe, train
from pumice.train.regularizers import Activity, SynapticEvents, fan_out, make_regularizers

PARAMS = {"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 0.25}


def test_activity_counts_what_is_outside_of_the_bounds():
    spikes = {
        "a": torch.tensor([[[1.0, 0.0, 0.0, 0.0]]]),
        "b": torch.zeros(1, 1, 4),
        "c": torch.full((1, 1, 4), 0.15),
    }
    value = Activity(weight=3.0, max_rate=0.2, min_rate=0.1)(spikes).item()
    assert value == pytest.approx(3.0 * (0.05**2 + 0.1**2))


def test_activity_pushes_rates_back():
    busy, silent = torch.ones(1, 2, 3, requires_grad=True), torch.zeros(1, 2, 3, requires_grad=True)
    Activity(max_rate=0.2, min_rate=0.1)({"a": busy, "b": silent}).backward()
    assert (busy.grad > 0).all()
    assert (silent.grad < 0).all()


def brute_force_fan_out(block, shape):
    """Switch one neuron on at a time and count the currents that it reaches."""
    block.synapse.weight.data.fill_(1.0)
    block.synapse.pre_hook_fx = None
    counts = torch.zeros(shape)
    for index in torch.cartesian_prod(*map(torch.arange, shape)):
        x = torch.zeros(1, *shape, 1)
        place = (0, *index, 0)
        x[place] = 1.0
        counts[tuple(index)] = float(block.synapse(x).detach().sum())
    return counts


@pytest.mark.parametrize(
    "options", [{}, {"stride": 2}, {"padding": 1}, {"groups": 2}, {"stride": 2, "padding": 1}], ids=str
)
def test_fan_out_of_a_convolution(options):
    model = torch.nn.Sequential(nn.Conv(PARAMS, 1, 2, 3, padding=1), nn.Conv(PARAMS, 2, 4, 3, **options))
    counts = fan_out(model, torch.ones(1, 1, 5, 6, 3))
    assert torch.equal(counts["0"], brute_force_fan_out(model[1], (2, 5, 6)))
    assert not counts["1"].any()


def test_fan_out_does_not_depend_on_weights_that_torch_computes():
    """As those that are pruned, or have a weight norm."""
    model = torch.nn.Sequential(nn.Conv(PARAMS, 1, 2, 3, padding=1), nn.Conv(PARAMS, 2, 4, 3))
    counts = fan_out(model, torch.ones(1, 1, 5, 6, 3))
    prune.l1_unstructured(model[1].synapse, "weight", amount=5)
    assert torch.equal(fan_out(model, torch.ones(1, 1, 5, 6, 3))["0"], counts["0"])


def test_fan_out_through_pool_and_flatten():
    model = torch.nn.Sequential(
        nn.Conv(PARAMS, 1, 2, 3, padding=1), nn.Pool(PARAMS, 2), nn.Flatten(), nn.Dense(PARAMS, 8, 5)
    )
    counts = fan_out(model, torch.ones(1, 1, 4, 4, 3))
    assert torch.equal(counts["0"], torch.ones(2, 4, 4))
    assert torch.equal(counts["1"], torch.full((2, 2, 2), 5.0))


def test_several_consumers_add_up():
    class Residual(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Conv(PARAMS, 1, 2, 1)
            self.sum = nn.Merge(PARAMS, nn.ConvSynapse(2, 3, 1), nn.ConvSynapse(2, 3, 1))

        def forward(self, x):
            h = self.first(x)
            return self.sum(h, h)

    counts = fan_out(Residual(), torch.ones(1, 1, 2, 2, 3))
    assert torch.equal(counts["first"], torch.full((2, 2, 2), 6.0))


def test_recurrent_synapses_count():
    model = torch.nn.Sequential(nn.Dense(PARAMS, 2, 3), nn.Recurrent(PARAMS, 3, 4))
    counts = fan_out(model, torch.ones(1, 2, 3))
    assert (counts["0"].tolist(), counts["1"].tolist()) == ([4.0] * 3, [4.0] * 4)


def in_the_graph(model, x):
    """Fan-out of every block in the lowered graph, with no weight rounded to 0; neurons in torch's order."""
    graph = pumice.lower(model, x, residual="synapses")
    full = [replace(s, weight=np.full_like(s.weight, 2)) for s in graph.synapses]
    counts = {}
    for synapse in full:
        source = synapse.source
        per_neuron = synapse.fan_out(*graph.ends_of(synapse)).reshape(graph.shape_of(source)).T
        counts[source] = counts.get(source, 0) + per_neuron
    names = {call.name: population_name(call) for call in trace(model, x) if isinstance(call.block, SYNAPTIC)}
    return {name: counts.get(name_in_graph, 0) for name, name_in_graph in {"input": "input", **names}.items()}


@pytest.mark.parametrize(
    ("network", "arguments"),
    [
        ("resnet", {"layers": 19, "width": 1 / 32}),
        ("resnet", {"layers": 50, "width": 1 / 32, "identity_norm": False}),
        ("stmixer", {"embed_dim": 16, "depth": 2, "heads": 2}),
        ("stmixer", {"embed_dim": 8, "depth": 1, "heads": 4, "downsampling": 1, "short_path": False}),
    ],
)
@pytest.mark.filterwarnings("ignore:nothing fires in:pumice.errors.PumiceWarning")  # connections are counted
def test_networks_of_several_synapses_count_as_their_graph(network, arguments):
    params = {"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 0.75, "norm": nn.TDBN}
    x = torch.randint(0, 9, (4, 2, 8, 12, 2), generator=torch.Generator().manual_seed(0)).float()
    torch.manual_seed(0)
    model = build_model(network, params, (2, 8, 12), 5, **arguments)
    model(x)
    counted = fan_out(model.eval(), x)
    expected = in_the_graph(model, x)
    assert counted.keys() == expected.keys()
    for name, counts in counted.items():
        np.testing.assert_array_equal(counts.numpy(), np.broadcast_to(expected[name], counts.shape), err_msg=name)
    assert sum(bool(counts.any()) for counts in counted.values()) == len(counted) - 1  # all but the output


def test_a_mixer_is_trained_with_both_regularisers(digits):
    recipe = Recipe(
        data={"max_train": 24, "max_test": 10, "steps": 2},
        network={"name": "stmixer", "args": {"embed_dim": 16, "depth": 1, "heads": 2}},
        training={"epochs": 2, "finetune_epochs": 1, "batch_size": 8},
    )
    plain = train(recipe, digits).history
    costly = recipe.overridden(['training.regularizers={"synaptic_events": {"weight": 10}, "activity": {}}'])
    for before, after in zip(plain, train(costly, digits).history, strict=True):
        assert after.loss > before.loss


def test_the_weights_stay(rng):
    model = torch.nn.Sequential(nn.Dense(PARAMS, 2, 3), nn.Dense(PARAMS, 3, 4))
    before = [p.clone() for p in model.parameters()]
    fan_out(model, torch.ones(1, 2, 3))
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_synaptic_events_weigh_spikes_by_what_they_reach():
    cost = SynapticEvents({"input": torch.tensor([99.0]), "a": torch.tensor([3.0, 1.0])}, weight=2.0)
    spikes = torch.zeros(2, 2, 5)
    spikes[0, 0, 1] = 1.0  # 3 events
    spikes[1, 1, [0, 4]] = 1.0  # 2 events
    assert cost({"a": spikes}).item() == pytest.approx(2.0 * (5 / 2) / (5 * 4))


def test_their_gradient_is_the_fan_out():
    spikes = torch.zeros(1, 2, 4, requires_grad=True)
    SynapticEvents({"a": torch.tensor([3.0, 1.0])})({"a": spikes}).backward()
    ratio = spikes.grad[0, 0] / spikes.grad[0, 1]
    torch.testing.assert_close(ratio, torch.full((4,), 3.0))


def test_bad_choices():
    model, x = torch.nn.Sequential(nn.Dense(PARAMS, 2, 3)), torch.ones(1, 2, 3)
    with pytest.raises(InputError, match="unknown regulariser 'l2'; there are: activity, exponential_weights, "):
        make_regularizers({"l2": {}}, model, x)
    with pytest.raises(InputError, match="regulariser 'activity' takes no argument rate; its arguments are: weight"):
        make_regularizers({"activity": {"rate": 1}}, model, x)
    with pytest.raises(InputError, match="min_rate <= max_rate"):
        make_regularizers({"activity": {"min_rate": 1}}, model, x)
    for name in ("activity", "planned_cost", "synaptic_events"):
        for weight in (-1, float("nan"), float("inf")):
            with pytest.raises(InputError, match=r"weight must be >= 0.* finite, .*got"):
                make_regularizers({name: {"weight": weight}}, model, x)


@pytest.mark.parametrize("cost", [Activity(), SynapticEvents({"input": torch.ones(2)})])
def test_a_network_without_spikes_is_refused(cost):
    with pytest.raises(InputError, match="the network has no block that spikes; leave it out"):
        cost({})
