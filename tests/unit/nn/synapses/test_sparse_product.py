import pytest
import torch
import torch.nn.functional as F

from pumice.nn.layout import slayer_order, time_major
from pumice.nn.synapses import sparse_product
from pumice.nn.synapses.sparse_product import Events, event_linear


@pytest.fixture
def tensors():
    generator = torch.Generator().manual_seed(0)
    x = (torch.rand(3, 20, 30, generator=generator) < 0.05).float().requires_grad_()
    weight = torch.randn(40, 20, generator=generator).requires_grad_()
    return x, weight, torch.randn(30, 3, 40, generator=generator)


def test_gradients_are_those_of_a_dense_product_together_and_alone(tensors):
    x, weight, slopes = tensors
    y = event_linear(x, weight, Events.find(x))
    expected = time_major(slayer_order(F.linear(time_major(x), weight)))
    torch.testing.assert_close(y, expected)
    wanted = torch.autograd.grad(expected, [x, weight], slopes)
    for found in (
        torch.autograd.grad(y, [x, weight], slopes, retain_graph=True),
        [torch.autograd.grad(y, part, slopes, retain_graph=True)[0] for part in (x, weight)],
    ):
        for one, other in zip(found, wanted, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def test_the_weights_gradient_alone_takes_no_product_for_the_inputs(tensors, monkeypatch):
    x, weight, slopes = tensors
    y = event_linear(x, weight, Events.find(x))
    calls = []
    multiply = sparse_product._multiply
    monkeypatch.setattr(sparse_product, "_multiply", lambda *args: (calls.append(1), multiply(*args)))
    torch.autograd.grad(y, x, slopes, retain_graph=True)
    assert not calls
    torch.autograd.grad(y, weight, slopes)
    assert len(calls) == 1
