import math
import warnings

import pytest
import torch
from torch.nn.utils import prune

import pumice
from pumice import nn
from pumice.errors import PumiceWarning
from pumice.nn.synapses import sparse_convolution
from pumice.quantization import quantize_
from pumice.quantization.trace import trace


def norm():
    return nn.TDBN(threshold=1.0)


class Split(torch.nn.Module):
    """A read-out of strided convolution, token mixing and a concatenation."""

    def __init__(self, bias=True):
        super().__init__()
        self.short = nn.ConvSynapse(2, 2, 2, stride=2, norm=norm)
        self.long = nn.ConvSynapse(2, 6, 3, stride=2, padding=1, norm=norm)
        self.mix = nn.TokenMixingSynapse(8, tokens=4, heads=2)
        self.fire = nn.Neurons({"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 0.5})
        self.head = nn.LinearReadout(8, 5, bias=bias)

    def forward(self, x):
        stream = nn.Current.of(self.short, x).beside(nn.Current.of(self.long, x))
        stream = stream + nn.Current.of(self.mix, self.fire(stream))
        return self.head(stream)


@pytest.fixture
def x():
    return torch.randint(0, 5, (6, 2, 4, 4, 3)).float()


@pytest.fixture
def model(x):
    model = Split()
    for _ in range(40):
        model(x)
    return model.eval()


def test_the_split_read_out_is_the_whole_one(model, x):
    """Mean over the tokens and linear layer of the sum = sum of linear maps of each branch's spikes, and a bias."""
    with torch.no_grad():
        whole = model(x)
        terms = trace(model, x)[-1].terms
        split = sum(
            torch.einsum("ks,bst->bkt", model.head.real_weight(term), term.spikes.flatten(1, -2)) for term in terms
        )
        split = split + model.head.real_bias(terms).reshape(1, -1, 1)
    torch.testing.assert_close(split, whole, atol=1e-5, rtol=1e-5)
    assert len(terms) == 3
    assert all(model.head.real_weight(term).any() for term in terms)


@pytest.mark.parametrize("deployed", [False, True])
def test_a_pruned_matrix_is_computed_for_each_call(model, x, deployed):
    linear = model.head.linear
    prune.l1_unstructured(linear, "weight", amount=5)
    if deployed:
        quantize_(model, x)
    answer = model(x)
    answer.sum().backward()
    linear.weight_orig.data.neg_()
    linear.bias.data.neg_()
    again = model(x)
    again.sum().backward()
    assert torch.equal(again, -answer)


@pytest.mark.parametrize("learns", [True, False])
def test_synapses_learn_through_the_map_whatever_computes_the_convolution(learns, monkeypatch):
    synapse, head = nn.ConvSynapse(2, 3, 3), nn.LinearReadout(3, 5).requires_grad_(learns)
    (term,) = nn.Current.of(synapse, torch.ones(1, 2, 6, 6, 1)).terms
    seen = []
    monkeypatch.setattr(sparse_convolution.Geometry, "most_spikes", 1)
    for least in (math.inf, 0):
        monkeypatch.setattr(sparse_convolution, "LEAST_PRODUCTS", least)
        seen.append(torch.autograd.grad(head.real_weight(term).square().sum(), synapse.weight)[0])
    assert seen[0].any()
    torch.testing.assert_close(*seen)


def test_deployed_it_gives_multiples_of_its_unit_near_the_real_answer(model, x):
    with torch.no_grad():
        before = model(x)
        quantize_(model, x)
        after = model(x)
    integers = after / model.head.unit
    assert torch.equal(integers, integers.round())
    assert not torch.equal(after, before)
    assert (after - before).abs().max() < 0.25 * before.abs().max()  # 8 bits, and a few spikes of the mixed term


def test_fine_tuning_reaches_head_synapses_and_norms(model, x):
    quantize_(model, x)
    model.train()(x).square().sum().backward()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad.abs().sum() > 0, name


class Image(torch.nn.Module):
    """Reads an image of 512 numbers."""

    def __init__(self):
        super().__init__()
        self.synapse, self.head = nn.IdentitySynapse(2), nn.LinearReadout(2, 5)

    def forward(self, x):
        return self.head(nn.Current.of(self.synapse, x))


def test_sums_beyond_24_bits_wrap_and_clip_as_on_the_chip():
    """Fine-tuning may take them there; `lower` proves that the reference backend gives the same answer."""
    model, x = Image(), torch.randint(0, 5, (2, 2, 16, 16, 6)).float()
    model.head.linear.weight.data = torch.tensor([[1.0, 1], [1, -1], [-1, 0.2], [0.3, 0.2], [0, 0]])
    quantize_(model, x)
    model.head.linear.weight.data *= 100
    model.head.linear.bias.data *= 1e4
    within = (model(x) / model.head.unit).abs()
    whole = sum(
        torch.nn.functional.linear(x.flatten(1, -2).movedim(1, -1), model.head.integers(term))
        for term in trace(model, x)[-1].terms
    )
    assert within.max() <= 2**23
    assert (whole.abs() * 64 > 2**23).any()
    with pytest.warns(PumiceWarning, match="could reach"):
        pumice.lower(model, x)
    model(x).sum().backward()
    assert model.head.linear.bias.grad is not None


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_any_size_of_weights_finds_its_scale(model, x, factor):
    """A power of two, such that the integers fill the chip's formats and fit."""
    model.head.linear.weight.data *= factor
    model.head.linear.bias.data *= factor
    quantize_(model, x)
    terms = trace(model, x)[-1].terms
    assert torch.log2(model.head.deployed_scale) % 1 == 0
    largest = max(model.head.integers(term).abs().max() for term in terms) / 256
    sums = (model(x) / model.head.unit / 64).abs().max() / 2**17 * 4
    bias = model.head.integer_bias(terms).abs().max() / 4096
    assert 0.4 < max(largest, sums, bias) < 1.1


def test_large_sums_that_cancel_are_exact():
    """One synapse against the other: what is left is small; each sum is beyond 2^24, where float32 drops units."""
    images = torch.randint(200, 256, (2, 2, 1, 64, 64, 1), generator=torch.Generator().manual_seed(0)).float()
    images[1] = images[0]
    images[1][..., ::7, ::5, :] -= 1
    synapses = [nn.IdentitySynapse(1), nn.IdentitySynapse(1)]
    synapses[1].weight.fill_(-1.0)
    stream = nn.Current.of(synapses[0], images[0]) + nn.Current.of(synapses[1], images[1])
    head = nn.LinearReadout(1, 2, bias=False)
    head.linear.weight.data = torch.tensor([[1.0], [0.7]])
    head.deploy(head.fitting_scale(stream.terms))
    weights = [head.integers(term).long() for term in stream.terms]
    sums = [torch.einsum("kn,bnt->bkt", w, x.flatten(1, -2).long()) for w, x in zip(weights, images, strict=True)]
    assert torch.equal((head(stream) / head.unit / 64).long(), sum(sums))
    assert sums[0].max() > 2**25 > 100 * sum(sums).abs().max()


def test_a_stream_of_neurons_without_positions():
    synapse, head = nn.DenseSynapse(3, 4), nn.LinearReadout(4, 2)
    x = torch.randint(0, 2, (5, 3, 6)).float()
    stream = nn.Current.of(synapse, x)
    expected = torch.nn.functional.linear(synapse(x).movedim(1, -1), head.linear.weight, head.linear.bias).movedim(
        -1, 1
    )
    torch.testing.assert_close(head(stream), expected)
    head.deploy(head.fitting_scale(stream.terms))
    torch.testing.assert_close(head(stream), expected, atol=0.05, rtol=0.05)


def test_what_takes_the_bits_is_named():
    head, x = nn.LinearReadout(3, 2), torch.ones(2, 3, 1)
    for weight, bias, words in (([1000, 1, 1], 0, "one weight"), ([1, 1, 1], 1e5, "bias of"), ([250, 2, 4], 0, "")):
        synapse = nn.DenseSynapse(3, 3)
        synapse.weight.data = torch.eye(3)
        head.linear.weight.data = torch.tensor([weight, weight]).float()
        head.linear.bias.data.fill_(bias)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always", PumiceWarning)
            # Only the small weights are used.
            head.deploy(head.fitting_scale(nn.Current.of(synapse, x * torch.tensor([[[0.0], [1], [1]]])).terms))
        assert [words in str(w.message) for w in said] == ([True] if words else []), weight


def test_lost_precision_is_said():
    """The sum of a large image in 256 grey levels has no room in 17 bits; that of a small one in 4 has."""

    class Analogue(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.short = nn.ConvSynapse(3, 4, 4, stride=4, norm=norm)
            self.fire = nn.Neurons({"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 0.5})
            self.head = nn.LinearReadout(4, 3)

        def forward(self, x):
            stream = nn.Current.of(self.short, x)
            self.fire(stream)
            return self.head(stream)

    for side, levels, lossy in ((64, 256, True), (8, 4, False)):
        torch.manual_seed(0)
        model, image = Analogue(), torch.randint(0, levels, (4, 3, side, side, 1)).float()
        for _ in range(40):
            model(image)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always", PumiceWarning)
            quantize_(model.eval(), image)
        assert any("use fewer grey levels" in str(w.message) for w in said) is lossy, levels
