"""Random networks against snnTorch itself; `scripts/test_peers.sh` has it."""

import pytest
import torch
from torch import nn

import pumice
from pumice.errors import InputError
from pumice.frameworks import from_snntorch

snn = pytest.importorskip("snntorch")
ZERO = {"reset_mechanism": "zero", "reset_delay": False}


def hidden(seed):
    torch.manual_seed(seed)
    kind = [
        lambda: snn.Leaky(float(torch.rand(())), init_hidden=True, reset_mechanism="zero"),
        lambda: snn.Leaky(torch.rand(8), threshold=0.5 + torch.rand(8), init_hidden=True, **ZERO),
        lambda: snn.Synaptic(0.3, float(torch.rand(())), init_hidden=True, learn_beta=True, **ZERO),
    ][seed % 3]
    network = nn.Sequential(
        *(nn.Linear(6, 8, bias=seed % 2 == 0), kind(), nn.Linear(8, 8), snn.Leaky(1.0, init_hidden=True, **ZERO)),
        *(nn.Linear(8, 4), snn.Leaky(0.5, learn_beta=True, init_hidden=True, reset_mechanism="zero")),
    )
    with torch.no_grad():
        for layer in network[::2]:
            layer.weight *= 4
    return network


def run(network, x):
    for part in network.modules():
        if hasattr(part, "reset_mem"):
            part.reset_mem()
    with torch.no_grad():
        return torch.stack([network(step) for step in x.unbind(-1)], -1)


@pytest.mark.parametrize("seed", range(6))
def test_hidden_states(seed):
    network, x = hidden(seed), (torch.rand(4, 6, 25) < 0.4).float()
    expected = run(network, x)
    assert expected.any()
    assert torch.equal(from_snntorch(network, x[..., 0])(x), expected)


def recurrent(kind):
    torch.manual_seed(3)
    own = {"init_hidden": True, **ZERO}
    conv = {"conv2d_channels": 3, "kernel_size": 3}
    first, neurons = {
        "all to all": (nn.Linear(6, 8), lambda: snn.RLeaky(0.8, linear_features=8, learn_beta=True, **own)),
        "each its own": (
            nn.Linear(6, 8),
            lambda: snn.RLeaky(torch.rand(8), torch.randn(8), False, threshold=0.5 + torch.rand(8), **own),
        ),
        "one V": (nn.Linear(6, 8, bias=False), lambda: snn.RLeaky(0.7, V=-0.5, all_to_all=False, **own)),
        "convolution": (nn.Conv2d(2, 3, 3), lambda: snn.RLeaky(0.6, **conv, **own)),
        "image, each its own": (nn.Conv2d(2, 3, 3), lambda: snn.RLeaky(0.6, torch.randn(3, 1, 1), False, **own)),
    }[kind]
    with torch.no_grad():
        first.weight.normal_(0.2, 1)
    return nn.Sequential(first, neurons()), ((2, 6, 5) if isinstance(first, nn.Conv2d) else (6,))


RECURRENT = ["all to all", "each its own", "one V", "convolution", "image, each its own"]


@pytest.mark.parametrize("kind", RECURRENT)
def test_recurrent_neurons(kind):
    network, shape = recurrent(kind)
    x = (torch.rand(4, *shape, 20) < 0.4).float()
    expected = run(network, x)
    assert 0.05 < expected.mean() < 0.9
    found = from_snntorch(network, x[..., 0])
    assert torch.equal(found(x), expected)
    found.train()(x).sum().backward()
    pumice.lower(found.eval(), x)  # which proves it on the example


def test_recurrent_neurons_in_a_loop_with_their_spikes_as_a_state():
    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.lif = nn.Linear(6, 8), snn.RLeaky(0.9, linear_features=8, **ZERO)

        def forward(self, x):
            spk, mem = self.lif.reset_mem()
            out = []
            for step in x:
                spk, mem = self.lif(4 * self.fc(step), spk, mem)
                out.append(spk)
            return torch.stack(out)

    torch.manual_seed(0)
    network, x = Recurrent(), (torch.rand(20, 4, 6) < 0.4).float()
    with torch.no_grad():
        expected = network(x)
    assert expected.any()
    assert torch.equal(from_snntorch(network, x)(x.movedim(0, -1)), expected.movedim(0, -1))


def test_a_recurrent_current_is_nearly_the_same_where_asked():
    torch.manual_seed(0)
    own = {"init_hidden": True, "reset_mechanism": "zero"}
    network = nn.Sequential(nn.Linear(6, 8), snn.RSynaptic(0.5, 0.8, linear_features=8, **own))
    with torch.no_grad():
        network[0].weight *= 6
    found = from_snntorch(network, torch.ones(2, 6), approximate=True)
    assert "a reset must be at once" in found.report
    assert found.get_submodule("1").recurrent is not None


class Loop(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.lif1 = snn.Leaky(0.8, reset_mechanism="zero")
        self.fc, self.lif2 = nn.Linear(4 * 9, 5), snn.Synaptic(0.0, 0.9, **ZERO)

    def forward(self, x):
        mem1 = self.lif1.reset_mem()
        syn, mem2 = self.lif2.reset_mem()
        out = []
        for step in range(x.size(0)):
            spk, mem1 = self.lif1(self.norm(self.conv(x[step])), mem1)
            pooled = torch.nn.functional.max_pool2d(spk, 2)
            spk, syn, mem2 = self.lif2(self.fc(pooled.flatten(1)), syn, mem2)
            out.append(spk)
        return torch.stack(out), mem2


def test_a_loop_over_images_to_a_graph():
    torch.manual_seed(1)
    network, x = Loop().eval(), (torch.rand(6, 2, 2, 6, 6) < 0.4).float()
    with torch.no_grad():
        network.conv.weight *= 4
        network.fc.weight *= 4
        network.norm.running_mean.normal_()
        expected = network(x)[0].movedim(0, -1)
    found, ours = from_snntorch(network, x), x.movedim(0, -1)
    assert expected.any()
    assert torch.equal(found(ours), expected)
    graph = pumice.lower(found, ours)
    assert graph.latency == 3


def test_neurons_without_reset_are_read_out():
    torch.manual_seed(0)
    out = snn.Leaky(0.75, reset_mechanism="none", init_hidden=True, output=True)
    network = nn.Sequential(
        nn.Linear(6, 8), snn.Leaky(0.5, init_hidden=True, reset_mechanism="zero"), nn.Linear(8, 3), out
    )
    x = (torch.rand(4, 6, 12) < 0.4).float()
    found = from_snntorch(network, x[..., 0])
    network[1].reset_mem(), out.reset_mem()
    with torch.no_grad():
        expected = torch.stack([network(step)[1] for step in x.unbind(-1)], -1)
    torch.testing.assert_close(found(x), expected)


@pytest.mark.parametrize(
    ("neuron", "message"),
    [
        (lambda: snn.Leaky(0.9), r"module '1': reset_mechanism must be 'zero' .*got 'subtract'; train with"),
        (lambda: snn.Synaptic(0.5, 0.9, reset_mechanism="zero"), r"a reset must be at once"),
        (lambda: snn.Lapicque(0.9, reset_mechanism="zero"), r"a reset must be at once.*use Leaky"),
        (lambda: snn.Alpha(0.9, 0.8), "neurons must be Leaky, RLeaky, Synaptic, RSynaptic, Lapicque, got Alpha"),
        (lambda: snn.RLeaky(0.9, linear_features=4), r"module '1': reset_mechanism must be 'zero'"),
        (
            lambda: snn.RLeaky(0.9, linear_features=4, reset_mechanism="zero"),
            r"a reset must be at once.*reset_delay=F",
        ),
        (lambda: snn.RSynaptic(0.5, 0.9, linear_features=4, **ZERO), r"a reset must be at once.*use RLeaky"),
        (lambda: snn.RLeaky(0.9, linear_features=4, reset_mechanism="none"), "recurrent neurons must be reset"),
        (lambda: snn.Leaky(0.9, graded_spikes_factor=2.0), "graded_spikes_factor must be 1, got 2"),
        (lambda: snn.Leaky(0.9, state_quant=lambda x: x), "state_quant must be False"),
        (
            lambda: snn.Leaky(0.9, spike_grad=torch.sigmoid, **ZERO),
            "module '1': spike_grad must give 0 below .* 0.881 at 2",
        ),
        (
            lambda: snn.Leaky(0.9, spike_grad=lambda x: (x > 0).float() + (x > 1), **ZERO),
            "spike_grad must give .*, got 0 at -2, 2 at 2",
        ),
    ],
)
def test_what_has_no_equal_is_refused_by_name(neuron, message):
    with pytest.raises(InputError, match=message):
        from_snntorch(nn.Sequential(nn.Linear(6, 4), neuron()), torch.ones(2, 6))


def test_a_soft_reset_is_nearly_the_same_where_asked():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(6, 8), snn.Leaky(0.9, init_hidden=True))
    with torch.no_grad():
        network[0].weight *= 6
    report = from_snntorch(network, torch.ones(2, 6), approximate=True).report
    assert "got 'subtract'" in report
    assert "1: 0 of" not in report
