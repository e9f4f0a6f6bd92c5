"""Sigma-delta neurons: their equation, their gradient, and, deployed, their integers."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from pumice import nn
from pumice.errors import InputError
from pumice.fixedpoint import DeltaState, delta_step, sigma_step


def test_what_was_sent_adds_up_to_the_value_within_the_threshold():
    torch.manual_seed(0)
    neuron = nn.SigmaDeltaNeuron(0.3, None)
    z = torch.randn(2, 3, 4, 5, 50)
    value, told = z.cumsum(-1), neuron(z).cumsum(-1)
    assert (value - told).abs().max() < 0.3 + 1e-5
    sent = neuron(z)
    assert sent[sent != 0].abs().min() >= 0.3
    assert 0.1 < (sent != 0).float().mean() < 0.95


def test_without_threshold_it_is_an_artificial_neuron():
    torch.manual_seed(0)
    neuron = nn.SigmaDeltaNeuron(channels=3)
    neuron.bias.data = torch.tensor([0.5, -0.5, 0.0])
    z = torch.randn(2, 3, 20, requires_grad=True)
    told = neuron(z).cumsum(-1)
    expected = torch.relu(z.cumsum(-1) + neuron.bias[:, None])
    torch.testing.assert_close(told, expected, rtol=0, atol=1e-5)
    weights = torch.randn(2, 3, 20)
    found = torch.autograd.grad((told * weights).sum(), [z, neuron.bias])
    wanted = torch.autograd.grad((expected * weights).sum(), [z, neuron.bias])
    torch.testing.assert_close(found, wanted)


def test_the_gradient_passes_the_threshold():
    """As if all changes were sent: also those of neurons that are silent."""
    neuron = nn.SigmaDeltaNeuron(threshold=100.0)
    z = torch.ones(1, 1, 4, requires_grad=True)
    (neuron(z).cumsum(-1) * torch.tensor([1.0, 2.0, 3.0, 4.0])).sum().backward()
    assert z.grad.tolist() == [[[10.0, 9.0, 7.0, 4.0]]]


@pytest.mark.parametrize("activation", ["relu", None])
@pytest.mark.parametrize("threshold", [0.0, 3.0, 3.5])
@pytest.mark.parametrize("bits", [(6, 6), (6, 3), (9, 2), (0, 0)])
def test_deployed_it_sends_the_integers_of_the_definition(activation, threshold, bits):
    generator = torch.Generator().manual_seed(1)
    neuron = nn.SigmaDeltaNeuron(threshold, activation, channels=5)
    neuron.bias.data = 2 * torch.randn(5, generator=generator)
    neuron.deploy(*bits)
    state_unit, sent_unit = (2.0**n for n in bits)
    z = torch.randint(-4 * int(state_unit), 4 * int(state_unit) + 1, (3, 5, 40), generator=generator)
    sent = neuron(z.double() / state_unit)
    bias = neuron.integer_bias().detach().numpy()
    assert not bias.astype(int) % 2 @ np.ones(5)
    states = [np.zeros((3, 5), np.int32) for _ in range(4)]
    expected = []
    for t in range(40):
        states[0] = sigma_step(states[0], z[..., t].numpy())
        value = states[0] + bias.astype(int)[None]
        value = np.maximum(value, 0) if activation else value
        change, rest = delta_step(DeltaState(*states[1:]), value, vth=neuron.integer_threshold)
        states[1:] = rest
        expected.append(change >> (bits[0] - bits[1]))
    assert_array_equal((sent * sent_unit).numpy(force=True), np.stack(expected, -1))
    assert np.count_nonzero(expected) > 50


def test_deployed_it_refuses_what_24_bits_do_not_hold():
    neuron = nn.SigmaDeltaNeuron()
    neuron.deploy(20, 20)
    assert neuron(torch.tensor([[[7.9, -7.0]]], dtype=torch.float64)).shape == (1, 1, 2)
    with pytest.raises(InputError, match="must stay below 8, what 24 bits hold with 20 fraction bits, got 8"):
        neuron(torch.tensor([[[4.0, 4.0]]], dtype=torch.float64))


def test_an_encoder_and_a_decoder_are_halves_of_it():
    x = torch.tensor([[[1.0, 1.2, -3.0, -3.0]]])
    encoder = nn.SigmaDeltaNeuron(0.5, None, sums=False)
    assert encoder(x).tolist() == [[[1.0, 0.0, -4.0, 0.0]]]
    decoder = nn.SigmaDeltaNeuron(activation=None, sends_changes=False)
    assert decoder(encoder(x)).tolist() == [[[1.0, 1.0, -3.0, -3.0]]]


def test_nan_shows():
    x = torch.tensor([[[1.0, float("nan"), 2.0]]])
    assert nn.SigmaDeltaNeuron(0.5)(x)[0, 0, 1:].isnan().all()


@pytest.mark.parametrize("threshold", [-0.1, float("nan"), float("inf"), "0.1", None])
def test_a_threshold_that_is_none_is_refused(threshold):
    with pytest.raises(InputError, match="threshold must be a number of 0 or more"):
        nn.SigmaDeltaNeuron(threshold)


def test_an_activation_that_chips_lack_is_refused():
    with pytest.raises(InputError, match='activation must be "relu" or None'):
        nn.SigmaDeltaNeuron(activation=torch.tanh)
