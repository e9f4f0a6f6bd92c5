import numpy as np
import pytest
import torch

from pumice.nn import CubaNeuron

pytestmark = pytest.mark.filterwarnings("ignore:CubaNeuron uses SLAYER")


def by_hand(x, neuron):
    """Spikes in whole numbers, channel by channel, step by step."""
    keep_u, keep_v = (
        4096 - np.round(d.detach().numpy()).astype(np.int64) for d in (neuron.current_decay, neuron.voltage_decay)
    )
    spikes = np.zeros(x.shape)
    fires_at = (neuron.threshold + neuron.threshold_eps) * neuron.s_scale
    for place in np.ndindex(x.shape[:-1]):
        u = v = 0
        channel = place[1] if len(keep_u) > 1 else 0
        for t in range(x.shape[-1]):
            u, v = (int(np.sign(s)) * (abs(s) * int(k[channel]) >> 12) for s, k in ((u, keep_u), (v, keep_v)))
            at = (*place, t)
            u += int(neuron.s_scale * x[at])
            v += u
            spikes[at] = v >= fires_at
            v = 0 if v >= fires_at else v
    return torch.tensor(spikes)


@pytest.mark.parametrize("shape", [(2, 3, 9), (2, 4, 3, 4, 9), (2, 3, 4, 2, 9), (2, 2, 2, 2, 9), (1, 1, 1, 1, 9)])
@pytest.mark.parametrize("shared", [False, True])
def test_float64_has_each_channels_own_decays(shape, shared):
    """Also where an image is as wide as there are channels: there lava-dl gives decays to columns, silently."""
    decays = (0.3, 0.2) if shared else ((0.1, 0.9), (0.0, 0.5))
    neuron = CubaNeuron(0.5, *decays, shared_param=shared, requires_grad=True)
    x = torch.randn(shape, dtype=torch.float64)
    spikes = neuron(x)
    assert spikes.dtype == torch.float64
    assert spikes.sum() > 0
    assert torch.equal(spikes, by_hand(x.numpy(), neuron))


def test_its_gradients_are_those_of_the_compiled_loops():
    neuron = CubaNeuron(0.5, (0.1, 0.9), (0.0, 0.5), shared_param=False, requires_grad=True)
    x, weights = torch.randn(2, 4, 3, 4, 9), torch.randn(2, 4, 3, 4, 9)
    found = []
    for dtype in (torch.float32, torch.float64):
        neuron.zero_grad()
        y = x.detach().to(dtype, copy=True).requires_grad_()
        (neuron(y) * weights).sum().backward()
        found.append([y.grad, neuron.current_decay.grad, neuron.voltage_decay.grad])
    for compiled, slow in zip(*found, strict=True):
        torch.testing.assert_close(slow.float(), compiled, rtol=1e-4, atol=1e-6)
