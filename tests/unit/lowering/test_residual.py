"""Networks that are graphs: residual sums, concatenation, token mixing."""

from functools import partial

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

import pumice
from pumice import nn
from pumice.errors import InputError, LoweringError
from pumice.ir import OneToOne, from_stream, to_stream, torch_to_lava
from pumice.nn.synapses.base import AbstractSynapse
from pumice.quantization import quantize_

LIF = {"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 0.75}
TDBN = {**LIF, "norm": nn.TDBN}
HALF = partial(nn.TDBN, alpha=2**-0.5)


class Block(torch.nn.Module):
    """Two convolutions and a shortcut; every second block with a longer main path."""

    def __init__(self, channels, extra):
        super().__init__()
        self.main = torch.nn.Sequential(*(nn.Conv(TDBN, channels, channels, 3, padding=1) for _ in range(1 + extra)))
        self.out = nn.Merge(
            LIF, nn.ConvSynapse(channels, channels, 3, padding=1, norm=HALF), nn.IdentitySynapse(channels, HALF)
        )

    def forward(self, x):
        return self.out(self.main(x), x)


class Net(torch.nn.Module):
    """30 populations: nested skips, a concatenation with the image itself, a token mixer."""

    def __init__(self, n_blocks=8):
        super().__init__()
        self.stem = nn.Conv(TDBN, 1, 4, 3, padding=1)
        self.blocks = torch.nn.ModuleList(Block(4, extra=i % 3) for i in range(n_blocks))
        self.outer = nn.Merge(LIF, nn.ConvSynapse(4, 4, 1, norm=HALF), nn.ConvSynapse(4, 4, 1, norm=HALF))
        self.outermost = nn.Merge(LIF, nn.IdentitySynapse(4, HALF), nn.IdentitySynapse(4, HALF))
        self.concat = nn.Merge(
            LIF, nn.ConvSynapse(4, 2, 1, norm=nn.TDBN), nn.ConvSynapse(1, 2, 3, padding=1, norm=nn.TDBN), concat=True
        )
        self.mixer = nn.Merge({**LIF, "threshold": 0.1}, nn.TokenMixingSynapse(4, tokens=20, heads=2))
        self.mixed = nn.Conv(TDBN, 4, 4, 1)
        self.flatten = nn.Flatten()
        self.head = nn.Dense(TDBN, 80, 5)

    def forward(self, x):
        first = h = self.stem(x)
        for index, block in enumerate(self.blocks):
            h = block(h)
            if index == 2:
                inner = h
        h = self.outermost(self.outer(h, inner), first)
        h = self.mixer(self.concat(h, x))
        return self.head(self.flatten(self.mixed(h)))


@pytest.fixture
def x():
    torch.manual_seed(0)
    return torch.randint(0, 17, (20, 1, 4, 5, 6)).float()


@pytest.fixture
def model(x):
    torch.manual_seed(1)
    model = Net()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.TDBN):
                module.shift += 0.3
        for _ in range(3):
            model(x)
    return model.eval()


def test_thirty_populations_twenty_samples_back_to_back(model, x):
    graph = pumice.lower(model, x)
    assert len(graph.populations) >= 30
    assert max(s.balance_steps for s in graph.synapses) > 20
    expected = torch_to_lava(model(x).detach().numpy())
    stream = to_stream(graph, torch_to_lava(x.numpy()).astype(int))
    assert_array_equal(from_stream(graph, pumice.run(graph, stream).spikes, len(x)), expected)
    assert 0.01 < expected.mean() < 0.99


def test_a_path_beyond_62_steps_gets_relays():
    torch.manual_seed(0)
    x = (torch.rand(3, 4, 5) > 0.4).float()

    class Long(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Dense(LIF, 4, 4)
            self.layers = torch.nn.Sequential(*(nn.Dense(LIF, 4, 4) for _ in range(70)))
            self.merge = nn.Merge(LIF, nn.DenseSynapse(4, 4, norm=HALF), nn.DenseSynapse(4, 4, norm=HALF))

        def forward(self, x):
            h = self.first(x)
            return self.merge(self.layers(h), h)

    model = Long().eval()
    with torch.no_grad():
        for dense in (model.first, *model.layers):
            dense.synapse.weight.copy_(torch.eye(4).reshape(dense.synapse.weight.shape))  # hands each spike on
    graph = pumice.lower(model, x)
    assert [p.name for p in graph.populations if "relay" in p.name] == ["first_merge_relay0"]
    stream = to_stream(graph, torch_to_lava(x.numpy()).astype(int))
    expected = torch_to_lava(model(x).detach().numpy())
    assert_array_equal(from_stream(graph, pumice.run(graph, stream).spikes, len(x)), expected)
    assert expected.any()


def test_identity_and_tdbn_fold_to_the_papers_numbers():
    """Oracle 3g: at rate .2 the shortcut folds to weight .883883 and bias -.176777, in real numbers and lowered."""
    synapse = nn.IdentitySynapse(1, nn.TDBN(1, alpha=2**-0.5, threshold=0.5, eps=0))
    synapse.norm.running_mean.fill_(0.2)
    synapse.norm.running_var.fill_(0.2 * 0.8)
    assert synapse.gain().item() == pytest.approx(0.883883, abs=1e-6)
    assert synapse.offset().item() == pytest.approx(-0.176777, abs=1e-6)
    graph = pumice.lower(torch.nn.Sequential(nn.Merge(LIF, synapse)), torch.ones(1, 1, 3))
    (lowered,), (population,) = graph.synapses, graph.populations
    assert isinstance(lowered, OneToOne)
    scale = population.vth_mant / 0.5
    assert 240 < lowered.weight <= 254  # the largest of 8 bits
    assert lowered.weight == 2 * round(0.883883 * scale / 2)
    assert population.bias_mant == round(-0.176777 * scale)


def test_token_mixing_is_the_papers():
    """Oracle 4a, in real numbers."""
    x = torch.tensor([[1.0, 0, 1], [0, 1, 1], [1, 1, 0], [0, 0, 1]]).reshape(1, 4, 1, 3, 1)
    synapse = nn.TokenMixingSynapse(4, tokens=3, heads=2)
    synapse.weight.data = torch.tensor(
        [[[0.5, 0.2, -0.1], [0, 0.3, 0.4], [0.1, 0, 0.6]], [[1, 0, 0], [0.5, 0.5, 0], [0, -1, 2]]]
    )
    expected = [[0.4, 0.4, 0.7], [0.1, 0.7, 0.6], [1, 1, -1], [0, 0, 2]]
    np.testing.assert_allclose(synapse(x).detach().reshape(4, 3), expected, atol=1e-6)


def test_fine_tuning_goes_through_every_synapse(model, x):
    quantize_(model, x)
    # After thirty random layers little is left of a gradient, and the kernels take less than 2^-100 for nothing.
    (1e25 * model.train()(x).sum()).backward()
    for name, synapse in model.named_modules():
        if isinstance(synapse, nn.AbstractSynapse) and synapse.weight.requires_grad:
            assert synapse.weight.grad.abs().sum() > 0, name


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.Merge(TDBN, nn.DenseSynapse(3, 3)), "give each synapse its own norm"),
        (lambda: nn.Merge(LIF), "needs one or more synapses"),
        (
            lambda: nn.Merge(LIF, nn.DenseSynapse(3, 3))(torch.ones(1, 3, 2), torch.ones(1, 3, 2)),
            "has 1 synapse, got 2 inputs",
        ),
        (lambda: nn.TokenMixingSynapse(3, tokens=4, heads=2), "2 heads do not divide 3 channels"),
        (
            lambda: nn.TokenMixingSynapse(2, tokens=4)(torch.ones(1, 2, 3, 3, 2)),
            "mixes 4 tokens, got an image of 3 x 3",
        ),
    ],
)
def test_wrong_use_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_a_norm_before_a_current_with_memory_is_refused():
    model = nn.Merge({**LIF, "current_decay": 0.5}, nn.DenseSynapse(3, 3, norm=nn.TDBN))
    with pytest.raises(LoweringError, match="need current_decay=1"):
        quantize_(model, torch.ones(2, 3, 4))


@pytest.mark.lava
def test_thirty_populations_through_file_and_lava(model, x, tmp_path):
    graph = pumice.lower(model, x)
    fresh = torch.randint(0, 17, (4, *x.shape[1:]), generator=torch.Generator().manual_seed(7)).float()
    streams = [to_stream(graph, torch_to_lava(part.numpy()).astype(int)) for part in (x[:2], fresh)]
    path = tmp_path / "residual.net"
    pumice.save(pumice.certify(graph, streams[0]), path)
    loaded = pumice.load(path)
    assert set(pumice.verify(loaded, backends=("reference", "fast"))) == {"reference", "fast"}
    got = from_stream(loaded, pumice.run(loaded, streams[1], backend="lava-in-threads").spikes, len(fresh))
    assert_array_equal(got, torch_to_lava(model(fresh).detach().numpy()))

    from lava.lib.dl.netx.hdf5 import Network

    with pytest.raises(NotImplementedError, match="concat"):
        Network(str(path))


class PoolingSynapse(nn.ConvSynapse):
    def linear(self, x, weight):
        return torch.nn.functional.max_pool3d(super().linear(x, weight), (2, 2, 1))


class DoublingSynapse(nn.DenseSynapse):
    def forward(self, x):
        return 2 * super().forward(x)


class MatrixSynapse(AbstractSynapse):
    def __init__(self):
        super().__init__(4, None)
        self.weight = torch.nn.Parameter(torch.ones(4, 4))

    def linear(self, x, weight):
        return torch.einsum("ij,bjt->bit", weight, x)


@pytest.mark.parametrize(
    ("synapse", "shape"),
    [(PoolingSynapse(4, 4, 1), (1, 4, 6, 6, 5)), (DoublingSynapse(4, 4), (1, 4, 5)), (MatrixSynapse(), (1, 4, 5))],
)
def test_an_synapse_that_computes_in_its_own_way_is_refused(synapse, shape):
    said = rf"block 'model': its synapse {type(synapse).__name__} .*; use DenseSynapse, .*ConvSynapse"
    with pytest.raises(LoweringError, match=said):
        pumice.lower(nn.Merge(LIF, synapse), torch.ones(shape))


def test_a_subclass_that_computes_as_its_parent_is_lowered():
    class Named(nn.DenseSynapse):
        label = "mine"

    x = torch.ones(1, 4, 5)
    assert_array_equal(pumice.lower(nn.Merge(LIF, Named(4, 4)), x).synapses[0].weight.shape, (4, 4))
