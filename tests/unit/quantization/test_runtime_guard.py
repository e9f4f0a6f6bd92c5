"""A deployed network refuses what its graph would refuse, or compute otherwise."""

import copy
import io
import pickle

import pytest
import torch

import pumice
from pumice import nn
from pumice.errors import InputError, LoweringError
from pumice.quantization import quantize_

LIF = {"threshold": 0.5, "current_decay": 0.3, "voltage_decay": 0.1}


class Branch(torch.nn.Module):
    """Two blocks in an order that something decides."""

    def __init__(self, other):
        super().__init__()
        self.other = other
        self.a, self.b = (nn.Dense(LIF, 6, 6, weight_scale=4) for _ in range(2))

    def forward(self, x):
        if self.other == "skip":
            return self.b(x) if x.mean() < 0.3 else self.b(self.a(x))
        if self.other == "wiring":
            h = self.a(x)
            return self.b(x if x.mean() < 0.3 else h)
        other = self.training if self.other == "mode" else x.mean() < 0.3
        return self.a(self.b(x)) if other else self.b(self.a(x))


@pytest.fixture
def x():
    return (torch.rand(4, 6, 20) > 0.4).float()


@pytest.fixture
def few():
    return (torch.rand(4, 6, 20) > 0.9).float()


@pytest.fixture
def plain(x):
    return quantize_(torch.nn.Sequential(nn.Dense(LIF, 6, 6, weight_scale=4), nn.Dense(LIF, 6, 3)), x)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: 5 * x, r"whole numbers 0\.\.1, got 0\.\.5; deploy a copy"),
        (lambda x: x - 1, r"whole numbers 0\.\.1, got -1\.\.0"),
        (lambda x: 0.37 * x, r"whole numbers 0\.\.1, got fractions"),
        (lambda x: x * float("nan"), r"whole numbers 0\.\.1, got NaN or infinity$"),
        (lambda x: x + float("inf"), r"whole numbers 0\.\.1, got NaN or infinity$"),
    ],
)
def test_input_that_the_graph_refuses_is_refused(plain, x, change, message):
    with pytest.raises(InputError, match=message):
        plain(change(x))
    plain(x)


@pytest.mark.parametrize("kind", [torch.int64, torch.uint8, torch.bool])
def test_whole_numbers_of_any_type_are_checked(plain, x, kind):
    if kind != torch.bool:
        with pytest.raises(InputError, match=r"got 0\.\.3"):
            plain(3 * x.to(kind))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ("data", "block 'b' is called where 'a' was"),
        ("skip", "block 'b' is called where 'a' was"),
        ("wiring", "block 'b' reads 'input' where it read 'a'"),
    ],
)
def test_control_flow_that_depends_on_data_is_refused(x, few, other, message):
    model = Branch(other).eval()
    pumice.lower(model, x)
    model(x)
    with pytest.raises(LoweringError, match=message):
        model(few)
    model(x)


def test_an_order_of_blocks_that_depends_on_the_mode_is_refused(x):
    model = Branch("mode").train()
    pumice.lower(model, x)
    with pytest.raises(LoweringError, match="make it depend neither on data nor on"):
        model(x)
    model.eval()(x)


def test_a_block_that_is_left_out_at_the_end_is_missed(x):
    model = torch.nn.Sequential(nn.Dense(LIF, 6, 6), nn.Dense(LIF, 6, 6))
    quantize_(model, x)
    model.forward = model[0].__call__
    with pytest.raises(LoweringError, match="block '1' is not called"):
        model(x)


@pytest.mark.parametrize("how", ["deepcopy", "pickle", "torch.save"])
def test_copies_are_guarded_by_themselves(plain, x, how):
    if how == "deepcopy":
        other = copy.deepcopy(plain)
    elif how == "pickle":
        other = pickle.loads(pickle.dumps(plain))
    else:
        file = io.BytesIO()
        torch.save(plain, file)
        file.seek(0)
        other = torch.load(file, weights_only=False)
    assert torch.equal(other(x), plain(x))
    with pytest.raises(InputError, match=r"got 0\.\.5"):
        other(5 * x)


def test_checkpointing_and_wrappers_pass(plain, x):
    class Checkpointed(torch.nn.Module):
        def __init__(self, parts):
            super().__init__()
            self.parts = parts

        def forward(self, x):
            for part in self.parts:
                x = torch.utils.checkpoint.checkpoint(part, x, use_reentrant=False)
            return x

    model = Checkpointed(torch.nn.ModuleList(nn.Dense(LIF, 6, 6, weight_scale=4) for _ in range(3)))
    quantize_(model, x)
    model.train()(x).sum().backward()
    assert all(part.synapse.weight.grad is not None for part in model.parts)
    assert torch.equal(torch.nn.DataParallel(plain)(x), plain(x))


def test_a_new_head_in_a_deployed_model_is_watched_with_it(plain, x, lowered_equals_model):
    plain[1] = nn.Dense(LIF, 6, 4, weight_scale=4)
    lowered_equals_model(plain, x)
    assert plain(x).shape == (4, 4, 20)
    with pytest.raises(InputError, match=r"got 0\.\.5"):
        plain(5 * x)


def test_a_block_that_is_the_model_is_watched(x):
    model = quantize_(nn.Dense(LIF, 6, 6), x)
    model(x)
    quantize_(model, x)
    assert len(model._forward_hooks) == 2
    model(x)


class Tied(torch.nn.Module):
    """One synapse in two blocks, of which one has a large second synapse."""

    def __init__(self, thresholds=(0.5, 0.5)):
        super().__init__()
        lif = {"current_decay": 1.0, "voltage_decay": 0.25}
        self.a = nn.Dense({**lif, "threshold": 0.5}, 6, 8, weight_scale=6)
        self.synapse, self.big = (nn.DenseSynapse(8, 8, norm=nn.TDBN(alpha=0.7)) for _ in range(2))
        self.first = nn.Merge({**lif, "threshold": thresholds[0]}, self.synapse, self.big)
        self.second = nn.Merge({**lif, "threshold": thresholds[1]}, self.synapse)

    def forward(self, x):
        h = self.a(x)
        return self.second(self.first(h, h))


def test_blocks_that_share_an_synapse_share_its_scale(x, lowered_equals_model):
    model = Tied()
    for _ in range(10):
        model.train()(x)
    with torch.no_grad():
        model.big.norm.scale[0] = 10.0
        model.synapse.norm.shift += 0.3
    model.eval()
    h = model.a(x)
    trained = model.first(h, h)
    lowered_equals_model(model, x)
    assert model.first.neuron.integer_scale == model.second.neuron.integer_scale
    assert (model.first(h, h) != trained).float().mean() < 0.1


def test_blocks_that_share_an_synapse_need_one_threshold(x):
    model = Tied((0.5, 0.75))
    model(x)
    with pytest.raises(LoweringError, match=r"share a synapse but have different thresholds \[0.5, 0.75\]"):
        quantize_(model, x)


def test_blocks_that_share_a_synapse_cannot_fold_two_norms_into_it(x):
    params = {"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 0.25, "norm": nn.TDBN}
    model = torch.nn.Sequential(nn.Dense(params, 6, 6), nn.Dense(params, 6, 6))
    model[1].synapse = model[0].synapse
    model(x)
    with pytest.raises(LoweringError, match="the norm of each would be folded into it"):
        quantize_(model, x)
