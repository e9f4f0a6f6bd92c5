"""The written order is the one that runs."""

import functools
from importlib import import_module

import numpy as np
import pytest
import torch

from pumice import nn, quantization
from pumice.ir.builder import chain
from pumice.passes import order
from pumice.quantization import is_quantized, quantize_

X = (torch.rand(8, 3, 6, generator=torch.Generator().manual_seed(0)) > 0.5).float()


def resolve(place):
    module, _, path = place.partition(":")
    return functools.reduce(getattr, path.split("."), import_module(module))


def trace(monkeypatch, holder, name, called, label):
    run = getattr(holder, name)
    monkeypatch.setattr(holder, name, lambda *args, **options: (called.append(label), run(*args, **options))[1])


@pytest.mark.parametrize("step", [*order.IN_THE_NETWORK, *order.ON_THE_GRAPH], ids=lambda step: step.name)
def test_every_step_is_where_the_list_says(step):
    assert callable(resolve(step.place))


def test_the_passes_run_in_the_written_order(monkeypatch):
    called = []
    for step in order.ON_THE_GRAPH[:-1]:
        trace(monkeypatch, order, step.name, called, step.name)
    order.run_passes(chain((4,), [3, 2], seed=0), 5)
    assert called == [step.name for step in order.ON_THE_GRAPH[:-1]]


def test_the_network_steps_run_in_the_written_order(monkeypatch):
    """All of them before the deployed network's first forward pass, and the last one only then."""
    called = []
    for step, (holder, name) in zip(
        order.IN_THE_NETWORK,
        (
            (quantization.synapse_view.SynapseView, "folded_rows"),
            (quantization.planner, "choose_vth_mant"),
            (nn.cuba, "round_even"),
        ),
        strict=True,
    ):
        trace(monkeypatch, holder, name, called, step.name)
    model = torch.nn.Sequential(normed())
    model(X)
    quantize_(model, X)(X)
    assert list(dict.fromkeys(called)) == [step.name for step in order.IN_THE_NETWORK]


def normed():
    lif = {"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 0.5}
    torch.manual_seed(0)
    return nn.Dense({**lif, "norm": nn.TDBN}, 3, 4)


def test_folding_preserves_the_normalised_current():
    layer = normed()
    for _ in range(5):
        layer(X)
    layer.eval()
    (view,) = quantization.synapse_view.synapse_views(layer)
    current = layer.synapse(X)
    folded = torch.einsum("oi,bit->bot", view.folded_rows(), X) + layer.neuron.offset().reshape(-1, 1)
    expected = layer.neuron.norm(current)
    assert (expected - current).abs().max() > 0.1  # the norm does something
    np.testing.assert_allclose(folded.detach(), expected.detach(), atol=1e-5)


def test_a_folded_network_has_no_norm_left_to_fold():
    """Deploying again changes no parameter, no buffer and no spike; and what is deployed says so."""
    model = torch.nn.Sequential(normed())
    model(X)
    assert not is_quantized(model)
    first = quantize_(model, X)(X)
    assert is_quantized(model)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert torch.equal(quantize_(model, X)(X), first)
    after = model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
