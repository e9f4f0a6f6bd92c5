"""Random networks against SpikingJelly itself; `scripts/test_peers.sh` has it."""

import pytest
import torch
from torch import nn

import pumice
from pumice.errors import InputError
from pumice.frameworks import from_spikingjelly
from pumice.nn import TDBN

pytest.importorskip("spikingjelly")
from spikingjelly.activation_based import functional, layer, neuron, surrogate
from spikingjelly.activation_based.model import sew_resnet, spiking_resnet

NODES = [
    neuron.IFNode,
    lambda: neuron.IFNode(v_threshold=0.8, v_reset=-0.25),
    lambda: neuron.LIFNode(tau=2.0),
    lambda: neuron.LIFNode(tau=3.0, decay_input=False, v_reset=0.125),
    lambda: neuron.ParametricLIFNode(init_tau=2.5, v_reset=-0.5),
]


def images(node, mode):
    network = nn.Sequential(
        *(layer.Conv2d(2, 4, 3, padding=1, bias=False), layer.BatchNorm2d(4), node(), layer.MaxPool2d(2)),
        *(layer.Conv2d(4, 6, 3), layer.ThresholdDependentBatchNorm2d(1.0, 1.0, 6), node(), layer.AvgPool2d(2)),
        *(layer.Flatten(), layer.Dropout(0.5), layer.Linear(6, 5), node()),
    )
    if mode == "s":
        network[5] = layer.BatchNorm2d(6)
    functional.set_step_mode(network, mode)
    with torch.no_grad():
        for part in network:
            if hasattr(part, "running_mean"):
                part.running_mean.normal_(0, 0.1)
                part.running_var.uniform_(0.005, 0.03)
        network[4].weight *= 2
        network[10].weight *= 20
    return network.eval()


def run(network, x, mode):
    functional.reset_net(network)
    with torch.no_grad():
        y = network(x.movedim(-1, 0)) if mode == "m" else torch.stack([network(s) for s in x.unbind(-1)])
    functional.reset_net(network)
    return y.movedim(0, -1)


@pytest.mark.parametrize("mode", ["s", "m"])
@pytest.mark.parametrize("kind", range(len(NODES)))
def test_images(kind, mode):
    torch.manual_seed(kind)
    network, x = images(NODES[kind], mode), (torch.rand(2, 2, 8, 8, 15) < 0.4).float()
    expected = run(network, x, mode)
    found = from_spikingjelly(network, x.movedim(-1, 0) if mode == "m" else x[..., 0])
    assert expected.any()
    assert torch.equal(found(x), expected)


def test_a_current_with_memory():
    torch.manual_seed(0)
    network = nn.Sequential(
        layer.Linear(6, 8), neuron.CUBALIFNode(v_reset=0.0), layer.Linear(8, 4), neuron.CUBALIFNode(0.25)
    )
    x = (torch.rand(3, 6, 20) < 0.4).float()
    expected = run(network, x, "s")
    assert expected.any()
    assert torch.equal(from_spikingjelly(network, x[..., 0])(x), expected)


def test_a_norm_trains_over_all_steps_as_theirs():
    """In step mode "m" their batch norm's statistics are those of all steps: tdBN."""
    torch.manual_seed(0)
    network = nn.Sequential(layer.Conv2d(1, 3, 3), layer.ThresholdDependentBatchNorm2d(1.0, 1.0, 3), neuron.IFNode())
    functional.set_step_mode(network, "m")
    x = (torch.rand(4, 5, 1, 6, 6) < 0.5).float()
    found = from_spikingjelly(network, x).train()
    network.train()(x)
    found(x.movedim(0, -1))
    (norm,) = (part for part in found.modules() if isinstance(part, TDBN))
    torch.testing.assert_close(norm.running_mean, network[1].running_mean - network[0].bias)
    torch.testing.assert_close(norm.running_var, network[1].running_var)


def test_their_residual_network_to_a_graph():
    torch.manual_seed(0)
    network = spiking_resnet.spiking_resnet18(spiking_neuron=neuron.IFNode, num_classes=4, v_threshold=0.25)
    network.maxpool = nn.Identity()
    functional.set_step_mode(network, "m")
    x = (torch.rand(3, 1, 3, 8, 8) < 0.5).float()
    found = from_spikingjelly(network.eval(), x)
    lines = [line for line in found.report.splitlines() if " differ; " in line]
    assert len(lines) == 17
    assert all(": 0 of " in line for line in lines)


class SEW(nn.Module):
    """A block of their spike-element-wise residual network, behind a layer of neurons."""

    def __init__(self, cnf):
        super().__init__()
        norm = layer.BatchNorm2d
        self.first = nn.Sequential(layer.Conv2d(2, 3, 3, padding=1), norm(3), neuron.IFNode(v_threshold=0.7))
        node = {"spiking_neuron": neuron.IFNode, "v_threshold": 0.7}
        self.blocks = nn.Sequential(*(sew_resnet.BasicBlock(3, 3, cnf=cnf, **node) for _ in range(2)))
        self.last = nn.Sequential(layer.Conv2d(3, 4, 3), neuron.LIFNode(v_threshold=0.7))
        with torch.no_grad():
            for part in self.modules():
                if isinstance(part, nn.BatchNorm2d):
                    part.weight.uniform_(0.8, 1.5)
                    part.bias.normal_(0.5, 0.2)

    def forward(self, x):
        return self.last(self.blocks(self.first(x)))


@pytest.mark.parametrize("mode", ["s", "m"])
@pytest.mark.parametrize("cnf", ["ADD", "AND", "IAND"])
def test_spike_element_wise_residuals(cnf, mode):
    torch.manual_seed(1)
    network, x = SEW(cnf).eval(), (torch.rand(2, 2, 6, 6, 12) < 0.4).float()
    functional.set_step_mode(network, mode)
    with torch.no_grad():
        network.last[0].weight.normal_(0.1, 0.4)
    expected = run(network, x, mode)
    found = from_spikingjelly(network, x.movedim(-1, 0) if mode == "m" else x[..., 0])
    assert 0.02 < expected.mean() < 0.95
    assert torch.equal(found(x), expected)
    assert ("takes 3x6x6 neurons of its own" in found.report) == (cnf != "ADD")
    if mode == "m":
        found.train()(x).sum().backward()
        pumice.lower(found.eval(), x)  # which proves it on the example


@pytest.mark.parametrize("cnf", ["ADD", "IAND"])
def test_their_spike_element_wise_network(cnf):
    torch.manual_seed(0)
    network = sew_resnet.SEWResNet(
        sew_resnet.BasicBlock, [2, 1, 1, 1], num_classes=4, cnf=cnf, spiking_neuron=neuron.IFNode, v_threshold=0.5
    )
    functional.set_step_mode(network.eval(), "m")
    x = (torch.rand(3, 1, 3, 16, 16) < 0.5).float()
    found, expected = from_spikingjelly(network, x), run(network, x.movedim(0, -1), "m")
    torch.testing.assert_close(found(x.movedim(0, -1)), expected, rtol=1e-4, atol=1e-5)
    assert expected.abs().max() > 0.01


def container(kind):
    node = neuron.LIFNode(tau=1.5)
    layers = nn.Sequential(nn.Linear(8, 8), neuron.IFNode())
    return {
        "linear": lambda: layer.LinearRecurrentContainer(node, 8, 8),
        "linear of layers": lambda: layer.LinearRecurrentContainer(layers, 8, 8, bias=False),
        "sum": lambda: layer.ElementWiseRecurrentContainer(node, lambda y, x: x + y),
        "difference of layers": lambda: layer.ElementWiseRecurrentContainer(layers, lambda y, x: 2 * x - 0.5 * y),
    }[kind]()


@pytest.mark.parametrize("mode", ["s", "m"])
@pytest.mark.parametrize("kind", ["linear", "linear of layers", "sum", "difference of layers"])
def test_recurrent_containers(kind, mode):
    torch.manual_seed(3)
    network, x = nn.Sequential(layer.Linear(6, 8), container(kind)), (torch.rand(4, 6, 20) < 0.4).float()
    with torch.no_grad():
        for part in network.modules():
            if isinstance(part, nn.Linear):
                part.weight.normal_(0.2, 0.6)
    functional.set_step_mode(network, mode)
    expected = run(network, x, mode)
    found = from_spikingjelly(network, x.movedim(-1, 0) if mode == "m" else x[..., 0])
    assert 0.05 < expected.mean() < 0.95
    assert torch.equal(found(x), expected)
    found.train()(x).sum().backward()
    pumice.lower(found.eval(), x)  # which proves it on the example


def test_what_a_container_may_not_hold():
    for made, message in [
        (layer.ElementWiseRecurrentContainer(neuron.IFNode(), lambda y, x: x * y), "must be a weighted sum"),
        (
            layer.LinearRecurrentContainer(nn.Sequential(nn.BatchNorm1d(6), neuron.IFNode()), 6, 6),
            "module '0': it must hold neurons, behind Linear or Conv2d at most, got BatchNorm1d, IFNode",
        ),
    ]:
        with pytest.raises(InputError, match=message):
            from_spikingjelly(nn.Sequential(made), torch.ones(3, 6))


def test_layers_along_a_row():
    torch.manual_seed(0)
    network = nn.Sequential(
        *(layer.Conv1d(2, 4, 3, padding=1), layer.BatchNorm1d(4), neuron.IFNode(), layer.MaxPool1d(2)),
        *(layer.Conv1d(4, 5, 3), neuron.LIFNode(), layer.AvgPool1d(2), layer.Flatten(), layer.Linear(10, 4)),
        neuron.IFNode(),
    )
    with torch.no_grad():
        network[4].weight.normal_(0.3, 1)
        network[8].weight.normal_(0.3, 1)
    functional.set_step_mode(network.eval(), "m")
    x = (torch.rand(3, 2, 12, 15) < 0.5).float()
    expected, found = run(network, x, "m"), from_spikingjelly(network, x.movedim(-1, 0))
    assert 0.05 < expected.mean() < 0.95
    assert torch.equal(found(x.unsqueeze(2)), expected)
    pumice.lower(found, x.unsqueeze(2))  # which proves it on the example


def test_it_lowers():
    torch.manual_seed(3)
    network, x = images(NODES[2], "m"), (torch.rand(2, 2, 8, 8, 6) < 0.4).float()
    graph = pumice.lower(from_spikingjelly(network, x.movedim(-1, 0)), x)
    assert graph.latency == 4


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (
            lambda: neuron.LIFNode(v_reset=None),
            r"module '1': v_reset must be a number .*got None; train with v_reset=0.0",
        ),
        (
            lambda: neuron.LIFNode(surrogate_function=surrogate.Sigmoid(spiking=False)),
            "surrogate_function must give 0 below the threshold and 1 above it",
        ),
        (neuron.QIFNode, "neurons must be IFNode, .*, got QIFNode"),
        (lambda: neuron.CUBALIFNode(v_reset=-1.0), "a leak that is not to the reset voltage"),
    ],
)
def test_what_has_no_equal_is_refused_by_name(node, message):
    with pytest.raises(InputError, match=message):
        from_spikingjelly(nn.Sequential(layer.Linear(6, 4), node()), torch.ones(2, 6))


def test_step_modes_that_differ_are_refused():
    network = nn.Sequential(neuron.IFNode(), layer.Linear(6, 4), neuron.IFNode(step_mode="m"))
    with pytest.raises(InputError, match="take time in the same way, got 0: calls, 2: time first"):
        from_spikingjelly(network, torch.ones(3, 2, 6))
