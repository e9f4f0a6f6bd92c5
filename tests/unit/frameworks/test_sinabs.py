"""Random networks against sinabs itself; `scripts/test_peers.sh` has it."""

import pytest
import torch
from torch import nn

import pumice
from pumice.errors import InputError
from pumice.frameworks import from_sinabs

pytest.importorskip("sinabs")
from sinabs import layers as sl
from sinabs.activation import MembraneReset, SingleSpike

HARD = {"spike_fn": SingleSpike, "reset_fn": MembraneReset()}


def converted(network, x):
    """pumice's network, and what sinabs' answers, time last."""
    found = from_sinabs(network, x)
    with torch.no_grad():
        return found, network(x).movedim(1, -1)


@pytest.mark.parametrize(
    "neuron",
    [
        sl.IAFSqueeze,
        lambda **how: sl.LIFSqueeze(tau_mem=10.0, **how),
        lambda **how: sl.LIFSqueeze(tau_mem=10.0, tau_syn=4.0, spike_threshold=torch.tensor(0.5), **how),
        lambda **how: sl.LIFSqueeze(tau_mem=5.0, norm_input=False, train_alphas=True, **how),
    ],
)
@pytest.mark.parametrize("size", [{"batch_size": 3}, {"num_timesteps": 12}])
def test_squeezed_images(neuron, size):
    torch.manual_seed(0)
    how = {**HARD, **size}
    network = nn.Sequential(
        *(nn.Conv2d(1, 4, 3), neuron(**how), sl.SumPool2d(2), nn.Conv2d(4, 5, 2), neuron(**how)),
        *(nn.Flatten(), nn.Linear(20, 4), neuron(**how)),
    )
    with torch.no_grad():
        for part in network:
            if isinstance(part, (nn.Linear, nn.Conv2d)):
                part.weight *= 20
    x = (torch.rand(3, 12, 1, 8, 8) < 0.4).float()
    found = from_sinabs(network, x.flatten(0, 1))
    with torch.no_grad():
        expected = network(x.flatten(0, 1)).unflatten(0, (3, 12)).movedim(1, -1)
    assert expected.any()
    assert torch.equal(found(x.movedim(1, -1)), expected)


def test_layers_over_time_and_a_read_out():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(6, 8), sl.LIF(tau_mem=8.0, **HARD), nn.Linear(8, 3), sl.ExpLeak(tau_mem=8.0))
    with torch.no_grad():
        network[0].weight *= 20
    x = (torch.rand(3, 12, 6) < 0.4).float()
    found, expected = converted(network, x)
    torch.testing.assert_close(found(x.movedim(1, -1)), expected, rtol=2e-3, atol=2e-3)  # its decay is rounded


@pytest.mark.parametrize("tau_syn", [None, torch.linspace(3, 9, 8)])
def test_time_constants_of_each_neuron(tau_syn):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(6, 8), sl.LIF(tau_mem=torch.linspace(2, 20, 8), tau_syn=tau_syn, **HARD))
    with torch.no_grad():
        network[0].weight *= 10
    x = (torch.rand(3, 12, 6) < 0.4).float()
    found, expected = converted(network, x)
    assert expected.any()
    assert torch.equal(found(x.movedim(1, -1)), expected)


RECURRENT = {
    "LIF": lambda back, **how: sl.LIFRecurrent(10.0, back, norm_input=False, **how),
    "normed LIF": lambda back, **how: sl.LIFRecurrent(4.0, back, **how),
    "IAF": lambda back, **how: sl.IAFRecurrent(nn.Sequential(nn.Flatten(), back), **how),
    "ALIF that does not adapt": lambda back, **how: sl.ALIFRecurrent(4.0, 5.0, back, adapt_scale=0.0, **how),
}


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("tau_syn", [None, 3.0])
@pytest.mark.parametrize("kind", RECURRENT)
def test_recurrent_layers(kind, tau_syn, bias):
    """Their feedback's bias is there from the second step on."""
    torch.manual_seed(1)
    back = nn.Linear(8, 8, bias=bias)
    network = nn.Sequential(nn.Linear(6, 8), RECURRENT[kind](back, tau_syn=tau_syn, **HARD))
    with torch.no_grad():
        network[0].weight.normal_(0.3, 1)
        back.weight.mul_(3)
        if bias:
            back.bias.normal_(0.5, 0.5)
    x = (torch.rand(3, 12, 6) < 0.4).float()
    found, expected = converted(network, x)
    assert 0.05 < expected.mean() < 0.95
    assert torch.equal(found(x.movedim(1, -1)), expected)
    if kind == "LIF":
        found.train()(x.movedim(1, -1)).sum().backward()
        pumice.lower(found.eval(), x.movedim(1, -1))  # which proves it on the example


def test_a_convolution_of_own_spikes():
    torch.manual_seed(1)
    recurrent = sl.LIFRecurrent(5.0, nn.Conv2d(3, 3, 3, padding=1), norm_input=False, **HARD)
    network = nn.Sequential(nn.Flatten(0, 1), nn.Conv2d(1, 3, 3), nn.Unflatten(0, (3, 12)), recurrent)
    with torch.no_grad():
        network[1].weight.normal_(0.1, 1)
    x = (torch.rand(3, 12, 1, 6, 6) < 0.4).float()
    found, expected = converted(network, x)
    assert 0.05 < expected.mean() < 0.95
    assert torch.equal(found(x.movedim(1, -1)), expected)


@pytest.mark.parametrize(
    ("neuron", "message"),
    [
        (sl.IAF, r"module '1': spike_fn must be SingleSpike .*; reset_fn must be MembraneReset\(\)"),
        (lambda: sl.IAF(**HARD, min_v_mem=-1.0), "min_v_mem must be None, got -1"),
        (lambda: sl.ExpLeak(10.0, min_v_mem=-1.0), "min_v_mem must be None, got -1"),
        (lambda: sl.IAF(spike_fn=SingleSpike, reset_fn=MembraneReset(0.5)), "reset_value must be 0, got 0.5"),
        (lambda: sl.ALIF(10.0, 10.0, **HARD), r"adapt_scale must be 0 .*, got 1.8; train LIF"),
    ],
)
def test_what_has_no_equal_is_refused_by_name(neuron, message):
    with pytest.raises(InputError, match=message):
        from_sinabs(nn.Sequential(nn.Linear(6, 4), neuron()), torch.ones(2, 5, 6))
