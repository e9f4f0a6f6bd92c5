"""Layers of sigma-delta neurons: what they take, what they refuse, and what they learn."""

import numpy as np
import pytest
import torch
from lava.lib.dl.slayer.block import sigma_delta as slayer

import pumice
from pumice import ir, nn
from pumice.errors import InputError
from pumice.nn import sigma_delta as sd


def test_an_encoder_of_lava_dl_has_a_twin_of_whole_numbers():
    block = slayer.Input({"threshold": 0.1, "activation": torch.nn.functional.relu})
    x = torch.linspace(-3, 3, 40).reshape(1, 2, 20)
    assert torch.equal(sd.Input.of(block)(torch.round(32 * x)), block(x))
    with pytest.raises(InputError, match="without weight and bias"):
        sd.Input.of(slayer.Input({"threshold": 0.1, "activation": torch.nn.functional.relu}, weight=2))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: sd.Dense({"vth": 1}, 3, 2), "sigma_delta.Dense: neuron_params has 'vth', known are threshold,"),
        (lambda: sd.Conv({"threshold": -1}, 1, 2, 3), "threshold must be a number of 0 or more"),
        (lambda: sd.Merge({}, nn.DenseSynapse(3, 2, nn.TDBN)), "a synapse's norm would act on changes"),
        (lambda: sd.Merge({}), "needs one or more synapses"),
        (lambda: sd.Input(fraction_bits=21), "fraction_bits must be at most 20"),
        (lambda: sd.Input(fraction_bits=-1), "fraction_bits must be a whole number >= 0"),
        (lambda: sd.Output(3, 2)(torch.ones(1, 4, 5)), "DenseSynapse takes"),
        (lambda: sd.Merge({}, nn.IdentitySynapse(3)).forward(), "has 1 synapse, got 0 inputs"),
    ],
)
def test_what_makes_no_layer_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


def signals(n, steps=48):
    """Sums of slow sines; the last 8 samples enter, the value 4 steps later is asked for."""
    generator = torch.Generator().manual_seed(0)
    t = torch.arange(steps + 12) / 100
    frequency, phase, size = (torch.rand(n, 3, 1, generator=generator) for _ in range(3))
    signal = (size * torch.sin(2 * np.pi * ((1 + 2 * frequency) * t + phase))).sum(1)
    signal = torch.round(128 * signal / signal.abs().amax(1, keepdim=True))
    taps = torch.stack([signal[:, 7 - k : 7 - k + steps] for k in range(8)], 1)
    return taps, signal[:, None, 11 : 11 + steps] / 128


def test_it_learns_to_predict_a_signal_with_a_part_of_the_events():
    torch.manual_seed(0)
    x, y = signals(96)
    model = torch.nn.Sequential(
        sd.Input(0.05, fraction_bits=7),
        sd.Dense({"threshold": 0.08}, 8, 24),
        sd.Dense({"threshold": 0.08}, 24, 24),
        sd.Output(24, 1),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(120):
        optimizer.zero_grad()
        (model(x[:64]) - y[:64]).square().mean().backward()
        optimizer.step()
    held_back = x[64:], y[64:]
    graph = pumice.lower(model, x[:64], input_range=(-128, 128))
    samples = zip(ir.torch_to_lava(held_back[0].numpy()).astype(int), held_back[1].numpy(), strict=True)
    result = pumice.evaluate(graph, samples)
    naive = (held_back[0][:, :1] / 128 - held_back[1]).square().mean().sqrt().item()
    assert result.error < 0.6 * naive
    assert result.error == pytest.approx((model(held_back[0]) - held_back[1]).square().mean().sqrt().item(), rel=1e-6)
    products = 48 * (8 * 24 + 24 * 24 + 24)
    used = sum(events.mean() for name, events in result.synaptic_events.items() if not name.startswith("input "))
    assert used < 0.5 * products
