"""What deploying does not know is refused by name, and the model stays what it was."""

import copy

import pytest
import torch
from lava.lib.dl.slayer import neuron as slayer
from lava.lib.dl.slayer import synapse as slayer_synapse
from lava.lib.dl.slayer.neuron.norm import MeanOnlyBatchNorm, WgtScaleBatchNorm

import pumice
from pumice import nn
from pumice.errors import LoweringError, PumiceWarning
from pumice.quantization import is_quantized, quantize_

LIF = {"threshold": 0.5, "current_decay": 0.3, "voltage_decay": 0.1}
FORGETS = {"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 0.25}


def coarse(weight, descale=False):
    return torch.sign(weight) * 0.25 * (64 if descale else 1)


def dense(params=LIF, **options):
    return torch.nn.Sequential(nn.Dense(params, 6, 6, weight_scale=4, **options))


class Odd(slayer.cuba.Neuron):
    def forward(self, x):
        s = super().forward(x)
        return s * (torch.arange(s.shape[-1]) % 2)


class OddCuba(nn.CubaNeuron):
    def forward(self, x):
        return 1 - super().forward(x)


class Clamped(nn.TDBN):
    def forward(self, x):
        return super().forward(x).clamp(-1, 1)


class Named(nn.TDBN):
    """A subclass that leaves the forward pass alone."""


class Half(MeanOnlyBatchNorm):
    def forward(self, x):
        return super().forward(x) * 0.5


class Inverted(nn.Dense):
    def forward(self, x):
        return 1 - super().forward(x)


class InMerge(torch.nn.Module):
    def __init__(self, synapse):
        super().__init__()
        self.m = nn.Merge(FORGETS, synapse)

    def forward(self, x):
        return self.m(x)


def with_neuron(neuron):
    model = dense()
    model[0].neuron = neuron
    return model


def with_hook():
    model = dense()
    model[0].synapse.pre_hook_fx = coarse
    return model


def with_synapse_hook():
    model = InMerge(nn.DenseSynapse(6, 6))
    model.m.synapses[0].weight_hook = coarse
    return model


class OddSynapse(slayer_synapse.Dense):
    def forward(self, x):
        return -super().forward(x)


def with_synapse():
    model = dense()
    model[0].synapse = OddSynapse(6, 6)
    return model


def patched(part):
    """A forward pass of one object's own, as libraries and debuggers put there."""
    model = dense(FORGETS)
    patch(model[0], part)
    return model


def patch(block, part):
    module = block.get_submodule(part)
    before = module.forward
    module.forward = lambda x: before(x) * 0


def patched_in_merge():
    model = InMerge(nn.DenseSynapse(6, 6))
    patch(model.m, "synapses.0")
    return model


REFUSED = {
    "forward of one block": (lambda: patched(""), "Dense has a forward pass of its own"),
    "forward of one neuron": (lambda: patched("neuron"), "neuron CubaNeuron computes in a way of its own"),
    "forward of one synapse": (lambda: patched("synapse"), "synapse Dense computes in a way of its own"),
    "forward of a synapse in a Merge": (patched_in_merge, "synapse DenseSynapse computes in a way of its own"),
    "subclass of SLAYER's synapse": (with_synapse, "synapse OddSynapse computes in a way of its own"),
    "wrapped neuron": (lambda: with_neuron(torch.nn.Sequential(nn.CubaNeuron(**LIF))), "neuron Sequential computes"),
    "dropout that always acts": (lambda: dense({**LIF, "dropout": lambda s: s * 0.5}), "dropout <lambda> changes"),
    "adaptive neuron": (lambda: with_neuron(slayer.alif.Neuron(0.5, 0.3, 0.3, 0.1, 0.1, 0.1)), "neuron Neuron"),
    "subclass of SLAYER's neuron": (lambda: with_neuron(Odd(**LIF)), "neuron Odd computes in a way of its own"),
    "subclass of CubaNeuron": (lambda: with_neuron(OddCuba(**LIF)), r"neuron OddCuba .* \(forward\)"),
    "pre_hook_fx of a block": (lambda: dense(pre_hook_fx=coarse), "quantiser of its own"),
    "pre_hook_fx of a synapse": (with_hook, "quantiser of its own"),
    "weight_hook of a synapse": (with_synapse_hook, "quantiser of its own"),
    "subclass of TDBN": (lambda: dense({**FORGETS, "norm": Clamped}), "norm of type Clamped"),
    "subclass of TDBN in a synapse": (
        lambda: InMerge(nn.DenseSynapse(6, 6, norm=Clamped(threshold=0.5))),
        "type Clamped",
    ),
    "subclass of MeanOnlyBatchNorm": (lambda: dense({**FORGETS, "norm": Half}), "norm of type Half"),
    "subclass of a block": (lambda: torch.nn.Sequential(Inverted(LIF, 6, 6)), "Inverted has a forward pass of its"),
    "threshold off the grid": (
        lambda: dense({**FORGETS, "threshold": 0.01, "norm": nn.TDBN}),
        "threshold 0.0 is too",
    ),
}


def trained(make):
    torch.manual_seed(0)
    model, x = make(), (torch.rand(4, 6, 30) > 0.5).float()
    for _ in range(3):
        model.train()(x)
    return model.eval(), x


@pytest.mark.parametrize("name", REFUSED)
def test_what_deploying_does_not_know_is_refused_and_the_model_stays(name):
    make, message = REFUSED[name]
    model, x = trained(make)
    before, spikes = copy.deepcopy(model.state_dict()), model(x).clone()
    with pytest.raises(LoweringError, match=f"block '.*': .*{message}"):
        pumice.lower(model, x)
    after = model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(value, after[key]) for key, value in before.items())
    assert torch.equal(model(x), spikes)
    assert not is_quantized(model)


@pytest.mark.parametrize("part", ["", "neuron", "synapse"])
def test_what_is_changed_after_quantizing_is_refused(part):
    """On samples in which nothing fires, no proof would find it."""
    model, x = trained(lambda: dense(FORGETS))
    quantize_(model, x)
    x[:2] = 0
    patch(model[0], part)
    with pytest.raises(LoweringError, match=r"block '0': .* of its own"):
        pumice.lower(model, x)


class Noise(torch.nn.Module):
    def forward(self, s):
        return s * torch.randint(0, 2, s.shape) if self.training else s


@pytest.mark.parametrize("drop", [torch.nn.Dropout(0.5), slayer.Dropout(0.5), Noise(), torch.nn.Identity(), None])
def test_dropout_that_acts_in_training_only_is_lowered(drop, lowered_equals_model):
    model, x = trained(lambda: dense({**LIF, "dropout": drop}))
    lowered_equals_model(model.eval(), x)
    model.train()
    pumice.lower(model, x)
    assert model.training
    assert drop is None or drop.training


def test_a_subclass_that_leaves_forward_alone_is_folded():
    model, x = trained(lambda: dense({**FORGETS, "norm": Named}))
    pumice.lower(model, x)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["0.synapse.weight", "0.neuron.norm.running_var", "0.neuron.norm.shift"])
def test_weights_that_are_no_numbers_are_refused_by_name(name, value):
    model, x = trained(lambda: dense({**FORGETS, "norm": nn.TDBN}))
    tensors = dict([*model.named_parameters(), *model.named_buffers()])
    tensors[name].data.view(-1)[0] = value
    with pytest.raises(LoweringError, match=f"'{name}' holds NaN or infinity"):
        quantize_(model, x)


def at_threshold():
    model = torch.nn.Sequential(nn.Dense({"threshold": 64.0, "current_decay": 1.0, "voltage_decay": 0.0}, 6, 6))
    with torch.no_grad():
        model[0].synapse.weight.fill_(1.0)
    return model


def wide():
    model = dense({**FORGETS, "norm": WgtScaleBatchNorm})
    model[0].synapse.weight.data.mul_(3)
    return model


@pytest.mark.parametrize(
    ("make", "message"),
    [(at_threshold, "SLAYER fires at its threshold 64"), (wide, r"deploying changes \d+ of its 720 values")],
)
@pytest.mark.filterwarnings("ignore:.*deploying changes")
def test_spikes_that_deploying_changes_are_announced(make, message):
    model, x = trained(make)
    spikes = model(x).clone()
    with pytest.warns(PumiceWarning, match=message):
        quantize_(model, x)
    assert not torch.equal(model(x), spikes)


class HalfDeployed(torch.nn.Module):
    def __init__(self, body):
        super().__init__()
        self.body, self.head = body, nn.Dense(LIF, 6, 3, weight_scale=4)

    def forward(self, x):
        return self.head(self.body(x))


def test_a_new_head_on_a_deployed_body_is_deployed_too(lowered_equals_model):
    body, x = trained(dense)
    quantize_(body, x)
    spikes = body(x).clone()
    model = HalfDeployed(body)
    lowered_equals_model(model, x)
    assert torch.equal(body(x), spikes)


def test_a_deployed_body_is_refused_for_larger_input():
    body, x = trained(dense)
    quantize_(body, x)
    with pytest.raises(LoweringError, match=r"0\.\.1|inputs up to 1, and gets up to 9"):
        pumice.lower(torch.nn.Sequential(body[0], nn.Dense(LIF, 6, 3)), x, input_range=(0, 9))


def test_a_model_repaired_after_a_refusal_is_lowered(lowered_equals_model):
    model, x = (
        torch.nn.Sequential(nn.Dense(LIF, 6, 6), nn.Dense({**LIF, "threshold": 0.001}, 6, 6)),
        torch.ones(2, 6, 9),
    )
    with pytest.raises(LoweringError, match="block '1'"):
        quantize_(model, x)
    model[1].neuron._threshold = 0.5
    lowered_equals_model(model, x)


def test_a_users_own_infinity_is_no_weight():
    model = torch.nn.Sequential(nn.Dense({"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 0.25}, 3, 2))

    class Own(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.body = model
            self.register_buffer("best_loss", torch.tensor(float("inf")))

        def forward(self, x):
            return self.body(x)

    assert is_quantized(quantize_(Own(), torch.ones(1, 3, 4)))
