"""Neurons that receive their own spikes, in the chip's integers: spikes and gradients against a loop of autograd."""

import numpy as np
import pytest
import torch

import pumice
from pumice import PumiceError, nn
from pumice.fixedpoint import CubaState, cuba_step
from pumice.nn.neurons.recurrent_integer import ChipRecurrent
from pumice.nn.rounding import straight_through
from pumice.nn.surrogate import Triangle

N, T = 4, 20


@pytest.fixture
def case():
    generator = torch.Generator().manual_seed(0)
    z = torch.randint(-20, 40, (3, N, T), generator=generator).float().requires_grad_()
    matrix = (2 * torch.randint(-12, 14, (N, N), generator=generator)).float().requires_grad_()
    bias = torch.tensor([3.0, -2.0, 0.0, 1.0], requires_grad=True)
    decays = torch.tensor([1024.0, 4096.0, 2048.0, 300.0]), torch.tensor([512.0])
    return z, matrix, bias, *decays, 60.0, 60.0, Triangle(), nn.DenseSynapse(N, N).linear


def unrolled(z, matrix, bias, decay_u, decay_v, vth, scale, surrogate, linear, late=0):  # noqa: PLR0917 -- as autograd
    """The same by torch's autograd: straight through rounding, and no gradient of the reset."""
    of_channel = [x.double().reshape(-1, *[1] * (z.ndim - 3)) for x in (1 - decay_u / 4096, 1 - decay_v / 4096, bias)]
    keep_u, keep_v, drive = of_channel
    u = v = torch.zeros_like(z[..., 0], dtype=torch.float64)
    spikes = []
    for t in range(z.shape[-1]):
        back = spikes[-1 - late] if len(spikes) > late else torch.zeros_like(u)
        leaked = [straight_through(torch.trunc(x * keep), x * keep) for x, keep in ((u, keep_u), (v, keep_v))]
        u = leaked[0] + 64 * (z[..., t].double() + linear(back[..., None], matrix.double())[..., 0])
        v = leaked[1] + u + 64 * drive
        distance = (v / 64 - vth) / scale
        slope = surrogate.derivative(distance.detach())
        spikes.append(straight_through((v > 64 * vth).double(), slope * distance))
        v = straight_through(v * (1 - spikes[-1].detach()), v)
    return torch.stack(spikes, -1).float()


def gradients(function, case, **options):
    z, matrix, bias, *constants = case
    out = function(z, matrix, bias, *constants, **options)
    weights = torch.linspace(-1, 2, out.numel()).reshape(out.shape)
    return out.detach(), torch.autograd.grad((out * weights).sum(), (z, matrix, bias))


def test_spikes_and_gradients_are_those_of_autograd_and_a_defect_shows(case):
    spikes, found = gradients(ChipRecurrent.apply, case)
    expected_spikes, expected = gradients(unrolled, case)
    assert 0.1 < spikes.mean() < 0.9
    assert torch.equal(spikes, expected_spikes)
    for own, other in zip(found, expected, strict=True):
        torch.testing.assert_close(own, other, rtol=1e-4, atol=1e-5)
        assert own.abs().max() > 0
    assert not torch.equal(gradients(unrolled, case, late=1)[0], spikes)


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize(
    ("synapse", "sides"),
    [(nn.DenseSynapse(N, N), ()), (nn.OneToOneSynapse(N), ()), (nn.ConvSynapse(N, N, 3, padding=1), (2, 3))],
)
def test_few_steps_through_each_recurrent_synapse(case, synapse, sides, steps):
    """Of one step nothing comes back, and the weights between neurons have a gradient of 0."""
    generator = torch.Generator().manual_seed(1)
    z = torch.randint(-40, 99, (3, N, *sides, steps), generator=generator).float().requires_grad_()
    weight = (2 * torch.randint(-12, 14, synapse.weight.shape, generator=generator)).float().requires_grad_()
    chosen = z, weight, *case[2:-1], synapse.linear
    spikes, found = gradients(ChipRecurrent.apply, chosen)
    expected_spikes, expected = gradients(unrolled, chosen)
    assert torch.equal(spikes, expected_spikes)
    for own, other in zip(found, expected, strict=True):
        torch.testing.assert_close(own, other, rtol=1e-4, atol=1e-5)
    assert [bool(gradient.any()) for gradient in found] == [True, steps > 1, True]


def test_the_states_are_those_of_the_definition(case):
    z, matrix, bias, decay_u, decay_v, vth, _, _, linear = [
        x.detach() if isinstance(x, torch.Tensor) else x for x in case
    ]
    spikes = ChipRecurrent.apply(z, matrix, bias, decay_u, decay_v, vth, 60.0, Triangle(), linear).numpy()
    state, sent = CubaState(np.zeros(N, np.int32), np.zeros(N, np.int32)), np.zeros(N, np.int32)
    decays = {"i_decay_q12": decay_u.numpy().astype(int), "v_decay_q12": decay_v.numpy().astype(int)}
    for t in range(T):
        total = z[0, :, t].numpy().astype(np.int32) + matrix.numpy().astype(np.int32) @ sent
        bias_of_64 = 64 * bias.numpy().astype(int)
        sent, state = cuba_step(state, total, **decays, vth_mant=int(vth), bias=bias_of_64)
        np.testing.assert_array_equal(sent, spikes[0, :, t])


def test_a_merge_starts_each_call_from_rest_and_lowers():
    params = {"threshold": 1.0, "current_decay": 0.5, "voltage_decay": 0.25}
    torch.manual_seed(1)
    block = nn.Merge(params, nn.DenseSynapse(6, 5), recurrent=nn.DenseSynapse(5, 5, weight_exp=1), vth_mant=70)
    model, x = torch.nn.Sequential(block), (torch.rand(2, 6, T) < 0.5).float()
    with torch.no_grad():
        block.synapses[0].weight.abs_()
    torch.testing.assert_close(model(x), model(x))
    pumice.quantize_(model, x)
    graph = pumice.lower(model, x)  # which compares every neuron's spikes with the reference's
    (back,) = (s for s in graph.synapses if s.is_recurrent)
    assert back.weight_exp == 1
    assert graph.population("merge0").vth_mant == 70
    assert torch.equal(model(x), model(x))


def test_what_is_no_recurrent_synapse():
    params = {"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 0.25}
    with pytest.raises(PumiceError, match="from 4 to 4 neurons, and must go from 3 to 3"):
        nn.Merge(params, nn.DenseSynapse(6, 3), recurrent=nn.DenseSynapse(4, 4))
    with pytest.raises(PumiceError, match="without a norm"):
        nn.Merge(params, nn.DenseSynapse(6, 3), recurrent=nn.DenseSynapse(3, 3, nn.TDBN))
    with pytest.raises(PumiceError, match="weight_exp must be 0 to 7, got 8"):
        nn.DenseSynapse(3, 3, weight_exp=8)


def test_a_voltage_at_the_threshold_does_not_fire():
    z, forgets = torch.tensor([[[40.0, 41.0, 40.0]]]), torch.tensor([4096.0])
    constants = 40.0, 40.0, Triangle(), nn.DenseSynapse(1, 1).linear
    found = ChipRecurrent.apply(z, torch.ones(1, 1), torch.zeros(1), forgets, forgets, *constants)
    assert found.tolist() == [[[0.0, 1.0, 1.0]]]  # the last by its own spike
