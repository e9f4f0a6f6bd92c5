import numpy as np
import pytest
import torch

import pumice
from pumice import nn
from pumice.errors import InputError
from pumice.models import feedforward

LIF = {"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 0.75, "norm": nn.TDBN}


def test_the_papers_network():
    net = feedforward(LIF, (1, 28, 28), 10, layers="12c5-2a-64c5-2a")
    shapes, x = [], torch.ones(1, 1, 28, 28, 2)
    for block in net:
        x = block(x)
        shapes.append(tuple(x.shape[1:-1]))
    assert shapes == [(12, 24, 24), (12, 12, 12), (64, 8, 8), (64, 4, 4), (1024,), (10,)]


def test_strides_padding_and_dense_layers():
    net = feedforward(LIF, (2, 9, 7), 3, layers="4c3s2-5c1-20-11", padding="same")
    assert net(torch.ones(2, 2, 9, 7, 2)).shape == (2, 3, 2)
    assert [name for name, _ in net.named_children()] == ["conv1", "conv2", "flatten", "dense3", "dense4", "output"]
    assert net.dense3.synapse.in_channels == 5 * 5 * 4


def test_no_hidden_layers():
    assert feedforward(LIF, (1, 2, 3), 4, layers="")(torch.ones(1, 1, 2, 3, 5)).shape == (1, 4, 5)


def test_one_spike_makes_a_pooling_neuron_fire_at_once_and_once():
    pool = feedforward(LIF, (1, 4, 4), 2, layers="2a").pool1
    x = torch.zeros(1, 1, 4, 4, 3)
    x[0, 0, 1, 2, 1] = 1.0
    expected = torch.zeros(1, 1, 2, 2, 3)
    expected[0, 0, 0, 1, 1] = 1.0
    assert torch.equal(pool(x), expected)
    assert not pool.synapse.weight.requires_grad


def test_it_lowers_with_everything_on():
    torch.manual_seed(0)
    net = feedforward(LIF, (1, 12, 12), 4, layers="3c5-2a-8", delay=True, max_delay=3, dropout=0.5)
    x = torch.randint(0, 9, (4, 1, 12, 12, 6)).float()
    for _ in range(30):  # until the norms' statistics are those of x
        net(x)
    with torch.no_grad():
        for layer in (net.conv1, net.dense3):
            layer.delay.delay.uniform_(0, 5)
    graph = pumice.lower(net.eval(), x)  # raises if the graph and the network differ on x
    assert graph.latency == 4
    assert max(int(np.max(synapse.delay_steps)) for synapse in graph.synapses) == 3


def test_dropout_is_on_hidden_layers_in_training_only():
    torch.manual_seed(0)
    net = feedforward({**LIF, "norm": None}, (1, 4, 4), 4, layers="16", dropout=0.5)
    assert net.output.neuron.drop is None
    hidden = []
    net.dense1.register_forward_hook(lambda *call: hidden.append(call[2]))
    with torch.no_grad():
        net.dense1.synapse.weight.fill_(1.0)
    net(torch.ones(1, 1, 4, 4, 3))
    silenced = (hidden[0] == 0).all(-1)
    assert 0 < int(silenced.sum()) < 16
    net.eval()(torch.ones(1, 1, 4, 4, 3))
    assert not (hidden[1] == 0).any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layers": "12x5"}, r"layer 1, '12x5', of '12x5': expected"),
        ({"layers": "4c3-5a"}, "layer 2, '5a'.*must divide its input of 6 x 6"),
        ({"layers": "4c9"}, "does not fit an input of 8 x 8"),
        ({"layers": "8-4c3"}, "come before dense layers"),
        ({"layers": "0"}, "at least one neuron"),
        ({"layers": "4c3s0"}, "does not fit"),
        ({"padding": "full"}, "padding must be"),
        ({"dropout": 1.0}, "dropout must lie"),
        ({"max_delay": 63}, r"max_delay in 0\.\.62"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(InputError, match=message):
        feedforward(LIF, (1, 8, 8), 2, **arguments)
