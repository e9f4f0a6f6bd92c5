"""Switching keeps every reference to lava-dl's modules: by a second name, tied, in a list, compiled, in a hook."""

import copy

import pytest
import torch
from lava.lib.dl.slayer.block import cuba

import pumice
from pumice import nn
from pumice.quantization import is_quantized, quantize_
from pumice.testing.exact import check_exact

PARAMS = {"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 0.25}


def block(kind=cuba.Dense, n=5):
    torch.manual_seed(0)
    return kind(dict(PARAMS), n, n, weight_scale=6, delay_shift=False)


@pytest.fixture
def x():
    return (torch.rand(3, 5, 12, generator=torch.Generator().manual_seed(0)) < 0.5).float()


class NamedFirst(torch.nn.Module):
    """The synapse has a name outside its block, which comes first."""

    def __init__(self):
        super().__init__()
        inner = block()
        self.synapse_of_mine, self.block = inner.synapse, inner

    def forward(self, x):
        return self.block(x)


class Tied(torch.nn.Module):
    """Two blocks with one synapse."""

    def __init__(self):
        super().__init__()
        self.a, self.b = block(), block()
        self.b.synapse = self.a.synapse

    def forward(self, x):
        return self.b(self.a(x))


class Twice(torch.nn.Module):
    """A recurrent block by two names, and in a list, from which it is called."""

    def __init__(self, called):
        super().__init__()
        self.a = block(cuba.Recurrent)
        self.b = self.a
        self.order = [self.a]
        self.called = called

    def forward(self, x):
        return self.order[0](x) if self.called == "list" else self.b(x)


NETWORKS = {
    "alone": lambda: torch.nn.Sequential(block()),
    "recurrent, bare": lambda: block(cuba.Recurrent),
    "recurrent": lambda: torch.nn.Sequential(block(cuba.Recurrent)),
    "named first": NamedFirst,
    "tied": Tied,
    "two names": lambda: Twice("name"),
    "list": lambda: Twice("list"),
}


@pytest.mark.filterwarnings("ignore:.*nothing fires")
@pytest.mark.parametrize("name", NETWORKS)
def test_the_quantized_network_is_the_one_that_runs(name, x):
    model = NETWORKS[name]().eval()
    trained = model(x).detach()
    graph = pumice.lower(model, x)
    assert all(abs(s.weight).max() > 20 for s in graph.synapses)  # whole, and of the chip's 8 bits
    check_exact(model, graph, x)
    assert trained.sum() > 0
    assert abs(float(model(x).detach().sum() - trained.sum())) < 0.5 * float(trained.sum())


def test_a_compiled_recurrent_block_is_quantized(x):
    plain = torch.nn.Sequential(block(cuba.Recurrent))
    compiled = torch.nn.Sequential(torch.compile(block(cuba.Recurrent), backend="eager"))
    for model in (plain, compiled):
        quantize_(model.eval(), x)
    assert torch.equal(plain(x), compiled(x))
    assert plain(x).any()


def test_hooks_and_references_stay(x):
    inner, seen = block(), []
    neuron, synapse = inner.neuron, inner.synapse
    handle = neuron.register_forward_hook(lambda *_: seen.append(1))
    model = torch.nn.Sequential(inner)
    quantize_(model, x)
    assert inner.neuron is neuron
    assert inner.synapse is synapse
    model(x)
    assert seen
    handle.remove()
    seen.clear()
    model(x)
    assert not seen


def test_a_refused_network_keeps_its_classes(x):
    model = torch.nn.Sequential(block(), nn.Dense({**PARAMS, "graded_spike": True}, 5, 4))
    kinds = [type(module) for module in model.modules()]
    before = copy.deepcopy(model)(x)
    with pytest.raises(pumice.errors.LoweringError, match="graded_spike"):
        quantize_(model, x)
    assert [type(module) for module in model.modules()] == kinds
    assert not is_quantized(model)
    assert torch.equal(model(x), before)
