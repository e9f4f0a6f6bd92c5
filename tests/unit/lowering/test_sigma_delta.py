"""Sigma-delta networks: quantized, lowered, and every integer held to every backend."""

import copy
import io
import itertools

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

import pumice
from pumice import ir, nn
from pumice.data import load_digits
from pumice.errors import InputError, LoweringError
from pumice.lowering.sigma_delta import _digits, _n_digits
from pumice.nn import sigma_delta as sd
from pumice.pipeline import lower_trained
from pumice.pipeline.compare import run_test_split
from pumice.pipeline.lowered import encoded_test
from pumice.quantization import is_quantized, plan, quantize_
from pumice.testing.exact import check_exact
from pumice.train import PRESETS, train
from pumice.train.runtime.precision import neurons_in_float32

PARAMS = {"threshold": 0.04}


class UNet(torch.nn.Module):
    """All blocks, sums and concatenations, and paths of different length."""

    def __init__(self):
        super().__init__()
        self.encoder = sd.Input(0.03, fraction_bits=6)
        self.first = sd.Conv(PARAMS, 2, 4, 3, padding=1)
        self.down = sd.Conv(PARAMS, 4, 6, 3, stride=2, padding=1, groups=2)
        self.up = sd.ConvT(PARAMS, 6, 4, 2, stride=2)
        self.sum = sd.Merge(
            PARAMS,
            nn.IdentitySynapse(4),
            nn.ConvSynapse(4, 4, 1),
            nn.ConvTransposeSynapse(6, 4, 3, stride=2, padding=1, output_padding=1),
        )
        self.concat = sd.Merge({"activation": None}, nn.ConvSynapse(4, 3, 1), nn.IdentitySynapse(4), concat=True)
        self.large = sd.Upsample({"threshold": 0.1, "bias": False}, 7, (1, 2))
        self.flatten = sd.Flatten()
        self.hidden = sd.Dense(PARAMS, 7 * 4 * 12, 10)
        self.output = sd.Output(10, 3)

    def forward(self, x):
        first = self.first(self.encoder(x))
        down = self.down(first)
        up = self.up(down)
        joined = self.concat(self.sum(first, up, down), up)
        return self.output(self.hidden(self.flatten(self.large(joined))))


def network():
    torch.manual_seed(0)
    model = UNet()
    for module in model.modules():
        if isinstance(module, nn.SigmaDeltaNeuron) and module.bias is not None:
            torch.nn.init.uniform_(module.bias, -0.3, 0.3)
    return model


def dense(*sizes, **params):
    torch.manual_seed(0)
    layers = [sd.Dense({**PARAMS, **params}, n, m) for n, m in itertools.pairwise(sizes[:-1])]
    model = torch.nn.Sequential(sd.Input(0.02, fraction_bits=5), *layers, sd.Output(*sizes[-2:]))
    for layer in model[1:]:
        torch.nn.init.uniform_(layer.neuron.bias, -0.4, 0.4)
    return model


@pytest.fixture(scope="module")
def x():
    """Images that change slowly."""
    steps = torch.randint(-9, 10, (3, 2, 4, 6, 12), generator=torch.Generator().manual_seed(0))
    return steps.cumsum(-1).clamp(-60, 60).float()


@pytest.mark.filterwarnings("ignore:.*could reach")
def test_every_integer_is_that_of_the_reference_and_of_the_fast_backend(x):
    model = network()
    real = model(x)
    graph = pumice.lower(model, x)
    assert check_exact(model, graph, x, backends=("fast",)) > 20_000
    answer = model(x)
    assert (answer - real).abs().max() < 0.1 * real.abs().max()
    assert torch.equal(pumice.run(graph, x).spikes.double() * float(graph.info["unit"]), answer)
    assert {type(p) for p in graph.populations} == {ir.Delta, ir.SigmaDelta, ir.Sigma}


@pytest.mark.lava
@pytest.mark.filterwarnings("ignore:.*could reach")
def test_lava_computes_the_same(x):
    model = network()
    graph = pumice.certify(pumice.lower(model, x), x[:1])
    assert min(pumice.verify(graph, backends=("lava-in-threads", "lava-one-process")).values()) > 5_000


def test_a_bias_is_one_event_at_the_first_input(x):
    model, flat = dense(48, 6, 5, 2), x.flatten(1, 3)
    graph = pumice.lower(model, flat)
    sender = graph.population("bias")
    sent = pumice.run(graph, ir.to_stream(graph, ir.torch_to_lava(flat[:1].numpy()).astype(int)), record=True)
    assert np.flatnonzero(sent.records["bias"].s.any(1)).tolist() == [0]
    assert ir.latencies(graph) == {"input": 0, "bias": 0, "input0": 0, "dense1": 1, "dense2": 2, "output3": 3}
    assert sender.bias.tolist() == [256**k for k in range(len(sender.bias))]


def test_digits_make_the_bias():
    bias = np.array([0, 2, -2, 254, 256, -256, -258, 8_388_606, -8_388_608])
    n = _n_digits(bias)
    digits = _digits(bias, n)
    assert_array_equal(digits @ 256 ** np.arange(n), bias)
    assert digits.min() >= -256
    assert digits.max() <= 254
    assert not (digits % 2).any()
    assert _n_digits(np.array([254])) == 1


def test_a_network_without_bias_has_no_sender(x):
    model = torch.nn.Sequential(sd.Input(fraction_bits=5), sd.Flatten(), sd.Output(48, 2, bias=False))
    assert [p.name for p in pumice.lower(model, x).populations] == ["input0", "output2"]


def test_events_may_enter_without_encoder(x):
    """What a sensor sends are changes already; a threshold of 0 loses none of them."""
    events = (torch.rand(2, 8, 15, generator=torch.Generator().manual_seed(0)) < 0.2).float()
    model = torch.nn.Sequential(sd.Dense({"bias": False}, 8, 6), sd.Output(6, 3))
    check_exact(model, pumice.lower(model, events), events)


def test_samples_of_a_batch_do_not_see_each_other(x):
    model, flat = dense(48, 6, 5, 2), x.flatten(1, 3)
    graph = pumice.lower(model, flat)
    assert ir.remembers(graph)
    unit = float(graph.info["unit"])
    answers = pumice.run(graph, flat, record=True)
    assert torch.equal(answers.spikes.double() * unit, model(flat))
    assert answers.records["dense1"].states["sigma"].shape == (3, 6, 12)
    array = pumice.run(graph, flat.numpy(), layout="torch").spikes
    assert_array_equal(array, answers.spikes)
    samples = list(zip(ir.torch_to_lava(flat.numpy()).astype(int), model(flat).numpy(force=True), strict=True))
    result = pumice.evaluate(graph, samples, check={"reference": 3})
    assert result.error == 0
    assert result.checked["reference"] > 1000


def test_fine_tuning_learns_through_the_integers(x):
    model, flat = dense(48, 6, 5, 2), x.flatten(1, 3)
    target = torch.zeros(3, 2, 12)
    quantize_(model, flat)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for _ in range(30):
        loss = (model(flat) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        assert all(p.grad is not None for p in model.parameters())
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]
    check_exact(model, pumice.lower(model, flat), flat)


def test_a_copy_a_pickle_and_a_checkpoint_hold_the_integers(x):
    model, flat = dense(48, 6, 5, 2), x.flatten(1, 3)
    fresh = copy.deepcopy(model)
    quantize_(model, flat)
    expected = model(flat)
    assert torch.equal(copy.deepcopy(model)(flat), expected)
    stored = io.BytesIO()
    torch.save(model.state_dict(), stored)
    stored.seek(0)
    state = torch.load(stored, weights_only=True)
    with pytest.raises(InputError, match="deployed network's"):
        fresh.load_state_dict(state)
    quantize_(fresh, flat).load_state_dict(state)
    assert is_quantized(fresh)
    assert torch.equal(fresh(flat), expected)


def test_plans_say_how_weights_fill_their_bits(x):
    model, flat = dense(48, 6, 5, 2), x.flatten(1, 3)
    decided = plan(model, flat)
    assert not is_quantized(model)
    assert min(layer.weight_bits for layer in decided.layers[1:]) >= 7
    assert "dense" not in str(decided)
    again = plan(quantize_(model, flat), flat)
    assert [layer.fraction_bits for layer in again.layers] == [layer.fraction_bits for layer in decided.layers]


def test_what_is_cut_off_of_messages_does_not_add_up():
    """Each loses up to one unit, always downward; after 200 steps the answer is still the trained one."""
    torch.manual_seed(0)
    walk = torch.randint(-6, 7, (4, 8, 200)).cumsum(-1).clamp(-128, 127).float()
    model = torch.nn.Sequential(
        sd.Input(fraction_bits=7), sd.Dense({}, 8, 24), sd.Dense({}, 24, 24), sd.Output(24, 1)
    )
    expected = model(walk).detach()
    found = quantize_(model, walk)(walk)
    late = (found - expected)[..., 150:].abs().mean() / expected.abs().max()
    assert late < 0.05


def spiking(n):
    return nn.Dense({"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 0.5}, n, 6)


class Twice(torch.nn.Module):
    def __init__(self):
        super().__init__()
        synapse = nn.DenseSynapse(48, 48)
        self.a, self.b = sd.Merge({}, synapse), sd.Merge({}, synapse)

    def forward(self, x):
        return self.b(self.a(x))


class Own(nn.SigmaDeltaNeuron):
    def forward(self, z):
        return super().forward(2 * z)


def with_own_neuron():
    model = dense(48, 6, 5, 2)
    model[1].neuron = Own(0.1)
    return model


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: torch.nn.Sequential(sd.Dense({}, 48, 6), spiking(6)),
            "block '1' adds up spikes, and '0' sends changes",
        ),
        (
            lambda: torch.nn.Sequential(spiking(48), sd.Output(6, 2)),
            "block '1' adds up changes, and '0' sends spikes",
        ),
        (Twice, "shares a synapse with another"),
        (with_own_neuron, "its neuron Own computes in a way of its own"),
    ],
)
def test_what_has_no_exact_form_is_refused(make, message, x):
    model = make()
    with pytest.raises(LoweringError, match=message):
        pumice.lower(model, x.flatten(1, 3))
    assert not is_quantized(model)


def test_an_input_that_leaves_weights_no_bits_is_refused(x):
    model = torch.nn.Sequential(sd.Input(), sd.Dense({}, 48, 6))
    with pytest.raises(LoweringError, match="leave its weights none; use an input of fewer bits"):
        pumice.lower(model, 2.0**15 * x.flatten(1, 3))


def test_input_beyond_the_range_is_refused(x):
    model, flat = dense(48, 6, 5, 2), x.flatten(1, 3)
    pumice.lower(model, flat)
    with pytest.raises(InputError, match="deployed for whole numbers"):
        model(100 * flat)


def test_a_recipe_trains_one_and_all_answers_are_alike(tmp_path, monkeypatch):
    """Digits, shown as they are for some steps: trained, quantized, evaluated as a graph."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sdnn.py").write_text(
        "import torch\nfrom pumice.nn import sigma_delta as sd\n"
        "def make(neuron_params, image_shape, n_classes):\n"
        "    return torch.nn.Sequential(sd.Input(fraction_bits=4), sd.Conv({'threshold': 0.05}, 1, 8, 3, stride=2),\n"
        "                               sd.Flatten(), sd.Output(72, n_classes))\n"
    )
    settings = ["network.name=sdnn:make", "network.args={}", "data.steps=3", "training.epochs=3", "training.lr=0.02",
                "training.finetune_epochs=1", "data.max_train=600", "data.max_test=60"]  # fmt: skip
    trained = train(PRESETS["digits"].overridden(settings), load_digits())
    assert trained.accuracy_float > 0.8
    graph = lower_trained(trained)
    labels = trained.dataset.test.labels
    result = pumice.evaluate(graph, zip(encoded_test(trained), labels, strict=True))
    assert result.accuracy == trained.accuracy_deployed == trained.test_accuracy()
    test = run_test_split(graph, trained, "fast")
    assert {layer.s for layer in test.comparison} == {0}
    assert_array_equal(test.predictions, result.predictions)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_integers_do_not_depend_on_autocast(x, dtype):
    model, flat = dense(48, 6, 5, 2), x.flatten(1, 3)
    quantize_(model, flat)
    expected = model(flat)
    with torch.autocast("cpu", dtype), neurons_in_float32(model):
        assert torch.equal(model(flat), expected)
