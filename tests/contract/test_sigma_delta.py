"""Random sigma-delta networks: the deployed network equals its graph on every backend, integer for integer."""

import random

import pytest
import torch

import pumice
from pumice import nn
from pumice.nn import sigma_delta as sd
from pumice.nn.probes.firing import watch_firing
from pumice.testing.exact import check_exact

SEEDS = range(16)


class Drawn(torch.nn.Module):
    """Layers of every kind in a random chain, with random thresholds, biases, weights and geometry."""

    def __init__(self, chance, channels, example):
        super().__init__()
        self.encoder = sd.Input(chance.choice([0.0, 0.02, 0.2]), fraction_bits=chance.randint(0, 8))
        self.layers = torch.nn.ModuleList()
        for _ in range(chance.randint(1, 3)):
            layer, channels = drawn_layer(chance, channels)
            self.layers.append(layer)
        self.flatten, self.hidden, self.output = sd.Flatten(), None, None
        with torch.no_grad():
            n = self.flatten(self.image(example)).shape[1]
        if chance.random() < 0.5:
            self.hidden, n = sd.Dense(drawn_params(chance), n, 7), 7
        if chance.random() < 0.8:
            self.output = sd.Output(n, chance.randint(1, 3), bias=chance.random() < 0.7)

    def image(self, x):
        x = self.encoder(x)
        for layer in self.layers:
            x = layer(*[x] * len(layer.synapses))
        return x

    def forward(self, x):
        x = self.flatten(self.image(x))
        x = x if self.hidden is None else self.hidden(x)
        return x if self.output is None else self.output(x)


def drawn_params(chance):
    params = {"threshold": chance.choice([0.0, 0.01, 0.1, 0.3, 1.0])}
    if chance.random() < 0.3:
        params["activation"] = None
    if chance.random() < 0.3:
        params["bias"] = False
    return params


def drawn_layer(chance, channels):
    params, n, size = drawn_params(chance), chance.randint(1, 4), chance.randint(1, 3)
    options = [
        (sd.Conv(params, channels, n, size, padding=size // 2, stride=chance.choice([1, 2])), n),
        (sd.ConvT(params, channels, n, 2, stride=chance.choice([1, 2])), n),
        (sd.Upsample(params, channels, chance.choice([1, 2])), channels),
        (
            sd.Merge(params, nn.IdentitySynapse(channels), nn.ConvSynapse(channels, channels, 3, padding=1)),
            channels,
        ),
        (
            sd.Merge(params, nn.ConvSynapse(channels, n, 1), nn.IdentitySynapse(channels), concat=True),
            n + channels,
        ),
    ]
    return chance.choice(options)


def drawn(seed):
    chance = random.Random(seed)
    torch.manual_seed(seed)
    channels, height, width, steps = (chance.randint(1, n) for n in (3, 5, 5, 12))
    high = chance.choice([1, 5, 60, 255])
    low = chance.choice([0, -high])
    x = torch.randint(low, high + 1, (2, channels, height, width, steps)).float()
    x = (x / 8).round().cumsum(-1).clamp(low, high) if chance.random() < 0.5 else x
    model = Drawn(chance, channels, x)
    for module in model.modules():
        if isinstance(module, nn.SigmaDeltaNeuron) and module.bias is not None:
            torch.nn.init.uniform_(module.bias, -1, 1)
    return model, x, (low, high)


@pytest.mark.filterwarnings("ignore::pumice.errors.PumiceWarning")
@pytest.mark.parametrize("seed", SEEDS)
def test_a_drawn_network_is_its_graph(seed):
    model, x, input_range = drawn(seed)
    assert check_exact(model, pumice.lower(model, x, input_range=input_range), x) > 0


@pytest.mark.lava
@pytest.mark.filterwarnings("ignore::pumice.errors.PumiceWarning")
@pytest.mark.parametrize("seed", SEEDS[:2])
def test_lava_computes_it_too(seed):
    model, x, input_range = drawn(seed)
    graph = pumice.lower(model, x, input_range=input_range)
    check_exact(model, graph, x[:1], backends=("lava",))


def test_they_do_something():
    """Enough of the drawn networks send changes in every layer, and not in every step."""
    rates = []
    for seed in SEEDS:
        model, x, _ = drawn(seed)
        with torch.no_grad(), watch_firing(model) as firing:
            model(x)
        rates += firing.rates().values()
    assert sum(0.02 < rate < 0.9 for rate in rates) > len(rates) / 2
