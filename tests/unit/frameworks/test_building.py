import pytest
import torch
from torch import nn

from pumice.errors import InputError
from pumice.frameworks.building import Builder
from pumice.frameworks.expressions import INPUT, Op, Term
from pumice.frameworks.facts import NeuronFacts


def built(facts, features, *ops):
    """The block of one layer of neurons behind linear maps."""
    builder = Builder()
    builder.enter(features)
    builder.neurons("lif", facts, [Term(INPUT, torch.zeros(1, *features), ops)])
    return builder.blocks["lif"]


@pytest.mark.parametrize("then", ["nothing", "bias", "norm"])
def test_a_drive_is_counted_in_each_neurons_threshold(then):
    layer, norm = nn.Linear(2, 2, bias=then == "bias"), nn.BatchNorm1d(2, eps=0).eval()
    with torch.no_grad():
        layer.weight.copy_(torch.eye(2) * 3)
        if then == "bias":
            layer.bias.zero_()
    ops = [Op("linear", "fc", (2,), layer)] + [Op("norm", "norm", (2,), norm)] * (then == "norm")
    threshold = torch.tensor([1.0, 4.0])
    facts = NeuronFacts(threshold=threshold, voltage_decay=0.5, gain=0.5, drive=0.75)
    block = built(facts, (2,), *ops).eval()
    x = torch.zeros(1, 2, 12)
    x[0, 1, 6:9] = 1
    # The framework's own equation; without input the second neuron settles at 0.75 / 0.5 = 1.5 = 0.375 * 4.
    v, expected, voltages = torch.zeros(2), [], []
    for step in x[0].T:
        v = 0.5 * v + 0.5 * 3 * step + 0.75
        voltages.append(v)
        expected.append((v > threshold).float())
        v = v * (1 - expected[-1])
    assert voltages[5][1] / threshold[1] == pytest.approx(0.375, abs=0.01)
    assert torch.equal(block(x)[0], torch.stack(expected, -1))
    (synapse,) = block.synapses
    assert (synapse.offset() / 0.5).tolist() == pytest.approx([1.5, 0.375])


def on_an_image(facts):
    return built(facts, (2, 5, 3), Op("conv", "conv", (3, 5, 3), nn.Conv2d(2, 3, 3, padding=1)))


@pytest.mark.parametrize("shape", [(3, 1, 1), (1, 3, 1, 1)])
def test_a_parameter_of_each_channel_of_an_image(shape):
    decay = torch.tensor([0.25, 0.5, 0.75])
    block = on_an_image(NeuronFacts(voltage_decay=decay.reshape(shape)))
    assert block.neuron.voltage_decay.flatten().tolist() == decay.tolist()


@pytest.mark.parametrize("name", ["threshold", "current_decay", "voltage_decay"])
@pytest.mark.parametrize("shape", [(3,), (1, 3), (3, 1), (1, 1, 3)])
def test_a_parameter_of_each_column_or_row_of_an_image_is_refused(name, shape):
    values = torch.tensor([0.25, 0.5, 0.75]).reshape(shape)
    with pytest.raises(InputError, match=rf"'lif': {name} must be .* per channel .*, in shape \(3, 1, 1\)"):
        on_an_image(NeuronFacts(**{name: values}))
