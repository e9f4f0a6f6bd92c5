import pytest
import torch

import pumice
from pumice import nn
from pumice.errors import InputError
from pumice.nn import FloatCubaNeuron
from pumice.nn.synapses.dense import DenseSynapse

X = torch.rand(3, 4, 40, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def by_hand(x, threshold, keeps_u, keeps_v, *, soft=False, late=0):
    """The equations, one neuron and one step after the other, in plain Python."""
    spikes = torch.zeros_like(x)
    for b in range(len(x)):
        for n in range(x.shape[1]):
            u = v = 0.0
            for t in range(x.shape[2]):
                u = keeps_u * u + float(x[b, n, t])
                v = keeps_v * v + u
                if v > threshold:
                    spikes[b, n, t] = 1
                    v = v - threshold if soft else 0.0
    return torch.roll(spikes, late, -1)


@pytest.mark.parametrize(("keeps_u", "keeps_v"), [(0.0, 0.9), (0.5, 0.25), (0.0, 1.0), (0.75, 0.125)])
def test_it_computes_the_equations(keeps_u, keeps_v):
    neuron = FloatCubaNeuron(1.7, 1 - keeps_u, 1 - keeps_v).double()
    spikes = neuron(X)
    assert torch.equal(spikes, by_hand(X, 1.7, keeps_u, keeps_v))
    for planted in ({"soft": True}, {"late": 1}):
        assert not torch.equal(spikes, by_hand(X, 1.7, keeps_u, keeps_v, **planted))


@pytest.mark.parametrize("at_threshold", [False, True])
def test_ties(at_threshold):
    x = torch.tensor([[[0.5, 0.5, 0.5, 0.5]]])
    found = FloatCubaNeuron(1.0, 1.0, 0.0, fires_at_threshold=at_threshold)(x)
    assert found.flatten().tolist() == ([0, 1, 0, 1] if at_threshold else [0, 0, 1, 0])


def test_it_rounds_nothing():
    """A threshold of 1/64 and decays of 1/4096 are lava-dl's grid."""
    neuron = FloatCubaNeuron(0.0101, 1.0, 1e-5)
    assert neuron.threshold == 0.0101
    assert neuron(torch.full((1, 1, 2), 0.00506)).tolist() == [[[0.0, 1.0]]]


def test_decays_of_each_channel_and_images():
    decays = torch.tensor([0.0, 0.5, 1.0])
    x = torch.rand(2, 3, 2, 4, 20)
    found = FloatCubaNeuron(1.0, 1.0, decays)(x)
    for c, decay in enumerate(decays):
        assert torch.equal(found[:, c : c + 1], FloatCubaNeuron(1.0, 1.0, float(decay))(x[:, c : c + 1]))


def test_state_of_a_version_that_counted_decays_in_4096_is_read_as_meant():
    decays = {"current_decay": torch.tensor([4096.0]), "voltage_decay": torch.tensor([0.0, 1024.0])}
    neuron = FloatCubaNeuron(1.0, 0.5, torch.tensor([0.5, 0.5]))
    neuron.load_state_dict(decays)
    assert (neuron.current_decay.item(), neuron.voltage_decay.tolist()) == (1.0, [0.0, 0.25])
    again = FloatCubaNeuron(1.0, 0.5, torch.tensor([0.5, 0.5]))
    again.load_state_dict(neuron.state_dict())
    assert again.voltage_decay.tolist() == [0.0, 0.25]


def test_decays_learn_if_asked():
    neuron = FloatCubaNeuron(1.0, 1.0, 0.5, learns_decays=True)
    neuron(torch.rand(2, 3, 10)).sum().backward()
    assert neuron.voltage_decay.grad.abs() > 0
    assert FloatCubaNeuron(1.0, 1.0, 0.5).voltage_decay.requires_grad is False


def test_the_gradient_is_that_of_the_surrogate_through_time():
    neuron = FloatCubaNeuron(10.0, 1.0, 0.25, surrogate="arctan")  # none fires
    x = torch.rand(1, 1, 3, requires_grad=True)
    neuron(x).sum().backward()
    h = neuron.surrogate.derivative(neuron.dynamics(x.detach())[1] - 10).flatten()
    expected = [h[0] + 0.75 * h[1] + 0.75**2 * h[2], h[1] + 0.75 * h[2], h[2]]
    torch.testing.assert_close(x.grad.flatten(), torch.stack(expected))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((0.0, 1.0, 1.0), "threshold must be > 0"), ((1.0, 1.5, 1.0), "current_decay must lie in 0..1, got .1.5")],
)
def test_bad_numbers_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        FloatCubaNeuron(*arguments)


def test_a_layer_with_bias_lowers_to_what_it_computes_quantized():
    torch.manual_seed(0)
    params = {"dynamics": "float", "threshold": 0.37, "current_decay": 1.0, "voltage_decay": 0.3}
    model = torch.nn.Sequential(nn.Merge(params, DenseSynapse(6, 5, bias=True)))
    with torch.no_grad():
        model[0].synapses[0].bias.uniform_(-0.1, 0.2)
    x = (torch.rand(2, 6, 12) < 0.5).float()
    before = model(x)
    graph = pumice.lower(model, x)
    assert graph.populations[0].bias_mant.any()
    assert (model(x) != before).sum() <= 3
    assert before.any()


def test_a_bias_beside_a_norm_is_refused():
    with pytest.raises(InputError, match="a norm has a shift of its own"):
        DenseSynapse(2, 3, nn.TDBN, bias=True)


def test_unknown_dynamics_are_refused():
    with pytest.raises(InputError, match="must be one of slayer, float, got 'spiking'"):
        nn.Merge({"dynamics": "spiking", "threshold": 1, "current_decay": 1, "voltage_decay": 1}, DenseSynapse(2, 2))
