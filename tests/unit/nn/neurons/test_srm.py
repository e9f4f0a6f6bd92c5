"""The paper's neuron on the oracles 1a, 1b and 1e of SLAYER (Shrestha and Orchard, NeurIPS 2018)."""

import pytest
import torch

import pumice
from pumice.errors import LoweringError
from pumice.nn import Delay, SRMNeuron
from pumice.nn.neurons.srm import alpha_kernel
from pumice.nn.surrogate import Exponential


def train(steps, *times):
    spikes = torch.zeros(1, 1, steps, dtype=torch.float64)
    spikes[..., list(times)] = 1
    return spikes


def delay_of(steps):
    delay = Delay(1).double()
    delay.delay.data[:] = steps
    return delay


def test_one_synapse_with_a_delay_and_a_silent_output():
    """Oracle 1a: error, and its gradients by weight, delay and membrane."""
    neuron = SRMNeuron(threshold=1.0, tau_s=2.0, tau_r=1.0)
    w, delay = torch.tensor(0.8, dtype=torch.float64, requires_grad=True), delay_of(2)
    u = w * neuron.psp(delay(train(12, 1)))
    u.retain_grad()
    out = neuron.spike(u)
    error = 0.5 * neuron.psp(out - train(12, 5)).square().sum()
    error.backward()
    assert float(u.detach().max()) == pytest.approx(0.8)
    assert out.sum() == 0
    assert error.item() == pytest.approx(1.762325, abs=5e-7)
    assert float(w.grad) == pytest.approx(-8.677158, abs=5e-7)
    assert float(delay.delay.grad) == pytest.approx(1.314322, abs=5e-7)
    expected = [-0.931878, -2.245979, -2.885740, -2.316004, -1.518962]
    assert u.grad[0, 0, 3:8].tolist() == pytest.approx(expected, abs=5e-7)


def test_the_kernel():
    expected = [0, 0.824361, 1, 0.909796, 0.735759, 0.557825]
    assert alpha_kernel(2.0, 6).tolist() == pytest.approx(expected, abs=5e-7)


def test_the_refractory_response():
    """Oracle 1b."""
    neuron = SRMNeuron(threshold=1.0, tau_s=2.0, tau_r=1.0)
    potential = neuron.psp(0.7 * train(12, 0, 1))
    assert torch.nonzero(neuron.spike(potential)[0, 0]).flatten().tolist() == [2]
    expected = [1.277052, -0.663143, -0.319629, 0.093497, 0.276385]
    assert neuron.membrane(potential)[0, 0, 2:7].tolist() == pytest.approx(expected, abs=5e-7)


def test_the_gradient_of_a_delay_points_to_the_true_one():
    """Oracle 1e: a linear read-out, true delay 8, present delay 4."""
    neuron, w = SRMNeuron(threshold=1.0, tau_s=10.0, tau_r=1.0), 0.7
    target = w * neuron.psp(delay_of(8)(train(60, 5))).detach()

    def loss(delay):
        return 0.5 * (w * neuron.psp(delay(train(60, 5))) - target).square().sum()

    delay = delay_of(4)
    loss(delay).backward()
    assert float(delay.delay.grad) == pytest.approx(-0.268498, abs=5e-7)
    assert float((loss(delay_of(5)) - loss(delay_of(4))).detach()) == pytest.approx(-0.223513, abs=5e-7)


def test_the_loss_itself_falls_with_the_delay():
    """Oracle 1e, the central difference: the kernel between whole steps, from a finer grid of the same kernel."""
    fine, w = alpha_kernel(10.0, 60 * 100, sampling_time=0.01).double(), 0.7

    def loss(delay_hundredths):
        late = torch.arange(60) * 100 - 500 - torch.tensor([[800], [delay_hundredths]])
        target, got = w * torch.where(late > 0, fine[late.clamp(min=0)], 0)
        return float(0.5 * (got - target).square().sum())

    assert (loss(401) - loss(399)) / 0.02 == pytest.approx(-0.240171, abs=2e-4)


def test_the_surrogate_is_the_papers_unless_another_is_named():
    assert SRMNeuron(threshold=10.0).surrogate == Exponential(tau=10.0, scale=2.0)
    assert float(SRMNeuron(threshold=10.0).surrogate.derivative(torch.zeros(1))) == pytest.approx(1 / 10)
    assert type(SRMNeuron(surrogate="arctan").surrogate).__name__ == "Arctan"


def test_the_length_of_a_step():
    """Halving the step leaves the response to a spike of weight 1/T_s where it was."""
    coarse = SRMNeuron(threshold=1.0, tau_s=4.0, tau_r=1.0).psp(train(20, 2))
    fine = SRMNeuron(threshold=1.0, tau_s=4.0, tau_r=1.0, sampling_time=0.5).psp(2 * train(40, 4))
    torch.testing.assert_close(fine[..., ::2], coarse)


def test_it_cannot_be_lowered():
    model = torch.nn.Sequential(SRMNeuron(threshold=1.0))
    with pytest.raises(LoweringError, match=r"'0'.*SRMNeuron cannot be lowered"):
        pumice.lower(model, torch.ones(1, 2, 5))
