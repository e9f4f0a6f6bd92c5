"""lava-dl's own sigma-delta networks: lowered as they are, with SLAYER's answer, bit for bit."""

import pytest
import torch
from lava.lib.dl.slayer.block import cuba
from lava.lib.dl.slayer.block import sigma_delta as slayer
from lava.lib.dl.slayer.neuron.norm import MeanOnlyBatchNorm, WgtScaleBatchNorm

import pumice
from pumice.errors import LoweringError
from pumice.nn import sigma_delta as sd
from pumice.testing.exact import check_exact

PARAMS = {"threshold": 0.1, "activation": torch.nn.functional.relu}
NORMED = {**PARAMS, "norm": MeanOnlyBatchNorm}


def network():
    torch.manual_seed(1)
    return torch.nn.Sequential(
        slayer.Input(dict(PARAMS)),
        slayer.Conv(dict(NORMED), 2, 4, 3, padding=1, weight_scale=2),
        slayer.ConvT(dict(PARAMS), 4, 6, 2, stride=2, groups=2, weight_scale=2),
        slayer.Unpool(dict(PARAMS), 2, weight_scale=0.9),
        slayer.Pool(dict(PARAMS), 2, weight_scale=0.5),
        slayer.Flatten(),
        slayer.Dense(dict(PARAMS), 6 * 6 * 8, 7, weight_scale=4),
        slayer.Output(dict(PARAMS), 7, 3, weight_scale=4),
    )


@pytest.fixture(scope="module")
def x():
    steps = torch.randint(-4, 5, (3, 2, 3, 4, 20), generator=torch.Generator().manual_seed(0))
    return steps.cumsum(-1).clamp(-60, 60).float()


@pytest.mark.filterwarnings("ignore:.*could reach")
def test_it_is_lowered_with_slayers_answer(x):
    model = network()
    model.eval()(x / 32)
    model[1].neuron.norm.running_mean.data = torch.tensor([-0.25, 0.5, 0.0, -0.125])
    model[6].neuron.set_bias(torch.tensor([0.25, -0.5, 0.0, 1.0, 0.125, 0.0, -0.25]))
    model[3].neuron.set_bias(torch.linspace(-0.25, 0.25, 6 * 12 * 16).reshape(6, 12, 16).mul(32).round() / 32)
    expected = model(x / 32)
    assert expected.abs().max() > 0.5
    neuron, synapse = model[6].neuron, model[6].synapse
    model[0] = sd.Input.of(model[0])
    assert torch.equal(model(x), expected)
    graph = pumice.lower(model, x)
    assert (model[6].neuron, model[6].synapse) == (neuron, synapse)
    assert torch.equal(model(x).float(), expected)
    assert check_exact(model, graph, x) > 100_000
    assert {p.state_exp for p in graph.populations[2:-1]} == {6}
    assert torch.equal(pumice.run(graph, x).spikes * float(graph.info["unit"]), expected)


@pytest.mark.filterwarnings("ignore:.*could reach")
def test_it_is_fine_tuned_through_its_integers(x):
    model = network().eval()
    model(x / 32)
    model[0] = sd.Input.of(model[0])
    model[6].neuron.set_bias(torch.ones(7))
    pumice.quantize_(model, x)
    target = torch.zeros(3, 3, 20)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for _ in range(10):
        loss = (model(x) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]
    check_exact(model, pumice.lower(model, x), x)


def dense(block_options=None, **params):
    return lambda: torch.nn.Sequential(slayer.Dense({**PARAMS, **params}, 24, 3, **(block_options or {})))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (network, "use nn.sigma_delta.Input.of.block. in its place, and give it round"),
        (dense(persistent_state=True), "persistent_state=True"),
        (dense({"delay": True}), "delay=True"),
        (dense(scale=32), "scale=32; only 64"),
        (dense(norm=WgtScaleBatchNorm), "a norm that scales"),
        (dense(activation=torch.tanh), "an activation that is not ReLU"),
        (
            lambda: torch.nn.Sequential(
                slayer.Unpool(dict(PARAMS), (4, 2), stride=(2, 2), padding=(1, 0)), slayer.Flatten()
            ),
            "unpooling .4, 2. with stride .2, 2.",
        ),
        (
            lambda: torch.nn.Sequential(slayer.Pool(dict(PARAMS), 3), slayer.Flatten()),
            "only a kernel that divides the image's size",
        ),
    ],
)
def test_what_has_no_exact_form_is_refused(make, message, x):
    model = make()
    kinds = [type(module) for module in model.modules()]
    with pytest.raises(LoweringError, match=message):
        pumice.lower(model, x if len(model) > 1 else x.flatten(1, 3))
    assert [type(module) for module in model.modules()] == kinds


def test_lava_dls_decoders_of_spikes_are_lowered_too():
    """Transposed convolutions and unpooling of CUBA neurons, with bias and delays: SLAYER's spikes."""
    torch.manual_seed(1)
    params = {"threshold": 0.6, "current_decay": 0.5, "voltage_decay": 0.25}
    options = {"delay_shift": False}
    model = torch.nn.Sequential(
        cuba.ConvT({**params, "norm": MeanOnlyBatchNorm}, 2, 6, (3, 2), stride=2, padding=(1, 0), groups=2,
                   weight_scale=3, **options),
        cuba.Unpool(dict(params), 2, weight_scale=0.9, delay=True, **options),
        cuba.Pool(dict(params), 2, weight_scale=0.5, **options),
        cuba.ConvT(dict(params), 6, 2, 2, dilation=2, weight_scale=2, **options),
    )  # fmt: skip
    spikes = (torch.rand(3, 2, 3, 4, 20) < 0.4).float()
    for _ in range(3):
        model(spikes)
    expected = model.eval()(spikes)
    assert 0.05 < expected.mean() < 0.95
    graph = pumice.lower(model, spikes)
    assert torch.equal(model(spikes), expected)
    check_exact(model, graph, spikes)
