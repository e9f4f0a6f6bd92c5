import pytest
import torch
import torch.nn.functional as F

from pumice.nn.layout import slayer_order, time_major
from pumice.nn.synapses import slayer, sparse_convolution, sparse_product
from pumice.nn.synapses.sparse_product import Compressed, Events, event_linear


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


@pytest.mark.parametrize("wanted", ["x", "weight", "both"])
@pytest.mark.parametrize("learns", [False, True])
def test_gradients_are_differentiated_as_those_of_a_dense_product(tensors, wanted, learns):
    """A penalty on a gradient would have none, without a word, for spikes that are few."""
    x, weight, slopes = tensors
    of, seen = {"x": [x], "weight": [weight], "both": [x, weight]}[wanted], []
    for y in (event_linear(x, weight, Events.find(x)), F.linear(time_major(x), weight)):
        given = slopes.clone().requires_grad_(learns)
        first = torch.autograd.grad(y, of, given, create_graph=True)
        into = [x, weight, *([given] if learns else [])]
        seen.append((*first, *torch.autograd.grad(sum((g * g).sum() for g in first), into, allow_unused=True)))
    for mine, theirs in zip(*seen, strict=True):
        assert (mine is None) == (theirs is None)
        if mine is not None:
            torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-4)


def test_a_sum_over_no_samples_is_zero_whatever_its_memory_held():
    """The weights' gradient of an empty batch."""
    out = torch.full((20, 40), torch.nan)
    sparse_product._multiply(Compressed.empty(0, 20, 1), torch.empty(30, 0, 40), (1, 0), out, (0, 1))
    assert not out.any()


@pytest.fixture(params=["dense", "convolution"])
def layer(request, monkeypatch):
    """A synapse, and spikes few enough for its loops over them."""
    monkeypatch.setattr(sparse_convolution, "LEAST_PRODUCTS", 0)
    monkeypatch.setattr(sparse_convolution.Geometry, "most_spikes", sparse_convolution.MOST)
    torch.manual_seed(0)
    made, size = (slayer.Dense(20, 40), (20,)) if request.param == "dense" else (slayer.Conv(2, 8, 3), (2, 9, 9))
    return made, (torch.rand(3, *size, 30) < 0.05).float()


@pytest.fixture
def products(monkeypatch):
    """What was multiplied by the loops over spikes."""
    seen = []
    for module in (sparse_product, sparse_convolution):
        real = module.node_for_each_gradient
        monkeypatch.setattr(module, "node_for_each_gradient", lambda *a, real=real: seen.append(a) or real(*a))
    return seen


@pytest.mark.parametrize("learns", ["weight", "both"])
def test_currents_may_be_changed_in_place(layer, products, learns):
    """As torch's own: a view made within a function of autograd could not be."""
    made, x = layer
    x.requires_grad_(learns == "both")
    inputs, slopes = [made.weight, x][: 1 + x.requires_grad], torch.randn(made(x).shape)
    wanted = torch.autograd.grad(made(x) * 2, inputs, slopes)
    found = torch.autograd.grad(made(x).mul_(2), inputs, slopes)
    assert len(products) == 3
    assert all(torch.equal(one, other) for one, other in zip(found, wanted, strict=True))


def test_how_many_spikes_there_are_decides_no_precision(layer, products):
    """Autocast's products are torch's."""
    made, x = layer
    with torch.autocast("cpu", torch.bfloat16):
        assert {made(x).dtype, made(1 - x).dtype} == {torch.bfloat16}
    assert not products
    assert made(x).dtype == torch.float32
    assert products


@pytest.mark.parametrize(("outputs", "share", "taken"), [(40, 0.04, True), (40, 0.12, False), (300, 0.12, True)])
def test_the_more_outputs_the_more_spikes_are_worth_the_loops(outputs, share, taken, products):
    x = torch.zeros(2, 20, 50)
    x[..., : int(share * 50)] = 1
    synapse = slayer.Dense(20, outputs)
    wanted = F.linear(time_major(x), synapse.weight.flatten(1)).movedim(0, -1)
    torch.testing.assert_close(synapse(x), wanted, rtol=1e-5, atol=1e-5)
    assert bool(products) == taken
