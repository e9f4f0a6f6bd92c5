import pytest
import torch
from torch import nn

import pumice
from pumice.frameworks.converting import convert


def pieces(toy):
    torch.manual_seed(5)
    dense = nn.Sequential(nn.Linear(6, 8), toy.Lif(0.8, alpha=0.6), nn.Linear(8, 4), toy.Lif(0.5, alpha=0.3))
    images = nn.Sequential(
        *(nn.Conv2d(1, 3, 3, stride=2), nn.BatchNorm2d(3), toy.Lif(0.8, alpha=0.6)),
        *(nn.Flatten(), nn.Linear(12, 4), toy.Lif(0.5, alpha=0.3)),
    )
    with torch.no_grad():
        images[1].running_mean.normal_()
        for layer in (*dense[::2], images[0], images[4]):
            layer.weight *= 2
            layer.bias += 0.2
    return {"dense": (dense, (6,)), "images": (images, (1, 6, 6))}


@pytest.mark.parametrize("kind", ["dense", "images"])
def test_a_bias_passes_through_the_current_and_lowers(toy, spikes, kind):
    network, shape = pieces(toy)[kind]
    network.eval()
    x = spikes(2, *shape, 10)
    found = convert(network, x[..., 0], toy.framework, approximate=False)
    expected = toy.run(network, x)
    assert expected.any()
    assert torch.equal(found(x), expected)
    graph = pumice.lower(found, x)  # which proves it on the example
    assert graph.latency >= 2
    differ = (found(x) != expected).float().mean()
    assert differ < 0.1
    silent = torch.zeros_like(x)
    assert found(silent).any() == toy.run(network, silent).any()


def test_a_read_out_with_a_current_lowers(toy, spikes):
    """Norse's LICell: what is read passes two leaky integrators."""
    network = nn.Sequential(
        *(nn.Linear(6, 8), toy.Lif(0.5)), *(nn.Linear(8, 3, bias=False), toy.Lif(0.75, alpha=0.5, fires=False))
    )
    with torch.no_grad():
        network[0].weight *= 4
    x = spikes(3, 6, 12)
    found = convert(network, x[..., 0], toy.framework, approximate=False)
    expected = toy.run(network, x)
    torch.testing.assert_close(found(x), expected)
    graph = pumice.lower(found, x)  # which proves it on the example
    assert graph.populations[-1].i_decay_q12 == 2048
    assert (found(x) - expected).abs().max() < 0.05 * expected.abs().max()
