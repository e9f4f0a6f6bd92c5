"""What a flatten or a dense layer makes a row in PyTorch and in the graph, and what reads it."""

import pytest
import torch

import pumice
from pumice import nn
from pumice.errors import LoweringError
from pumice.testing import check_exact

LIF = {"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 0.25}
IMAGE = (3, 2, 4)


class Joined(torch.nn.Module):
    """Layers behind each other; synapses make currents."""

    def __init__(self, *layers):
        super().__init__()
        self.layers = torch.nn.ModuleList(layers)

    def forward(self, x):
        for layer in self.layers:
            x = nn.Current.of(layer, x) if isinstance(layer, nn.IdentitySynapse) else layer(x)
        return x


def gained(synapse):
    torch.nn.init.uniform_(synapse.weight, -1.5, 2.5)
    return synapse


class Residual(torch.nn.Module):
    """An MLP's residual connection past its layer, on an image."""

    def __init__(self, delay):
        super().__init__()
        self.conv = nn.Conv(LIF, 3, 3, 1, weight_scale=4, delay=delay)
        self.flatten = nn.Flatten()
        self.dense = nn.Dense(LIF, 24, 24, weight_scale=3)
        self.merge = nn.Merge(LIF, gained(nn.IdentitySynapse(24)), gained(nn.IdentitySynapse(24)))
        if delay:
            torch.nn.init.uniform_(self.conv.delay.delay, 0, 4)

    def forward(self, x):
        h = self.flatten(self.conv(x))
        return self.merge(h, self.dense(h))


class Beside(torch.nn.Module):
    """The flattened input's places, one to one, beside a dense layer."""

    def __init__(self):
        super().__init__()
        self.flatten = nn.Flatten()
        self.merge = nn.Merge(LIF, nn.DenseSynapse(24, 5), gained(nn.IdentitySynapse(24)), concat=True)

    def forward(self, x):
        h = self.flatten(x)
        return self.merge(h, h)


def over_an_image():
    """A dense layer over an image returns one of 1 x 1 pixels."""
    width_first = IMAGE[::-1]
    return Joined(nn.Dense(LIF, width_first, 6, weight_scale=3), gained(nn.IdentitySynapse(6)), nn.Neurons(LIF))


def flattened_last():
    return torch.nn.Sequential(nn.Conv(LIF, 3, 2, 1, weight_scale=4), nn.Flatten())


@pytest.mark.filterwarnings("ignore:.*deploying changes")
@pytest.mark.parametrize(
    "make",
    [lambda: Residual(delay=False), lambda: Residual(delay=True), Beside, over_an_image, flattened_last],
    ids=["residual", "delayed", "beside", "over an image", "flattened last"],
)
def test_rows_and_images_join(make):
    x = (torch.rand(6, *IMAGE, 12) < 0.5).float()
    model = make().eval()
    graph = pumice.lower(model, x[:2])
    assert model(x).any()
    assert check_exact(model, graph, x, backends=["fast", "lava-in-threads"]) > 0


def test_a_convolution_of_a_dense_layer_is_refused():
    model = torch.nn.Sequential(nn.Dense(LIF, IMAGE[::-1], 6, weight_scale=3), nn.Conv(LIF, 6, 2, 1))
    with pytest.raises(LoweringError, match="block '1' takes an image, and 'dense0' is a row of 6 neurons"):
        pumice.lower(model, (torch.rand(2, *IMAGE, 12) < 0.5).float())
