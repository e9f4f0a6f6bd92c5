"""Output neurons that never fire: in floating point, in integers, as a graph."""

import numpy as np
import pytest
import torch

import pumice
from pumice import nn
from pumice.data import load_digits
from pumice.errors import InputError
from pumice.ir import Accumulator
from pumice.pipeline import lower_trained
from pumice.pipeline.lowered import encoded_test
from pumice.quantization import quantize_
from pumice.train import PRESETS, train

LIF = {"threshold": 0.5, "current_decay": 0.8, "voltage_decay": 0.3}
DECAYS = [1 / 4096, 0.1, 0.5, 4095 / 4096, 1.0]


def network(voltage_decay, weight_scale=6):
    torch.manual_seed(0)
    return torch.nn.Sequential(
        nn.Dense(LIF, 12, 16, weight_scale=weight_scale), nn.LeakyReadout(16, 3, voltage_decay=voltage_decay)
    )


@pytest.fixture(scope="module")
def x():
    return (torch.rand(5, 12, 20, generator=torch.Generator().manual_seed(0)) < 0.5).float()


def test_half_precision_of_products_does_not_stop_a_slow_voltage():
    """Small steps that add up to a large voltage are lost in bfloat16."""
    torch.manual_seed(0)
    readout, spikes = nn.LeakyReadout(12, 2, voltage_decay=0.01), (torch.rand(2, 12, 400) < 0.3).float()
    expected = readout(spikes)
    with torch.autocast("cpu", torch.bfloat16):
        found = readout(spikes)
    torch.testing.assert_close(found.float(), expected, rtol=0, atol=0.01 * float(expected.detach().abs().max()))


@pytest.mark.parametrize("voltage_decay", DECAYS)
def test_the_voltage_is_that_of_its_equation(voltage_decay, x):
    model = network(voltage_decay)
    spikes, linear = model[0](x).detach(), model[1].readout.linear
    expected, v = [], torch.zeros(5, 3)
    for t in range(20):
        v = (1 - round(4096 * voltage_decay) / 4096) * v + spikes[..., t] @ linear.weight.T + linear.bias
        expected.append(v)
    torch.testing.assert_close(model(x), torch.stack(expected, -1))


@pytest.mark.parametrize("voltage_decay", DECAYS)
def test_integers_are_the_graphs(voltage_decay, x):
    model = network(voltage_decay)
    trained = model(x)
    graph = pumice.lower(model, x)
    assert isinstance(graph.output, Accumulator)
    assert graph.output.v_decay_q12 == round(4096 * voltage_decay)
    answer = model(x)
    run = pumice.run(graph, x)
    assert torch.equal(run.spikes * model[1].readout.unit, answer)
    # What a slow leak holds needs room in 24 bits, so a unit is larger; the answer is the trained one but for that.
    assert (answer - trained).abs().max() < 0.06 * trained.abs().max()
    assert answer.abs().max() > 0


def test_fine_tuning_learns_through_the_integers(x):
    model = network(0.1)
    quantize_(model, x)
    before = model(x)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    before.square().mean().backward()
    assert model[0].synapse.weight.grad.abs().sum() > 0
    optimizer.step()
    assert model(x).square().mean() < before.square().mean()


def test_the_gradient_is_that_of_the_leak(x):
    """In integers as in floating point: of sums over later steps, each with its share that is kept."""
    grads = []
    for quantized in (False, True):
        model = network(0.25)
        if quantized:
            quantize_(model, x)
        weights = torch.linspace(0, 1, 20)
        (model(x) * weights).sum().backward()
        grads.append(model[1].readout.linear.weight.grad)
    torch.testing.assert_close(grads[0], grads[1], rtol=0.05, atol=0.05 * float(grads[0].abs().max()))


@pytest.mark.filterwarnings("ignore:.*could reach")
def test_a_sum_that_clips_clips_as_on_the_chip(x):
    """An input far larger than the example's: the answer is the graph's, bit for bit, where the voltage stays."""
    model = network(1 / 4096)
    graph = pumice.lower(model, (x * 0.1).round().clamp(0, 1) + torch.eye(12, 20)[None], input_range=(0, 255))
    large = 255 * x
    run, answer = pumice.run(graph, large.repeat(1, 1, 1)).spikes, model(large)
    assert torch.equal(run * model[1].readout.unit, answer)


def test_it_is_trained_and_evaluated_alike(tmp_path, monkeypatch):
    """By the sum of its voltage over time, in training, in PyTorch, and in `pumice.evaluate`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "leaky_net.py").write_text(
        "import torch\nfrom pumice import nn\n"
        "def make(neuron_params, image_shape, n_classes):\n"
        "    return torch.nn.Sequential(nn.Conv(neuron_params, 1, 8, 3, stride=2),\n"
        "                               nn.Flatten(), nn.LeakyReadout(72, n_classes, voltage_decay=0.1))\n"
    )
    settings = ["network.name=leaky_net:make", "network.args={}", "data.steps=5", "training.epochs=3",
                "training.finetune_epochs=1", "data.max_train=400", "training.lr=0.05"]  # fmt: skip
    trained = train(PRESETS["digits"].overridden(settings), load_digits())
    assert trained.accuracy_float > 0.5
    graph = lower_trained(trained)
    labels = trained.dataset.test.labels
    result = pumice.evaluate(graph, zip(encoded_test(trained), labels, strict=True))
    assert result.accuracy == trained.accuracy_deployed == trained.test_accuracy()
    assert len(np.unique(result.predictions)) > 3


@pytest.mark.parametrize("voltage_decay", [0.0, -0.1, 1.1, 1e-5, float("nan"), float("inf"), "0.1", None])
def test_a_decay_that_is_none_is_refused(voltage_decay):
    with pytest.raises(InputError, match="voltage_decay must lie above 0"):
        nn.LeakyReadout(4, 2, voltage_decay=voltage_decay)
