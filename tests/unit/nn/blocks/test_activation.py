import pytest
import torch

from pumice import nn
from pumice.errors import InputError
from pumice.nn.surrogate import Dspike

LIF = {"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 0.5, "surrogate": "dspike"}


def test_the_papers_neuron():
    """Oracle 4b: leak 1/2, threshold 1, hard reset; with one step it is a threshold alone."""
    x = torch.tensor([0.6, 0.6, 0.6, 1.2, 0.9])
    lif = nn.Neurons(LIF)
    assert lif(nn.Current.holding(x.reshape(1, 1, 5))).flatten().tolist() == [0, 0, 1, 1, 0]
    lif = nn.Neurons(LIF)
    assert lif(nn.Current.holding(x.reshape(5, 1, 1))).flatten().tolist() == [0, 0, 0, 1, 0]


def test_it_fires_above_the_threshold_not_at_it():
    at, above = torch.tensor(1.0), torch.tensor(1.001)
    spikes = nn.Neurons(LIF)(nn.Current.holding(torch.stack([at, above]).reshape(2, 1, 1)))
    assert spikes.flatten().tolist() == [0, 1]


def test_the_gradient_is_dspike():
    """Oracle 4c: gamma 2.5 gives 1.266959 at the threshold, .355274 at .5 from it, 0 beyond 1."""
    surrogate = nn.Neurons(LIF).neuron.surrogate
    assert surrogate == Dspike(2.5)
    derivative = surrogate.derivative(torch.tensor([0.0, 0.5, 1.5]))
    torch.testing.assert_close(derivative, torch.tensor([1.266959, 0.355274, 0.0]), atol=1e-6, rtol=0)


def test_a_norm_belongs_to_the_synapses():
    with pytest.raises(InputError, match="give each synapse its own norm"):
        nn.Neurons({**LIF, "norm": nn.TDBN})
