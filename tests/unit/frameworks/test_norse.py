"""Random networks against Norse itself; `scripts/test_peers.sh` has it."""

import pytest
import torch
from torch import nn

import pumice
from pumice.errors import InputError
from pumice.frameworks import from_norse

pytest.importorskip("norse")
import norse.torch as norse
from norse.torch.functional.leaky_integrator import LIParameters
from norse.torch.functional.lif import LIFParameters
from norse.torch.functional.lif_box import LIFBoxParameters


def number(x):
    return torch.tensor(x)


CELLS = [
    norse.LIFCell,
    lambda: norse.LIFCell(LIFParameters(tau_mem_inv=number(300.0), tau_syn_inv=number(1000.0), v_th=number(0.5))),
    lambda: norse.LIFBoxCell(dt=0.002),
    lambda: norse.LIFBoxCell(LIFBoxParameters(v_leak=number(-0.5), v_reset=number(-0.5))),
    norse.IAFCell,
]


def louder(network, by):
    with torch.no_grad():
        for part in network.modules():
            if isinstance(part, (nn.Linear, nn.Conv2d)):
                part.weight *= by
    return network


@pytest.mark.parametrize("kind", range(len(CELLS)))
def test_cells(kind):
    torch.manual_seed(kind)
    network = norse.SequentialState(
        *(nn.Conv2d(1, 4, 3), CELLS[kind](), nn.AvgPool2d(2), nn.Flatten()),
        *(nn.Linear(36, 12), CELLS[kind](), nn.Linear(12, 4), CELLS[kind]()),
    )
    louder(network, {3: 90, 4: 3}.get(kind, 30))
    x, state, out = (torch.rand(3, 1, 8, 8, 20) < 0.3).float(), None, []
    with torch.no_grad():
        for step in x.unbind(-1):
            y, state = network(step, state)
            out.append(y)
    expected = torch.stack(out, -1)
    assert expected.any()
    assert torch.equal(from_norse(network, x[..., 0])(x), expected)


def test_leaks_of_each_neuron():
    torch.manual_seed(0)
    rest = torch.tensor([-0.5, 0.0, 0.25, 0.5])
    cell = norse.LIFBoxCell(LIFBoxParameters(v_leak=rest, v_reset=rest))
    network = louder(norse.SequentialState(nn.Linear(6, 4), cell), 30)
    x, state, out = (torch.rand(3, 6, 20) < 0.3).float(), None, []
    with torch.no_grad():
        for step in x.unbind(-1):
            y, state = network(step, state)
            out.append(y)
    expected = torch.stack(out, -1)
    assert expected.any()
    assert torch.equal(from_norse(network, x[..., 0])(x), expected)


def test_layers_over_time():
    torch.manual_seed(0)
    network = norse.SequentialState(nn.Linear(6, 8), norse.LIF(), nn.Linear(8, 4), norse.LIF())
    louder(network, 30)
    x = (torch.rand(25, 3, 6) < 0.4).float()
    with torch.no_grad():
        expected = network(x)[0].movedim(0, -1)
    assert expected.any()
    assert torch.equal(from_norse(network, x)(x.movedim(0, -1)), expected)


@pytest.mark.parametrize("autapses", [False, True])
def test_recurrent_cells(autapses):
    torch.manual_seed(0)
    cell = norse.LIFRecurrentCell(6, 8, autapses=autapses)
    network = louder(norse.SequentialState(cell, nn.Linear(8, 4), norse.LIFCell()), 30)
    with torch.no_grad():
        cell.input_weights.mul_(8)
        cell.recurrent_weights.mul_(3)
    x, state, out = (torch.rand(3, 6, 20) < 0.4).float(), None, []
    with torch.no_grad():
        for step in x.unbind(-1):
            y, state = network(step, state)
            out.append(y)
    found, expected = from_norse(network, x[..., 0]), torch.stack(out, -1)
    assert 0.05 < expected.mean() < 0.9
    assert torch.equal(found(x), expected)
    assert ("no connection of a neuron to itself" in found.report) == (not autapses)
    found.train()(x).sum().backward()
    pumice.lower(found.eval(), x)  # which proves it on the example


def test_a_recurrent_layer_over_time():
    torch.manual_seed(0)
    network = norse.SequentialState(norse.LIFRecurrent(6, 8), norse.LIFRecurrent(8, 4))
    with torch.no_grad():
        for layer in network:
            layer.input_weights.mul_(8)
    x = (torch.rand(25, 3, 6) < 0.4).float()
    with torch.no_grad():
        expected = network(x)[0].movedim(0, -1)
    found = from_norse(network, x)
    assert 0.05 < expected.mean() < 0.9
    assert found.outputs == ("1",)
    assert torch.equal(found(x.movedim(0, -1)), expected)


def test_what_is_lifted_over_time():
    torch.manual_seed(0)
    network = norse.SequentialState(
        norse.Lift(nn.Conv2d(1, 3, 3)), norse.LIF(), nn.Flatten(2), nn.Linear(48, 4), norse.LIF()
    )
    louder(network, 30)
    x = (torch.rand(25, 2, 1, 6, 6) < 0.4).float()
    with torch.no_grad():
        expected = network(x)[0].movedim(0, -1)
    assert expected.any()
    assert torch.equal(from_norse(network, x)(x.movedim(0, -1)), expected)


def test_a_read_out_to_a_graph():
    torch.manual_seed(0)
    network = norse.SequentialState(nn.Linear(6, 8), norse.LIFCell(), nn.Linear(8, 3, bias=False), norse.LICell())
    louder(network, 20)
    x, state, out = (torch.rand(3, 6, 20) < 0.4).float(), None, []
    with torch.no_grad():
        for step in x.unbind(-1):
            y, state = network(step, state)
            out.append(y)
    found, expected = from_norse(network, x[..., 0]), torch.stack(out, -1)
    torch.testing.assert_close(found(x), expected, rtol=2e-3, atol=2e-3)  # its decays are rounded
    graph = pumice.lower(found, x)  # which proves it on the example
    assert len(graph.populations) == 3  # with the neurons that bring the bias
    assert found(x).abs().max() > 0


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (
            lambda: norse.LIFBoxCell(LIFBoxParameters(v_reset=number(-0.5))),
            r"module '1': v_leak, where voltages start",
        ),
        (
            lambda: norse.LIFBoxCell(LIFBoxParameters(v_leak=torch.tensor([0.0, 0.1, 0.2, 0.3]))),
            r"module '1': dt \* tau_mem_inv \* .v_leak - v_reset. must be one number for all neurons, got \[0.0, ",
        ),
        (
            lambda: norse.LICell(LIParameters(v_leak=torch.tensor([0.0, 0.0, 0.0, 0.5]))),
            r"module '1': a read-out must leak to 0, got v_leak tensor",
        ),
        (norse.LSNNCell, "neurons must be LIFCell, .*, got LSNNCell"),
        (lambda: norse.LIFCell(dt=0.1), r"dt \* tau_mem_inv must lie in 0..1, got 10"),
    ],
)
def test_what_has_no_equal_is_refused_by_name(cell, message):
    with pytest.raises(InputError, match=message):
        from_norse(norse.SequentialState(nn.Linear(6, 4), cell()), torch.ones(2, 6))
