"""A plan decides, changes nothing, says what it costs; apply does what it says."""

import copy
import pickle
import re
from dataclasses import FrozenInstanceError, replace
from functools import partial

import numpy as np
import pytest
import torch
from lava.lib.dl.slayer.block import cuba as slayer
from lava.lib.dl.slayer.neuron.norm import MeanOnlyBatchNorm

import pumice
from pumice import nn
from pumice.errors import LoweringError
from pumice.quantization import apply, is_quantized, plan, quantize_

LIF = {"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 0.25}
SLOW = {**LIF, "current_decay": 0.25}
ROW, IMAGE = (3, 6, 8), (3, 2, 5, 6, 8)


class Stream(torch.nn.Module):
    """Neurons and a read-out of one residual stream."""

    def __init__(self):
        super().__init__()
        norm = partial(nn.TDBN, threshold=0.5)
        self.a, self.b = nn.DenseSynapse(6, 4, norm=norm), nn.DenseSynapse(4, 4, norm=norm)
        self.fire, self.last = nn.Neurons(LIF), nn.LinearReadout(4, 3)

    def forward(self, x):
        current = nn.Current.of(self.a, x)
        return self.last(current + nn.Current.of(self.b, self.fire(current)))


class Merged(torch.nn.Module):
    """A residual connection past two layers."""

    def __init__(self):
        super().__init__()
        self.first = nn.Dense({**LIF, "norm": nn.TDBN}, 6, 6)
        self.merge = nn.Merge(LIF, nn.DenseSynapse(6, 6, norm=partial(nn.TDBN, alpha=0.7)), nn.IdentitySynapse(6))

    def forward(self, x):
        return self.merge(self.first(x), x)


NETWORKS = {
    "dense": (lambda: torch.nn.Sequential(nn.Dense(SLOW, 6, 4, weight_scale=3), nn.Dense(LIF, 4, 2)), ROW),
    "conv": (lambda: torch.nn.Sequential(nn.Conv({**LIF, "norm": nn.TDBN}, 2, 4, 3), nn.Pool(LIF, (3, 2))), IMAGE),
    "recurrent": (lambda: torch.nn.Sequential(nn.Recurrent(LIF, 6, 4)), ROW),
    "inhibited": (lambda: torch.nn.Sequential(nn.LateralInhibition(LIF, 6, 4)), ROW),
    "of lava-dl": (
        lambda: torch.nn.Sequential(
            slayer.Dense({**LIF, "norm": MeanOnlyBatchNorm}, 6, 4, delay_shift=False),
            slayer.Recurrent({**LIF}, 4, 3, delay_shift=False),
        ),
        ROW,
    ),
    "merged": (Merged, ROW),
    "stream": (Stream, ROW),
}
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*SLAYER fires at its threshold",
    "ignore:.*deploying changes",
    "ignore:LinearReadout",
    "ignore:nothing fires",
)


@pytest.fixture(params=NETWORKS)
def case(request):
    make, shape = NETWORKS[request.param]
    model, x = make(), (torch.rand(shape) < 0.5).float()
    model(x)
    return model.eval(), x


def test_a_plan_changes_nothing(case):
    model, x = case
    before, spikes = copy.deepcopy(model.state_dict()), model(x)
    attributes = {name: set(vars(module)) for name, module in model.named_modules()}
    kinds = [type(module) for module in model.modules()]
    plan(model, x)
    assert not is_quantized(model)
    assert torch.equal(model(x), spikes)
    assert [type(module) for module in model.modules()] == kinds
    assert {name: set(vars(module)) for name, module in model.named_modules()} == attributes
    after = model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_applying_a_plan_is_quantizing(case):
    model, x = case
    decided = plan(model, x)
    twin = pickle.loads(pickle.dumps(model))
    expected = quantize_(model, x)
    assert apply(twin, pickle.loads(pickle.dumps(decided))) is twin
    assert torch.equal(twin(x), expected(x))
    a, b = (net.state_dict() for net in (twin, model))
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_the_figures_are_those_of_the_graph(case):
    model, x = case
    decided = plan(model, x)
    graph = pumice.lower(model, x)
    made_of_layers = [p for p in graph.populations if not p.name.endswith("clock")]
    names = {"input", *(p.name for p in made_of_layers)}
    for population, layer in zip(made_of_layers, decided.layers, strict=True):
        arriving = graph.into(population.name)
        weights = [s.weights for s in arriving if s.source in names]
        assert layer.weights == (min(0, *(int(w.min()) for w in weights)), max(0, *(int(w.max()) for w in weights)))
        bias = np.atleast_1d(population.bias_mant)
        assert (layer.bias[0], layer.bias[1]) == (min(0, int(bias.min())), max(0, int(bias.max())))
        assert layer.vth_mant == getattr(population, "vth_mant", None)
    again = plan(model, x)
    assert all(layer.was_quantized for layer in again.layers)
    assert [layer.scale for layer in again.layers] == [layer.scale for layer in decided.layers]
    assert [layer.weights for layer in again.layers] == [layer.weights for layer in decided.layers]


def test_the_worst_current_is_reached():
    model = torch.nn.Sequential(nn.Dense(SLOW, 6, 1, weight_scale=3))
    x = (torch.rand(3, 6, 120) < 0.5).float()
    with torch.no_grad():
        model[0].synapse.weight.copy_(model[0].synapse.weight.abs())
    (layer,) = plan(model, x).layers
    graph = pumice.lower(model, x)
    stream = np.ones((120, 6), int)
    u = pumice.run(graph, stream, backend="reference", record=True).records["dense0"].states["u"]
    assert layer.worst_u * 0.999 < np.abs(u).max() <= layer.worst_u


@pytest.mark.parametrize(
    ("change", "advice"),
    [
        (lambda m: m[0].synapse.weight.copy_(torch.full((4, 6, 1, 1, 1), 0.1)), "use 3 of 8 bits, the multiples of"),
        (lambda m: m[0].synapse.weight.zero_(), "all its weights round to 0"),
        (lambda m: m[0].synapse.weight.copy_(torch.full((4, 6, 1, 1, 1), 9.0)), r"24 of 24 weights lie outside -256"),
        (lambda m: m[1].neuron.norm.shift.copy_(torch.full((4,), 1e2)), "bias is far larger than they are"),
    ],
)
def test_advice(change, advice):
    model = torch.nn.Sequential(nn.Dense(LIF, 6, 4), nn.Dense({**LIF, "norm": nn.TDBN}, 4, 4)).eval()
    with torch.no_grad():
        change(model)
    text = str(plan(model, torch.ones(ROW)))
    assert re.search(advice, text), text


def test_a_plan_prints_a_row_for_each_layer_and_is_frozen():
    model = torch.nn.Sequential(nn.Dense(LIF, 6, 4), nn.Dense(LIF, 4, 2))
    decided = plan(model, torch.ones(ROW), input_range=(-3, 8))
    lines = str(decided).splitlines()
    assert lines[0] == "input -3..8"
    assert [line.split()[0] for line in lines[1:4]] == ["layer", "0", "1"]
    with pytest.raises(FrozenInstanceError):
        decided.input_range = (0, 1)


def test_a_plan_of_another_model_is_refused_and_the_model_stays():
    x = torch.ones(ROW)
    model = torch.nn.Sequential(nn.Dense(LIF, 6, 4), nn.Dense(LIF, 4, 2))
    other = torch.nn.Sequential(nn.Dense(LIF, 6, 4))
    with pytest.raises(LoweringError, match="the plan has a part '1', which this model lacks"):
        apply(other, plan(model, x))
    assert not is_quantized(other)
    assert not hasattr(other, "runtime_guard")


def test_a_quantized_layer_takes_no_larger_input():
    x = torch.ones(ROW)
    model = quantize_(torch.nn.Sequential(nn.Dense(LIF, 6, 4)), x)
    decided = plan(model, x)
    larger = replace(
        decided, layers=(replace(decided.layers[0], synapses=(replace(decided.layers[0].synapses[0], max_input=9),)),)
    )
    with pytest.raises(LoweringError, match="deployed for inputs up to 1, and gets up to 9"):
        apply(model, larger)


def test_an_synapse_outside_the_model_is_refused():
    synapse = nn.DenseSynapse(6, 4)

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.fire = nn.Neurons(LIF)

        def forward(self, x):
            return self.fire(nn.Current.of(synapse, x))

    with pytest.raises(LoweringError, match="its synapse DenseSynapse is no module of the model"):
        plan(Net(), torch.ones(ROW))


def test_the_old_names_still_work():
    assert nn.deploy is quantize_ is pumice.quantize_
    assert nn.is_deployed is is_quantized


def test_what_quantizing_refuses_the_plan_refuses():
    large = torch.nn.Sequential(nn.Dense(LIF, 300, 4, weight_scale=40))
    with pytest.raises(LoweringError, match="must add up to less than 16777216"):
        plan(large, torch.ones(1, 300, 4), input_range=(0, 65535))
    for threshold, message in ((0.001, "too small"), (3000.0, "is 192000 in the chip's integers, which hold up to")):
        with pytest.raises(LoweringError, match=message):
            plan(torch.nn.Sequential(nn.Dense({**LIF, "threshold": threshold}, 6, 4)), torch.ones(ROW))


@pytest.mark.parametrize(
    ("x", "input_range", "message"),
    [
        (torch.ones(0, 6, 8), None, "the example input holds nothing"),
        (torch.ones(ROW), 5, "input_range must be two whole numbers"),
        (torch.ones(ROW), (0, 2.5), "input_range must be two whole numbers"),
        (torch.ones(ROW), (0, 1, 2), "input_range must be two whole numbers"),
        (torch.ones(ROW), (0, True), "input_range must be two whole numbers"),
        (torch.ones(ROW) + 0j, None, "must be whole numbers"),
        ([[[1.0]]], None, r"the example input must be a torch.Tensor, got list"),
        (torch.tensor(1.0), None, r"must be a batch, .* got shape \(\); of one sample: x.unsqueeze\(0\)"),
        (torch.ones(6, 8), None, r"must be a batch, .* got shape \(6, 8\); of one sample"),
    ],
)
@pytest.mark.parametrize("use", [plan, pumice.quantize_, pumice.lower])
def test_impossible_examples_and_ranges_are_named(use, x, input_range, message):
    with pytest.raises(LoweringError, match=message):
        use(torch.nn.Sequential(nn.Dense(LIF, 6, 4)), x, input_range=input_range)


@pytest.mark.parametrize("use", [plan, pumice.quantize_, pumice.lower])
@pytest.mark.parametrize("given", [None, 3, [nn.Dense(LIF, 6, 4)], nn.Dense(LIF, 6, 4).state_dict(), torch.relu])
def test_what_is_no_model_is_refused(use, given):
    with pytest.raises(LoweringError, match=rf"a torch.nn.Module, got {type(given).__name__}; .*Sequential"):
        use(given, torch.ones(ROW))


def test_whole_numbers_of_numpy_are_a_range():
    found = plan(torch.nn.Sequential(nn.Dense(LIF, 6, 4)), torch.ones(ROW), input_range=(np.int64(0), np.int32(4)))
    assert found.input_range == (0, 4)


def test_an_example_of_booleans_and_a_range_of_nothing():
    model = torch.nn.Sequential(nn.Dense({**LIF, "norm": nn.TDBN}, 6, 4))
    assert plan(model, torch.zeros(ROW), input_range=(0, 0)).input_range == (0, 0)
    assert not plan(torch.nn.Sequential(nn.Dense(LIF, 6, 4)), torch.ones(ROW)).layers[0].was_quantized


class Named(torch.nn.Module):
    def __init__(self, by_keyword=False, **blocks):
        super().__init__()
        self.order, self.by_keyword = list(blocks), by_keyword
        for name, block in blocks.items():
            setattr(self, name, block)

    def forward(self, x):
        for name in self.order:
            x = getattr(self, name)(input=x) if self.by_keyword else getattr(self, name)(x)
        return x


def test_names_that_would_be_confused_are_refused():
    with pytest.raises(LoweringError, match="a block is called 'input', as the network's input is"):
        plan(Named(input=nn.Dense(LIF, 6, 4)), torch.ones(ROW))
    nested = Named(fc=nn.Dense(LIF, 6, 4))
    with pytest.raises(LoweringError, match=r"blocks 'body_fc' and 'body\.fc' would both be 'body_fc' in the graph"):
        pumice.lower(Named(body_fc=nn.Dense(LIF, 6, 6), body=nested), torch.ones(ROW))
    with pytest.raises(LoweringError, match="block 'a' is called by keyword"):
        plan(Named(by_keyword=True, a=nn.Dense(LIF, 6, 4)), torch.ones(ROW))


def test_parts_that_came_later_and_neurons_that_are_shared_are_named():
    x = torch.ones(ROW)
    model = quantize_(torch.nn.Sequential(nn.Dense(LIF, 6, 4)), x)
    model[0].synapse = nn.Dense(LIF, 6, 4).synapse
    with pytest.raises(LoweringError, match=r"block '0' is deployed, and its part '0\.synapse' is not"):
        quantize_(model, x)
    shared = torch.nn.Sequential(nn.Dense(LIF, 6, 4), nn.Dense(LIF, 4, 4))
    shared[1].neuron = shared[0].neuron
    with pytest.raises(LoweringError, match="blocks '0' and '1' share one neuron object"):
        plan(shared, x)
    other = torch.nn.Sequential(torch.nn.Linear(6, 4))
    with pytest.raises(LoweringError, match="the plan's block '0' is a Linear in this model"):
        apply(other, plan(torch.nn.Sequential(nn.Dense(LIF, 6, 4)), x))


def test_a_block_that_came_later_is_watched_by_its_new_name():
    x = (torch.rand(ROW) < 0.5).float()
    model = quantize_(torch.nn.Sequential(nn.Dense(LIF, 6, 6), nn.Dense(LIF, 6, 4)), x)
    model.insert(1, nn.Dense(LIF, 6, 6))
    quantize_(model, x)
    assert model(x).shape == (3, 4, 8)
    guard, order = model.runtime_guard, model.runtime_guard.order
    model.insert(1, nn.Dense({**LIF, "threshold": 0.001}, 6, 6))
    with pytest.raises(LoweringError, match="too small"):
        quantize_(model, x)
    assert model.runtime_guard is guard
    assert guard.order == order


def test_hooks_can_be_removed_after_a_refusal():
    model, called = torch.nn.Sequential(nn.Dense({**LIF, "threshold": 0.001}, 6, 4)), []
    handle = model[0].register_forward_hook(lambda *_: called.append(1))
    with pytest.raises(LoweringError, match="too small"):
        quantize_(model, torch.ones(ROW))
    handle.remove()
    called.clear()
    model(torch.ones(ROW))
    assert not called
