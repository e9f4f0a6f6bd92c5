import warnings
from collections import OrderedDict
from functools import partial

import numpy as np
import pytest
import torch
from lava.lib.dl.slayer.block import cuba as slayer
from lava.lib.dl.slayer.neuron.norm import MeanOnlyBatchNorm, WgtScaleBatchNorm
from numpy.testing import assert_array_equal

import pumice
from pumice import nn
from pumice.errors import InternalError, LoweringError, PumiceWarning
from pumice.ir import from_stream, to_stream, torch_to_lava
from pumice.quantization import is_quantized, quantize_
from pumice.testing import check_exact

LEAKY = {"threshold": 0.5, "current_decay": 0.3, "voltage_decay": 0.1}
TDBN = {"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 0.75, "norm": nn.TDBN}


def lively(model, x):
    """Train-mode passes to fill the statistics, and weights large enough that every layer fires."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("weight") and parameter.requires_grad:
                parameter.mul_(4)
        for module in model.modules():
            if isinstance(module, nn.TDBN):
                module.shift.add_(0.3)
        for _ in range(3):
            model.train()(x)
    return model.eval()


def lower_quietly(model, x, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PumiceWarning)  # deep inhibition could clip the voltage, in theory
        return pumice.lower(model, x, **options)


def networks():
    return {
        "tdbn conv net": lambda: torch.nn.Sequential(
            nn.Conv(TDBN, 1, 4, 3, padding=1),
            nn.Pool(LEAKY, 2, weight_scale=1.1),
            nn.Conv({**TDBN, "current_decay": 0.4}, 4, 6, (3, 2), stride=(2, 1), padding=(1, 0)),
            nn.Flatten(),
            nn.Dense(TDBN, 24, 5),
        ),
        "plain lava-dl blocks": lambda: torch.nn.Sequential(
            slayer.Conv(dict(LEAKY), 1, 4, 3, padding=1, groups=1, dilation=1, delay_shift=False),
            slayer.Pool(dict(LEAKY), 2, weight_scale=1.1, delay_shift=False),
            slayer.Flatten(),
            slayer.Dense(dict(LEAKY), 48, 8, weight_norm=True, delay_shift=False),
            slayer.Dense({**LEAKY, "shared_param": False}, 8, 3, delay_shift=False),
        ),
        "mixed, with lava-dl's norms": lambda: torch.nn.Sequential(
            slayer.Conv({**LEAKY, "norm": MeanOnlyBatchNorm}, 1, 4, 3, dilation=2, padding=2, delay_shift=False),
            nn.Conv({**LEAKY, "norm": WgtScaleBatchNorm}, 4, 4, 3, groups=2, stride=2),
            nn.Flatten(),
            nn.Dense({**LEAKY, "threshold": 80.0}, 24, 6, weight_scale=30),
        ),
        "an image straight into dense": lambda: torch.nn.Sequential(nn.Flatten(), nn.Dense(TDBN, 48, 6)),
        "slayer's dense over an image": lambda: torch.nn.Sequential(nn.Dense(TDBN, (6, 8, 1), 6)),
    }


@pytest.fixture
def x():
    torch.manual_seed(0)
    return torch.randint(0, 17, (6, 1, 8, 6, 10)).float()


@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm`:FutureWarning")
@pytest.mark.parametrize("name", networks())
def test_samples_back_to_back_equal_the_deployed_network(name, x):
    model = lively(networks()[name](), x)
    graph = lower_quietly(model, x)
    expected = torch_to_lava(model(x).detach().numpy())
    expected = expected.reshape(len(x), 10, -1)
    samples = torch_to_lava(x.numpy()).astype(np.int32)
    spikes = pumice.run(graph, to_stream(graph, samples)).spikes
    assert_array_equal(from_stream(graph, spikes, len(x)).reshape(expected.shape), expected)
    assert 0.01 < expected.mean() < 0.99


@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm`:FutureWarning")
def test_plain_slayer_layers_lower_without_any_loss(x):
    model = lively(networks()["plain lava-dl blocks"](), x)
    trained = model(x)
    lower_quietly(model, x)
    assert torch.equal(model(x), trained)


def test_names_shapes_and_timing(x):
    graph = lower_quietly(lively(networks()["tdbn conv net"](), x), x, input_range=(0, 16))
    assert [(p.name, p.shape) for p in graph.populations] == [
        ("conv0", (6, 8, 4)),
        ("pool1", (3, 4, 4)),
        ("conv2", (2, 2, 6)),
        ("dense4", (5,)),
    ]
    assert graph.input.value_range == (0, 16)
    assert graph.synapses[0].graded
    assert not graph.synapses[1].graded
    assert (graph.latency, graph.timing.sample_steps, graph.timing.period_steps) == (4, 10, 16)
    assert [p.reset.offset for p in graph.populations] == [2, 3, 4, 5]


def test_slashes_in_a_modules_name_are_none_in_the_graph():
    """They separate groups in a file."""
    model = torch.nn.Sequential(OrderedDict({"fc/in\\put": nn.Dense(LEAKY, 3, 2)}))
    assert lower_quietly(model, torch.ones(1, 3, 5)).outputs == ("fc_in_put",)


def test_trained_delays_sit_on_the_next_layers_columns():
    torch.manual_seed(0)
    x = (torch.rand(1, 1, 4, 4, 30) > 0.5).float()
    model = torch.nn.Sequential(
        nn.Conv(LEAKY, 1, 3, 3, delay=True, weight_scale=4), nn.Flatten(), nn.Dense(LEAKY, 12, 5, weight_scale=4)
    )
    model(x)
    model[0].delay.delay.data = torch.tensor([0.0, 3.9, 80.0])
    graph = pumice.lower(model, x)
    assert graph.synapses[1].delay_steps.tolist() == [0] * 4 + [3] * 4 + [62] * 4


LINGERING = {
    "recurrent": lambda: [nn.Dense(TDBN, 6, 12), nn.Recurrent(TDBN, 12, 10), nn.Dense(TDBN, 10, 4)],
    "delays": lambda: [nn.Dense(TDBN, 6, 12, delay=True), nn.Dense(LEAKY, 12, 9, delay=True), nn.Dense(TDBN, 9, 4)],
    "both": lambda: [nn.Dense(TDBN, 6, 12, delay=True), nn.Recurrent(LEAKY, 12, 9, delay=True), nn.Dense(TDBN, 9, 4)],
    "stock recurrent": lambda: [slayer.Recurrent(dict(LEAKY), 6, 9, delay_shift=False), nn.Dense(TDBN, 9, 4)],
}


@pytest.mark.parametrize("name", LINGERING)
def test_delayed_and_recurrent_spikes_stay_within_their_sample(name):
    torch.manual_seed(0)
    x = (torch.rand(6, 6, 20) > 0.4).float()
    model = lively(torch.nn.Sequential(*LINGERING[name]()), x)
    for block in model:
        if block.delay is not None:
            block.delay.delay.data = torch.rand_like(block.delay.delay) * 9
    graph = lower_quietly(model, x)
    expected = torch_to_lava(model(x).detach().numpy())
    stream = to_stream(graph, torch_to_lava(x.numpy()).astype(int))
    assert_array_equal(from_stream(graph, pumice.run(graph, stream).spikes, 6), expected)
    assert 0.01 < expected.mean() < 0.99
    # Without its clocks, samples would disturb each other: the test can fail.
    bare = graph.replace(synapses=tuple(s for s in graph.synapses if not s.source.endswith("_clock")))
    assert (from_stream(graph, pumice.run(bare, stream).spikes, 6) != expected).any() or name == "stock recurrent"


@pytest.mark.lava
def test_delayed_and_recurrent_spikes_on_lava():
    torch.manual_seed(0)
    x = (torch.rand(4, 6, 20) > 0.4).float()
    model = lively(torch.nn.Sequential(*LINGERING["both"]()), x)
    graph = lower_quietly(model, x)
    stream = to_stream(graph, torch_to_lava(x.numpy()).astype(int))
    spikes = pumice.run(graph, stream, backend="lava-in-threads").spikes
    assert_array_equal(from_stream(graph, spikes, 4), torch_to_lava(model(x).detach().numpy()))
    assert spikes.any()


def test_a_delay_on_an_output_layer_is_refused():
    model, x = torch.nn.Sequential(nn.Dense(LEAKY, 3, 3, delay=True)), torch.ones(2, 3, 8)
    model(x)
    with pytest.raises(LoweringError, match="delay=True on an output layer"):
        pumice.lower(model, x)


def test_a_period_shorter_than_a_sample_is_refused(x):
    with pytest.raises(LoweringError, match=r"period_steps must be >= 10 \(a sample's 10 steps\), got 8"):
        pumice.lower(networks()["an image straight into dense"]().eval(), x, period_steps=8)


@pytest.mark.filterwarnings("ignore:.*SLAYER fires at its threshold")
def test_what_the_chip_cannot_hold_is_refused_by_name():
    model = torch.nn.Sequential(nn.Dense({**LEAKY, "threshold": 2048.0}, 3, 3))
    with pytest.raises(
        LoweringError, match=r"its threshold 2048\.0 is 131072 in the chip's integers, which hold up to 131071"
    ):
        pumice.lower(model, torch.ones(1, 3, 4))


def test_a_bias_beyond_13_bits_is_not_cut_off_silently():
    model = torch.nn.Sequential(nn.Dense({**LEAKY, "norm": MeanOnlyBatchNorm}, 3, 3, weight_scale=0.1))
    model(torch.ones(1, 3, 4))
    model[0].neuron.norm.running_mean = torch.tensor([0.0, 1.0, 65.0])
    model[0].neuron.norm.pre_hook_fx = lambda x, descale=False: x * (64 if descale else 1)
    with pytest.raises(LoweringError, match=r"block '0': its bias must lie in -4096\.\.4095 .* -4160 to 0"):
        pumice.lower(model.eval(), torch.ones(1, 3, 4))


@pytest.mark.filterwarnings("ignore:.*deploying changes")
def test_a_possible_clip_is_announced():
    model = torch.nn.Sequential(
        nn.Dense({**LEAKY, "current_decay": 0.0, "voltage_decay": 0.0}, 300, 2, weight_scale=90)
    )
    with pytest.warns(PumiceWarning, match="could reach"):
        pumice.lower(model, torch.ones(1, 300, 64))


def test_a_proof_without_spikes_is_announced():
    silent = {**LEAKY, "threshold": 60.0}
    model = torch.nn.Sequential(nn.Dense(LEAKY, 3, 3), nn.Dense(silent, 3, 3), nn.Dense(LEAKY, 3, 2))
    with torch.no_grad():
        model[0].synapse.weight.fill_(2.0)
    with pytest.warns(PumiceWarning, match="nothing fires in '1' on the example's first samples"):
        pumice.lower(model, torch.ones(1, 3, 5))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"residual": "synapse"}, "residual must be one of auto, synapses, relays, got 'synapse'"),
        *(({"period_steps": n}, f"period_steps must be a whole number .*, got {n!r}") for n in ("8", 8.0, 0, -8)),
        ({"keep": "head"}, r"keep must be names of blocks, .* got the name 'head'; give \('head',\)"),
        ({"chip": "loihi2"}, "chip must be a pumice.hardware.ChipLimits, or None, got 'loihi2'"),
    ],
)
def test_a_wrong_choice_leaves_the_network_as_it_is(wrong, message):
    model = torch.nn.Sequential(nn.Dense(LEAKY, 3, 3))
    with pytest.raises(LoweringError, match=message):
        pumice.lower(model, torch.ones(1, 3, 5), **wrong)
    assert not is_quantized(model)


@pytest.mark.parametrize("defect", ["late reset", "dropped bias", ">= for >", "floor of negatives", "swapped x/y"])
def test_the_proof_finds_planted_defects(defect, x, monkeypatch):
    """Each defect is planted into the reference that a lowered graph is proved with."""
    from pumice.fixedpoint import bits, cuba
    from pumice.ir.populations import leaky
    from pumice.ir.synapses import conv

    if defect == "late reset":
        monkeypatch.setattr("pumice.ir.reset.Reset.applies", lambda r, t: (t - 1) % r.interval == r.offset)
    elif defect == "dropped bias":
        monkeypatch.setattr(leaky, "effective_bias", lambda mant, exp: 0)
    elif defect == ">= for >":
        monkeypatch.setattr(
            leaky, "cuba_step", lambda *a, **k: cuba.cuba_step(*a, **{**k, "vth_mant": k["vth_mant"] - 1})
        )
    elif defect == "floor of negatives":
        monkeypatch.setattr(cuba, "shift_toward_zero", lambda v, n: np.asarray(v, np.int64) >> n)
        assert bits.shift_toward_zero(-1, 1) == 0
    else:
        right = conv.conv_accumulate
        monkeypatch.setattr(conv, "conv_accumulate", lambda w, s, **k: right(w.transpose(0, 2, 1, 3), s, **k))
    model = torch.nn.Sequential(
        lively(nn.Conv({**TDBN, "voltage_decay": 0.3}, 1, 8, 3, padding=1), x),
        nn.Conv(LEAKY, 8, 32, 3, padding=1),
    )
    with pytest.raises(InternalError, match="differs from the deployed network first at block"):
        pumice.lower(model, x.repeat(1, 1, 1, 1, 6))


def test_a_persistent_state_is_deployed_but_not_lowered(x):
    """The deployed network goes on from batch to batch; a graph's populations begin each sample at rest."""
    stream = torch.randint(0, 2, (2, 6, 12)).float()
    model = torch.nn.Sequential(nn.Dense({**LEAKY, "persistent_state": True}, 6, 5, weight_scale=3))
    whole = torch.nn.Sequential(nn.Dense(LEAKY, 6, 5))
    whole.load_state_dict(model.state_dict())
    quantize_(whole, stream)
    with pytest.raises(LoweringError, match="persistent_state=True, and a graph's populations are reset"):
        pumice.lower(model, stream)
    assert not is_quantized(model)
    quantize_(model, stream)
    parts = torch.cat([model(part) for part in stream.split(4, -1)], -1)
    assert parts.sum() > 0
    assert torch.equal(parts, whole(stream))
    model[0].neuron.reset_state()
    assert torch.equal(model(stream), whole(stream))


def test_a_population_that_nothing_reaches_any_more_still_lowers():
    """Gains of 0 leave the bias, whose first step the input's path still states."""
    norm = partial(nn.TDBN, alpha=1.0)
    merge = nn.Merge(
        {"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 0.25},
        nn.DenseSynapse(4, 4, norm=norm),
        nn.IdentitySynapse(4, norm=norm),
    )
    model = torch.nn.Sequential(nn.Dense({"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 0.25}, 4, 4))

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.merge = model, merge

        def forward(self, x):
            return self.merge(self.first(x), x)

    net, x = Net().eval(), (torch.rand(3, 4, 9) < 0.5).float()
    with torch.no_grad():
        for synapse in merge.synapses:
            synapse.norm.scale.fill_(0)
            synapse.norm.shift.copy_(torch.full_like(synapse.norm.shift, 0.4))
    graph = pumice.lower(net, x)
    assert net(x).any()
    assert check_exact(net, graph, x) > 0


def test_a_bias_that_training_cuts_off_lowers_as_it_runs():
    """Quantized, it cannot leave 13 bits: what is trained on is the bias that the graph has."""
    layer = nn.Dense({"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 0.25, "norm": nn.TDBN}, 4, 4)
    model, x = torch.nn.Sequential(layer).eval(), (torch.rand(3, 4, 9) < 0.5).float()
    with torch.no_grad():
        layer.neuron.norm.shift.copy_(torch.full((4,), 3.0))  # so that the bias limits the scale
    quantize_(model, x)
    with torch.no_grad():
        layer.neuron.norm.shift.add_(1)
    graph = pumice.lower(model, x)
    assert np.max(graph.populations[-1].bias_mant) == 4095
    assert check_exact(model, graph, x) > 0
