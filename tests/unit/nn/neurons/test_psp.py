"""The credit of presynaptic spikes against the published double sum over pairs of spikes."""

import math

import pytest
import torch

from pumice.errors import InputError
from pumice.nn import CubaNeuron
from pumice.nn.neurons.psp import Membrane, credit


def trains(steps, *times):
    spikes = torch.zeros(steps, len(times), dtype=torch.float64)
    for neuron, own in enumerate(times):
        spikes[list(own), neuron] = 1
    return spikes


def s_psp(since_output, since_input, tau_m, tau_s):
    """The paper's kernel for one pair of spikes."""
    if min(since_output, since_input) <= 0:
        return 0.0
    both = min(since_output, since_input)
    decayed = math.exp(-max(since_input - since_output, 0) / tau_s)
    return decayed / (1 - tau_s / tau_m) * (math.exp(-both / tau_m) - math.exp(-both / tau_s))


def pair_sum(inputs, outputs, tau_m, tau_s, *, refractory=0, off_by=0):
    """Over an output neuron's spikes and the input's before them; spikes act, and resets end, `refractory` later."""
    total, last = 0.0, -(10**6)
    for f in outputs:
        total += sum(s_psp(f - last + off_by, f - g - refractory, tau_m, tau_s) for g in inputs if g < f)
        last = f + refractory
    return total


def effects(inputs, outputs, membrane, tau_s):
    """e of each pair of trains, for weights of neurons that divide their current by tau_s."""
    silence = torch.zeros_like(outputs)
    return credit(outputs, silence, silence, membrane).per_step.T @ inputs / tau_s


@pytest.mark.parametrize(("refractory", "expected"), [(0, 1.183828), (2, 0.848418)], ids=["paper", "reference code"])
def test_two_spikes_before_and_two_behind(refractory, expected):
    membrane = Membrane.continuous(64.0, 8.0, lag=1 + refractory, dead_time=refractory)
    found = effects(trains(20, [3, 10]), trains(20, [8, 15]), membrane, 8.0)
    assert found.item() == pytest.approx(expected, abs=5e-7)


@pytest.mark.parametrize(
    ("inputs", "outputs", "expected"),
    [([3], [8], 0.445243), ([3], [8, 15], 0.445243 + 0.293343), ([10], [15], 0.445243)],
)
def test_single_pairs(inputs, outputs, expected):
    found = effects(trains(20, inputs), trains(20, outputs), Membrane.continuous(64.0, 8.0, lag=1), 8.0)
    assert found.item() == pytest.approx(expected, abs=1e-6)


def random_times(generator, steps, least_gap=1):
    drawn = torch.nonzero(torch.rand(steps, generator=generator) < 0.3).flatten().tolist()
    kept = []
    for t in drawn:
        if not kept or t - kept[-1] >= least_gap:
            kept.append(t)
    return kept


@pytest.mark.parametrize("refractory", [0, 2])
@pytest.mark.parametrize(("tau_m", "tau_s"), [(64.0, 8.0), (5.0, 1.5)])
def test_products_over_time_are_the_double_sum(tau_m, tau_s, refractory):
    generator = torch.Generator().manual_seed(0)
    inputs = [random_times(generator, 40) for _ in range(7)]
    outputs = [random_times(generator, 40, 1 + refractory) for _ in range(5)]
    membrane = Membrane.continuous(tau_m, tau_s, lag=1 + refractory, dead_time=refractory)
    found = effects(trains(40, *inputs), trains(40, *outputs), membrane, tau_s)
    literal = [[pair_sum(j, i, tau_m, tau_s, refractory=refractory) for j in inputs] for i in outputs]
    torch.testing.assert_close(found, torch.tensor(literal, dtype=torch.float64), rtol=0, atol=1e-10)
    planted = [[pair_sum(j, i, tau_m, tau_s, refractory=refractory, off_by=1) for j in inputs] for i in outputs]
    assert not torch.allclose(found, torch.tensor(planted, dtype=torch.float64), atol=1e-3)


def test_the_neurons_own_timing_gives_its_potential_at_its_spikes():
    """T-PSP and simulated membrane are one number: a = sum of v over the spikes, which is at least theta o."""
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(40, 6, generator=generator, dtype=torch.float64) + 0.4
    keep_u, keep_v, u, v, spikes, at_spikes = 0.6, 0.9, 0.0, 0.0, [], torch.zeros(6, dtype=torch.float64)
    for current in z:
        u = keep_u * u + current
        v = keep_v * v + u
        spikes.append((v > 2.0).double())
        at_spikes += v * spikes[-1]
        v = v * (1 - spikes[-1])
    found = credit(torch.stack(spikes), torch.zeros_like(z), z, Membrane(keep_u, keep_v))
    assert (found.count > 2).all()
    torch.testing.assert_close(found.potential, at_spikes, rtol=1e-12, atol=0)


@pytest.mark.parametrize("neurons", [1, 511, 5000])
def test_compiled_loops_are_the_definition(neurons):
    generator = torch.Generator().manual_seed(neurons)
    z, gradient = torch.randn(2, 30, neurons, generator=generator)
    spikes = (torch.rand(30, neurons, generator=generator) < torch.rand(neurons, generator=generator) / 2).float()
    spikes[:, -1] = 0
    membrane = Membrane(0.5, 0.9, 1.25)
    got = credit(spikes, gradient, z, membrane)
    expected = credit(spikes.double(), gradient.double(), z.double(), membrane)
    for name in ("per_step", "count", "error", "potential"):
        torch.testing.assert_close(getattr(got, name).double(), getattr(expected, name), rtol=1e-4, atol=1e-4)
    assert got.error[-1].item() == pytest.approx(gradient[:, -1].mean().item(), abs=1e-6)  # silent


def test_kernels_of_a_neuron():
    neuron = CubaNeuron(threshold=1.0, current_decay=1 / 8, voltage_decay=1 / 64)
    own, paper = Membrane.of(neuron, "neuron"), Membrane.of(neuron, "paper")
    assert (own.keep_current, own.keep_voltage, own.gain) == (7 / 8, 63 / 64, 1.0)
    literal = [8 * s_psp(10**6, n, 64.0, 8.0) for n in range(1, 40)]
    assert paper.response(39) == pytest.approx(literal, abs=1e-12)
    with pytest.raises(
        InputError, match=r"needs tau_s < tau_m, that is current_decay > voltage_decay, got 0\.25 and 0\.5"
    ):
        Membrane.of(CubaNeuron(threshold=1.0, current_decay=0.25, voltage_decay=0.5), "paper")


def papers_simulator(weight, steps, refractory):
    """The authors' discrete neuron, which has one step of latency, and input spikes at 1 to 6."""
    v, x, wait, spikes, voltages = 0.0, 0.0, 0, [], []
    for t in range(steps):
        v, x = v - v / 64.0, x - x / 8.0
        if t:
            x += weight * (1 <= t - 1 <= 6)
            v += x / 8.0
            if wait:
                v, wait = 0.0, wait - 1
        voltages.append(v)
        if v > 5 - 1e-6:
            spikes.append(t)
            v, wait = 0.0, refractory
    return spikes, voltages


def test_the_papers_neuron_without_its_refractory_period_is_a_cuba_neuron():
    spikes, voltages = papers_simulator(10.0, 20, refractory=2)
    assert spikes == [4, 7, 11, 16]
    assert voltages[2:5] == pytest.approx([1.25, 3.574219, 6.819153], abs=1e-6)
    spikes, voltages = papers_simulator(10.0, 20, refractory=0)
    neuron = CubaNeuron(threshold=5.0, current_decay=1 / 8, voltage_decay=1 / 64)
    z = torch.zeros(1, 1, 20)
    z[..., 2:8] = 10 / 8.0
    got = neuron(z)
    assert torch.nonzero(got.flatten()).flatten().tolist() == spikes
    assert neuron.dynamics(z)[1].flatten().tolist() == pytest.approx(voltages, abs=0.02)  # on a grid of 1/4096
