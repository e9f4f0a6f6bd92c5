"""Networks that make images larger: transposed convolutions and upsampling, trained, quantized, lowered."""

from functools import partial

import pytest
import torch
from numpy.testing import assert_array_equal

import pumice
from pumice import nn
from pumice.errors import InputError
from pumice.fixedpoint import conv_transpose_accumulate
from pumice.ir import ConvTranspose, OneToOne
from pumice.quantization import quantize_

LIF = {"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 0.5, "surrogate": "arctan"}
TDBN = {**LIF, "norm": nn.TDBN}
OPTIONS = [
    {"kernel_size": 2, "stride": 2},
    {"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 0), "output_padding": (1, 0), "groups": 2},
    {"kernel_size": (1, 3), "stride": 3, "dilation": (1, 2), "output_padding": (2, 1)},
    {"kernel_size": 3, "padding": 1},
]


class UNet(torch.nn.Module):
    """Down, up again, and both joined, once by adding currents and once side by side."""

    def __init__(self):
        super().__init__()
        half = partial(nn.TDBN, alpha=2**-0.5)
        self.first = nn.Conv(TDBN, 2, 4, 3, padding=1)
        self.down = nn.Conv(TDBN, 4, 8, 3, stride=2, padding=1, delay=True)
        self.up = nn.ConvT(TDBN, 8, 4, 2, stride=2, delay=True)
        self.sum = nn.Merge(
            LIF,
            nn.ConvSynapse(4, 4, 3, padding=1, norm=half),
            nn.ConvTransposeSynapse(8, 4, 3, stride=2, padding=1, output_padding=1, norm=half),
        )
        self.concat = nn.Merge(
            LIF, nn.UpsampleSynapse(8, 2, norm=nn.TDBN), nn.IdentitySynapse(4, nn.TDBN), concat=True
        )
        self.last = nn.Upsample(LIF, 12, (1, 2))

    def forward(self, x):
        first = self.first(x)
        down = self.down(first)
        return self.last(self.concat(down, self.sum(self.up(down), down)))


def network(x):
    torch.manual_seed(0)
    model = UNet()
    for norm in (module for module in model.modules() if isinstance(module, nn.TDBN)):
        norm.momentum = 1.0
    for _ in range(3):
        model(x)
    return model


@pytest.fixture(scope="module")
def x():
    return (torch.rand(4, 2, 6, 8, 7, generator=torch.Generator().manual_seed(0)) < 0.4).float()


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("norm", [None, nn.TDBN])
def test_the_synapse_is_torchs(options, norm):
    """In floating point torch's own module with the same kernel, step by step."""
    torch.manual_seed(1)
    synapse = nn.ConvTransposeSynapse(4, 6, norm=None if norm is None else norm(threshold=1.0), **options)
    torchs = torch.nn.ConvTranspose2d(4, 6, bias=False, **options)
    groups = options.get("groups", 1)
    kernel = synapse.weight.detach()[..., 0].reshape(groups, 6 // groups, 4 // groups, *synapse.kernel_size)
    torchs.weight.data = kernel.transpose(1, 2).reshape(4, 6 // groups, *synapse.kernel_size)
    spikes = torch.randint(0, 3, (2, 4, 5, 3, 6)).float()
    expected = torch.stack([torchs(spikes[..., t]) for t in range(6)], -1)
    found = synapse.eval()(spikes)
    torch.testing.assert_close(found, expected if norm is None else synapse.norm(expected), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("options", OPTIONS)
def test_integer_sums_are_those_of_the_definition(options):
    synapse = nn.ConvTransposeSynapse(4, 6, **options)
    generator = torch.Generator().manual_seed(2)
    weight = torch.randint(-128, 127, synapse.weight.shape, generator=generator).float() * 2
    image = torch.randint(-50, 50, (4, 5, 3), generator=generator).float()
    found = synapse.linear(image[None, ..., None], weight)[0, ..., 0].detach().numpy()
    expected = conv_transpose_accumulate(
        weight[..., 0].numpy().astype(int).transpose(0, 3, 2, 1),
        image.numpy().astype(int).transpose(2, 1, 0),
        shape=found.transpose(2, 1, 0).shape,
        stride=synapse.stride[::-1],
        padding=synapse.padding[::-1],
        dilation=synapse.dilation[::-1],
        groups=synapse.groups,
    )
    assert_array_equal(found.transpose(2, 1, 0), expected)


@pytest.mark.parametrize("options", OPTIONS)
def test_rows_are_the_largest_that_can_meet(options):
    """What the scale is chosen by: of all sources at 1 in a large image, no sum is larger, and one is as large."""
    synapse = nn.ConvTransposeSynapse(4, 6, **{**options, "padding": 0})
    sizes = synapse.weight.detach().abs()
    sums = synapse.linear(torch.ones(1, 4, 9, 9, 1), sizes)
    torch.testing.assert_close(synapse.rows(sizes).sum(1).max(), sums.max())


def test_it_learns_and_is_lowered_spike_for_spike(x, tmp_path):
    model = network(x)
    model(x).sum().backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)
    model.eval()
    graph = pumice.lower(model, x)
    assert sum(isinstance(s, ConvTranspose) for s in graph.synapses) == 4
    expected = model(x)
    assert 0.02 < expected.mean() < 0.98
    assert torch.equal(pumice.run(graph, x).spikes, expected)
    pumice.save(pumice.certify(graph, x), tmp_path / "a.net")
    loaded = pumice.load(tmp_path / "a.net")
    assert min(pumice.verify(loaded, backends=("reference", "fast")).values()) > 1000
    assert any(isinstance(s, OneToOne) for s in loaded.synapses)


@pytest.mark.lava
def test_lava_computes_the_same(x):
    graph = pumice.certify(pumice.lower(network(x).eval(), x), x[:1])
    assert min(pumice.verify(graph, backends=("lava-in-threads", "lava-one-process")).values()) > 1000


def test_fine_tuning_moves_integers(x):
    model = network(x)
    quantize_(model, x)
    before = model.up.synapses[0].weight_hook(model.up.synapses[0].weight).detach()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    model(x).sum().backward()
    optimizer.step()
    after = model.up.synapses[0].weight_hook(model.up.synapses[0].weight).detach()
    assert not torch.equal(before, after)
    assert torch.equal(after, after.round())


def test_upsampling_repeats_each_spike():
    spikes = (torch.rand(2, 3, 4, 5, 6) < 0.5).float()
    large = nn.Upsample({**LIF, "voltage_decay": 1.0}, 3, (2, 3))(spikes)
    assert torch.equal(large, spikes.repeat_interleave(2, 2).repeat_interleave(3, 3))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: nn.ConvT(LIF, 4, 6, 3, output_padding=1),
            "output_padding must be less than the stride or",
        ),
        (lambda: nn.ConvT(LIF, 4, 6, 3, groups=4), "4 groups do not divide 4 and 6 channels"),
        (lambda: nn.Upsample(LIF, 4, 0), "kernel_size"),
        (lambda: nn.ConvT(LIF, 4, 6, 1, padding=9)(torch.ones(1, 4, 3, 3, 2)), "cuts off the whole image"),
        (lambda: nn.ConvT(LIF, 4, 6, 2)(torch.ones(1, 3, 3, 3, 2)), "ConvTransposeSynapse"),
    ],
)
def test_what_makes_no_transposed_convolution_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()
