"""No batch stays in a model: checkpoints, copies, averages and training after inference, for every kind of block."""

import copy
import io
import pickle
from collections.abc import Callable
from functools import cache

import pytest
import torch
from lava.lib.dl.slayer.block import cuba
from lava.lib.dl.slayer.neuron import cuba as slayer_neuron
from lava.lib.dl.slayer.neuron.norm import MeanOnlyBatchNorm, WgtScaleBatchNorm
from torch.nn import Sequential
from torch.nn.utils import parametrizations, prune

from pumice import nn
from pumice.errors import InputError
from pumice.models import build_model
from pumice.quantization import quantize_

pytestmark = pytest.mark.filterwarnings("ignore")  # torch's about weight norm, ours about what rounding changes

LIF = {"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 0.25}
CUBA = {**LIF, "current_decay": 0.5}
TDBN = {**LIF, "norm": nn.TDBN}
OWN = {
    **CUBA,
    "shared_param": False,
    "requires_grad": True,
    "current_decay": (0.9, 1.0),
    "voltage_decay": (0.1, 0.5),
}
DENSE, IMAGE = (6, 20, 8), (6, 2, 8, 8, 5)


def half():
    return nn.TDBN(alpha=0.7)


class Residual(torch.nn.Module):
    """A sum or a concatenation behind one block, with a head."""

    def __init__(self, params=LIF, *, concat=False, norm=half, delay=False):
        super().__init__()
        self.first = nn.Dense(TDBN, 20, 16)
        synapses = nn.DenseSynapse(16, 16, norm=norm), nn.IdentitySynapse(16, norm=norm)
        self.sum = nn.Merge(params, *synapses, concat=concat, delay=delay)
        self.last = nn.Dense(LIF, 32 if concat else 16, 10)

    def forward(self, x):
        h = self.first(x)
        return self.last(self.sum(h, h))


class Stream(torch.nn.Module):
    """Currents that two layers of neurons and a linear read-out share."""

    def __init__(self, params=LIF):
        super().__init__()
        self.first, self.second = nn.DenseSynapse(20, 16, norm=nn.TDBN), nn.DenseSynapse(16, 16, norm=nn.TDBN)
        self.fire = nn.Neurons(params)
        self.fire_again = nn.Neurons(params)
        self.third = nn.DenseSynapse(16, 16)
        self.head = nn.LinearReadout(16, 10)

    def forward(self, x):
        stream = nn.Current.of(self.first, x)
        stream = stream + nn.Current.of(self.second, self.fire(stream))
        return self.head(stream + nn.Current.of(self.third, self.fire_again(stream)))


def changed(model, change: Callable[[torch.nn.Module], object], *parts: str):
    """The model, after a function of torch has changed some of its parts."""
    for part in parts:
        change(model.get_submodule(part))
    return model


def two_layers(params, **options):
    return Sequential(nn.Dense(params, 20, 16, **options), nn.Dense(CUBA, 16, 10))


def pruned(module):
    return prune.random_unstructured(module, "weight", 0.3)


ZOO: dict[str, tuple[Callable[[], torch.nn.Module], tuple[int, ...]]] = {
    "dense": (lambda: Sequential(nn.Dense(LIF, 20, 16), nn.Dense(CUBA, 16, 10)), DENSE),
    "dense tdbn": (lambda: Sequential(nn.Dense(TDBN, 20, 16), nn.Dense(TDBN, 16, 10)), DENSE),
    "bias free": (
        lambda: Sequential(nn.Dense({**LIF, "norm": nn.BiasFreeNorm}, 20, 16), nn.Dense(LIF, 16, 10)),
        DENSE,
    ),
    "delay": (lambda: Sequential(nn.Dense(CUBA, 20, 16, delay=True), nn.Dense(CUBA, 16, 10)), DENSE),
    "own decays": (lambda: Sequential(nn.Dense(OWN, 20, 16), nn.Dense(OWN, 16, 10)), DENSE),
    "own decays of a merge": (lambda: Residual(OWN, norm=None), DENSE),
    "own decays of neurons": (lambda: Stream({**OWN, "current_decay": (1.0, 1.0)}), DENSE),
    "own decays of a pool": (
        lambda: Sequential(nn.Pool(OWN, 2, delay=True), nn.Flatten(), nn.Dense(LIF, 32, 10)),
        IMAGE,
    ),
    "one channel": (
        lambda: Sequential(nn.Conv(LIF, 2, 1, 3), nn.Pool(OWN, 2, delay=True), nn.Flatten(), nn.Dense(LIF, 9, 10)),
        IMAGE,
    ),
    "weight norm": (
        lambda: Sequential(
            nn.Conv(LIF, 2, 4, 3, weight_norm=True),
            nn.Flatten(),
            nn.Dense(CUBA, 144, 12, weight_norm=True),
            nn.Recurrent(CUBA, 12, 10, weight_norm=True),
        ),
        IMAGE,
    ),
    "weight norm of synapses": (
        lambda: changed(Stream(), torch.nn.utils.weight_norm, "first", "second", "third"),
        DENSE,
    ),
    "pruned": (lambda: changed(Residual(), pruned, "first.synapse", "sum.synapses.0"), DENSE),
    "parametrised": (
        lambda: changed(Residual(), parametrizations.weight_norm, "first.synapse", "sum.synapses.0", "last.synapse"),
        DENSE,
    ),
    "recurrent": (lambda: Sequential(nn.Recurrent(CUBA, 20, 16, delay=True), nn.Dense(CUBA, 16, 10)), DENSE),
    "recurrent tdbn": (lambda: Sequential(nn.Recurrent(TDBN, 20, 16), nn.Recurrent(OWN, 16, 10)), DENSE),
    "persistent": (
        lambda: Sequential(nn.Dense({**CUBA, "persistent_state": True}, 20, 16), nn.Dense(LIF, 16, 10)),
        DENSE,
    ),
    "conv pool delay": (
        lambda: Sequential(
            nn.Conv(TDBN, 2, 8, 3, padding=1), nn.Pool(TDBN, 2, delay=True), nn.Flatten(), nn.Dense(TDBN, 128, 10)
        ),
        IMAGE,
    ),
    "MeanOnly": (
        lambda: Sequential(nn.Dense({**LIF, "norm": MeanOnlyBatchNorm}, 20, 16), nn.Dense(LIF, 16, 10)),
        DENSE,
    ),
    "WgtScale": (
        lambda: Sequential(nn.Dense({**LIF, "norm": WgtScaleBatchNorm}, 20, 16), nn.Dense(LIF, 16, 10)),
        DENSE,
    ),
    "merge": (lambda: Residual(delay=True), DENSE),
    "concatenation": (lambda: Residual(concat=True), DENSE),
    "stream": (Stream, DENSE),
    "stmixer": (lambda: build_model("stmixer", LIF, (2, 8, 8), 10, embed_dim=16, depth=1, heads=2), IMAGE),
    "residual": (
        lambda: Sequential(
            nn.Conv(TDBN, 2, 4, 3, padding=1),
            nn.ResidualBlock(TDBN, 4, 8, stride=2),
            nn.Flatten(),
            nn.Dense(LIF, 128, 10),
        ),
        IMAGE,
    ),
    "stbp": (lambda: nn.set_gradient_(Sequential(nn.Dense(TDBN, 20, 16), nn.Dense(TDBN, 16, 10)), "stbp"), DENSE),
    "surrogate": (
        lambda: Sequential(nn.Dense({**TDBN, "surrogate": "triangle"}, 20, 16), nn.Dense(LIF, 16, 10)),
        DENSE,
    ),
    "lava-dl's blocks": (
        lambda: Sequential(
            cuba.Dense(dict(CUBA), 20, 16, delay=True, delay_shift=False),
            cuba.Dense({**OWN, "norm": MeanOnlyBatchNorm}, 16, 10, delay_shift=False, weight_norm=True),
        ),
        DENSE,
    ),
}


def data(name: str, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 5, ZOO[name][1], generator=generator).float()


def step(model, x):
    """One step of training."""
    optimiser = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], 0.01)
    model.train()(x).sum(-1).logsumexp(1).mean().backward()
    optimiser.step()


def answer(model, x):
    """What the model answers in evaluation, from rest."""
    for module in model.modules():
        if isinstance(module, slayer_neuron.Neuron):
            module.current_state = module.voltage_state = torch.zeros(1)
    with torch.no_grad():
        return model.eval()(x).clone()


def make(name: str, state: str, x: torch.Tensor, seed: int = 0):
    torch.manual_seed(seed)
    model = ZOO[name][0]()
    if state != "fresh":
        for _ in range(3):
            step(model, x)
    if state == "deployed":
        quantize_(model, x)
        step(model, x)
    return model


@cache
def _made(name: str, state: str):
    return make(name, state, data(name))


def made(name: str, state: str):
    """What `make` gives; what is trained, which takes long, as a copy of one model."""
    return make(name, state, data(name)) if state == "fresh" else copy.deepcopy(_made(name, state))


LAVA = "lava-dl's blocks"


def models(*states, leave_out=()):
    """A test of every model in these states."""
    return pytest.mark.parametrize(
        ("name", "state"), [(name, state) for name in ZOO if name not in leave_out for state in states]
    )


def loaded(name, state, saved, x, seed=1):
    """The state in a model of its own that never ran; through a file."""
    torch.manual_seed(seed)
    model = ZOO[name][0]()
    if state == "deployed":
        quantize_(model, x)
    file = io.BytesIO()
    torch.save(saved, file)
    file.seek(0)
    model.load_state_dict(torch.load(file, weights_only=True))
    return model


@models("fresh", "trained", "deployed")
def test_a_state_dict_is_the_models_and_not_the_batchs(name, state):
    """Strictly into a model that never ran, and the same names and shapes whatever batch came last."""
    x = data(name)
    model = made(name, state)
    expected = answer(model, x)
    saved = {key: value.clone() for key, value in model.state_dict().items()}
    model(x[:2])
    assert {key: value.shape for key, value in model.state_dict().items()} == {
        key: value.shape for key, value in saved.items()
    }
    assert not [key for key in saved if key.endswith("_state")]
    other = loaded(name, state, saved, x)
    assert torch.equal(answer(other, x), expected)
    step(other, x)


@models("fresh", "deployed")
def test_copies_are_equal_and_independent(name, state):
    x = data(name)
    model = make(name, state, x)
    expected = answer(model, x)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    copies = [copy.deepcopy(model)]
    if name != "parametrised":  # torch refuses to pickle those, and says so
        copies.append(pickle.loads(pickle.dumps(model)))
    for copied in copies:
        assert torch.equal(answer(copied, x), expected)
        with torch.no_grad():
            for parameter in copied.parameters():
                parameter.mul_(1.5)
        assert not torch.equal(answer(copied, x), expected) or not expected.any()
        step(copied, x)
        assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
        assert torch.equal(answer(model, x), expected)


@models("fresh", "deployed", leave_out=["parametrised", "persistent", LAVA])
def test_nothing_of_a_batch_is_kept(name, state):
    """Pickled, a model is as large after a large batch as after a small one, and holds no state as a buffer.

    Left out: torch does not pickle parametrised modules, persistent states are kept, lava-dl's blocks keep zeros.
    """
    x = data(name)
    large = x.repeat(10, *[1] * (x.ndim - 1))
    sizes = []
    for batch in (x[:2], large):
        model = make(name, state, batch)
        model(batch)
        sizes.append(len(pickle.dumps(model)))
    assert sizes[1] < sizes[0] + 200
    assert not [key for key, _ in model.named_buffers() if key.endswith("_state")]


@models("fresh", "deployed")
def test_averages_and_memory_formats(name, state):
    x = data(name)
    model = made(name, state)
    answer(model, x)
    average = torch.optim.swa_utils.AveragedModel(model, use_buffers=True)
    for batch in (x, x[:3]):
        model(batch)
        average.update_parameters(model)
    assert torch.equal(answer(average.module, x), answer(model, x))
    last = torch.channels_last_3d if x.ndim == 5 else torch.contiguous_format
    expected = answer(model, x)
    model.to(memory_format=torch.channels_last_3d)
    assert torch.equal(answer(model, x.to(memory_format=last)), expected)


@models("fresh", "deployed", leave_out=[LAVA])
@pytest.mark.parametrize("trains", [False, True])
def test_inference_first_does_not_spoil_training(name, state, trains):
    """Everything that the first batch makes is made to be trained with."""
    x = data(name)
    model = made(name, state)
    with torch.inference_mode():
        model.train(trains)(x[:2])
    for batch in (x, x[:3]):
        step(model, batch)
    with torch.inference_mode():
        model.eval()(x)
    copy.deepcopy(model)
    torch.optim.swa_utils.AveragedModel(model, use_buffers=True).update_parameters(model)
    step(model, x)


@models("fresh", "deployed", leave_out=["persistent"])
def test_checkpointing_gives_the_same_gradient(name, state):
    """Left out: a persistent state that is computed twice moves on twice."""
    x = data(name)
    model = made(name, state)
    answer(model, x)
    gradients = []
    for run in (model, lambda x: torch.utils.checkpoint.checkpoint(model, x, use_reentrant=False)):
        model.zero_grad()
        model.train()
        run(x).sum(-1).logsumexp(1).mean().backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    for first, second in zip(*gradients, strict=True):
        assert (first is None) == (second is None)
        assert first is None or torch.equal(first, second)


def test_a_recurrent_block_of_lava_dl_is_deployed_as_ours():
    model = Sequential(cuba.Recurrent(dict(CUBA), 20, 16, delay_shift=False), nn.Dense(CUBA, 16, 10))
    x = data("recurrent")
    model(x)
    ours = Sequential(nn.Recurrent(CUBA, 20, 16), nn.Dense(CUBA, 16, 10))
    ours.load_state_dict(model.state_dict())
    for either in (model, ours):
        quantize_(either, x)
    assert torch.equal(model(x), ours(x))
    assert torch.equal(copy.deepcopy(model).double()(x.double()).float(), ours(x))
    assert len(pickle.dumps(model)) < 3 * len(pickle.dumps(model.state_dict()))


def test_a_deployed_state_and_a_model_that_is_not_are_told_apart():
    x = data("dense")
    plain, deployed = make("dense", "fresh", x), make("dense", "deployed", x)
    with pytest.raises(InputError, match="the model is not deployed; call pumice"):
        plain.load_state_dict(deployed.state_dict())
    with pytest.raises(InputError, match="the model is deployed, and this state_dict is not"):
        deployed.load_state_dict(plain.state_dict())
    weights = {key: value for key, value in deployed.state_dict().items() if key.endswith("weight")}
    plain.load_state_dict(weights, strict=False)
    assert torch.equal(plain[0].synapse.weight, deployed[0].synapse.weight)
    deployed.load_state_dict(weights, strict=False)


def test_states_in_old_checkpoints_are_ignored():
    x = data("recurrent")
    model = make("recurrent", "trained", x)
    old = {**model.state_dict(), "0.spike_state": torch.ones(6, 16), "0.neuron.current_state": torch.ones(6, 16)}
    assert torch.equal(answer(loaded("recurrent", "fresh", old, x), x), answer(model, x))


def test_the_recurrent_gradient_is_slayers():
    """lava-dl computes it by a backward pass for each step, which adds to .grad by itself."""
    x = data("recurrent")
    stock = cuba.Recurrent({**CUBA, "requires_grad": True}, 20, 16, delay_shift=False)
    ours = nn.Recurrent({**CUBA, "requires_grad": True}, 20, 16)
    ours.load_state_dict(stock.state_dict())
    spikes = [block(x) for block in (stock, ours)]
    assert torch.equal(*spikes)
    assert spikes[0].sum() > 0
    weights = torch.randn(spikes[0].shape)
    for y in spikes:
        (y * weights).sum().backward()
    for (name, mine), theirs in zip(ours.named_parameters(), stock.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-4, atol=1e-6, msg=name)
