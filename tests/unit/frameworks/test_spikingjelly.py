"""Random networks against SpikingJelly itself; `scripts/test_peers.sh` has it."""

import pytest
import torch
from torch import nn

import pumice
from pumice.errors import InputError
from pumice.frameworks import from_spikingjelly
from pumice.nn import TDBN

pytest.importorskip("spikingjelly")
from spikingjelly.activation_based import functional, layer, neuron
from spikingjelly.activation_based.model import spiking_resnet

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
