import pytest
import torch
from torch import nn

import pumice
from pumice.errors import InputError
from pumice.frameworks.converting import convert
from pumice.nn import TDBN


def norm_(norm):
    with torch.no_grad():
        norm.running_mean.normal_(0, 0.3)
        norm.running_var.uniform_(0.3, 1.5)
        norm.weight.uniform_(0.5, 1.5)
        norm.bias.normal_(0.4, 0.3)
    return norm


class Network(nn.Module):
    """Two branches of neurons, joined by a function, and a last layer."""

    def __init__(self, toy, join, shape=(2, 6, 5), **last):
        super().__init__()
        row = len(shape) == 2
        conv, norm = (nn.Conv1d, nn.BatchNorm1d) if row else (nn.Conv2d, nn.BatchNorm2d)
        self.layers = nn.ModuleDict()
        with torch.no_grad():
            for name, channels in {"a": 3, "b": last.pop("beside", 3)}.items():
                layer = conv(2, channels, 3, padding=1)
                layer.weight *= 3
                self.layers[name] = nn.Sequential(layer, norm_(norm(channels)), toy.Lif(0.7, 0.7))
            self.conv, self.norm = conv(last.get("joined", 3), 4, 3), norm_(norm(4))
            self.conv.weight *= 3
            self.wide = norm_(norm(last.get("joined", 3)))
        self.join, self.lif, self.out = join, toy.Lif(0.5, 0.5), nn.Linear(last.get("flat", 1), 3)

    def forward(self, x):
        return self.join(self, self.layers["a"](x), self.layers["b"](x))


def behind(net, x):
    """A layer with a bias and a norm."""
    return net.lif(net.norm(net.conv(x)))


def pyramid(a, b):
    """Two pools of one source, and another source."""
    return [nn.functional.max_pool2d(a, 3, 1, 1), nn.functional.max_pool2d(a, 5, 1, 2), b]


JOINS = {
    "conv of a sum": (lambda net, a, b: behind(net, a + b), {}),
    "conv of two sums": (lambda net, a, b: behind(net, (a + b) + a), {}),
    "conv of a norm of a sum": (lambda net, a, b: net.lif(net.wide(a + b)), {}),
    "conv of AND": (lambda net, a, b: behind(net, a * b), {}),
    "conv of IAND": (lambda net, a, b: behind(net, a * (1.0 - b)), {}),
    "AND of AND": (lambda net, a, b: behind(net, (a * b) * b), {}),
    "sum of IAND": (lambda net, a, b: behind(net, (1 - a) * b + a), {}),
    "conv of a concatenation": (lambda net, a, b: behind(net, torch.cat([a, b], 1)), {"beside": 2, "joined": 5}),
    "concatenation of three": (
        lambda net, a, b: behind(net, torch.cat((a, torch.cat([b, a], 1)), dim=1)),
        {"joined": 9},
    ),
    "concatenated sums": (lambda net, a, b: behind(net, torch.cat([a + b, a], 1)), {"joined": 6}),
    "neurons of a concatenation": (lambda net, a, b: net.lif(torch.cat([a, b], 1)), {"beside": 2}),
    "norm of a concatenation": (
        lambda net, a, b: net.lif(net.wide(torch.cat([a, b], 1))),
        {"beside": 2, "joined": 5},
    ),
    "pools of a concatenation": (
        lambda net, a, b: behind(net, nn.functional.max_pool2d(torch.cat([a, b], 1), 2)),
        {"beside": 2, "joined": 5},
    ),
    "two pools of one source": (
        lambda net, a, b: behind(net, torch.cat(pyramid(a, b), axis=1)),  # type: ignore[call-arg]
        {"joined": 9},
    ),
    "halves": (lambda net, a, b: behind(net, 0.5 * a + b / 4), {}),
}


@pytest.mark.parametrize("name", JOINS)
def test_two_branches(toy, spikes, name):
    join, options = JOINS[name]
    network = Network(toy, join, **options).eval()
    x = spikes(3, 2, *((8, 9) if "pools" in name else (6, 5)), 12)
    found = convert(network, x[..., 0], toy.framework, approximate=False)
    expected = toy.run(network, x)
    assert 0.02 < expected.mean() < 0.98
    assert torch.equal(found(x), expected)
    assert not torch.equal(found(x.flip(-1)), expected)
    graph = pumice.lower(found, x)  # which proves it on the example
    assert graph.latency >= 2


def test_the_norm_of_a_concatenation_stays_a_norm_of_each_branch(toy, spikes):
    join, options = JOINS["norm of a concatenation"]
    found = convert(Network(toy, join, **options).eval(), spikes(3, 2, 6, 5), toy.framework, approximate=False)
    assert [norm.num_features for norm in found.lif.modules() if isinstance(norm, TDBN)] == [3, 2]


LAST = {
    "sum": (lambda net, a, b: net.out((a + b).flatten(1)), {"flat": 108}),
    "concatenation": (lambda net, a, b: net.out(torch.cat([a, b], 1).flatten(1)), {"beside": 2, "flat": 180}),
    "both flattened": (
        lambda net, a, b: net.out(torch.cat([a.flatten(1), nn.functional.avg_pool2d(b, 2).flatten(1)], 1)),
        {"beside": 2, "flat": 126},
    ),
}


@pytest.mark.parametrize("name", LAST)
def test_a_last_linear_reads_several_layers(toy, spikes, name):
    join, options = LAST[name]
    network, x = Network(toy, join, **options).eval(), spikes(3, 2, 6, 6, 12)
    del network.lif
    found = convert(network, x[..., 0], toy.framework, approximate=False)
    torch.testing.assert_close(found(x), toy.run(network, x), rtol=1e-4, atol=1e-5)
    pumice.lower(found, x)  # which proves it on the example


ROWS = {
    "conv": (lambda net, a, b: behind(net, torch.cat([a, b], 1)), {"joined": 6}),
    "pools": (
        lambda net, a, b: behind(net, torch.cat([nn.functional.max_pool1d(x, 2) for x in (a, b)], 1)),
        {"joined": 6},
    ),
    "averages": (lambda net, a, b: net.lif(nn.functional.avg_pool1d(net.conv(a) + net.conv(b), 3, 1)), {}),
    "flattened": (lambda net, a, b: net.lif(net.out(nn.functional.avg_pool1d(a + b, 3).flatten(1))), {"flat": 9}),
    "its mean": (
        lambda net, a, b: net.lif(net.out(nn.functional.adaptive_avg_pool1d(a + b, 1).flatten(1))),
        {"flat": 3},
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_layers_along_a_row_are_images_of_height_1(toy, spikes, name):
    join, options = ROWS[name]
    network, x = Network(toy, join, shape=(2, 9), **options).eval(), spikes(3, 2, 9, 12)
    with torch.no_grad():
        network.out.weight.abs_().mul_(0.5 if name == "flattened" else 2)
    found, ours = convert(network, x[..., 0], toy.framework, approximate=False), x.unsqueeze(2)
    expected = toy.run(network, x)
    assert 0.02 < expected.mean() < 0.98
    got = found(ours)
    assert torch.equal(got.squeeze(2) if got.ndim == 5 else got, expected)
    pumice.lower(found, ours)  # which proves it on the example


def test_two_linears_in_a_row_are_their_product(toy, spikes):
    network = nn.Sequential(nn.Linear(6, 8), nn.Dropout(), nn.Linear(8, 5), toy.Lif()).eval()
    with torch.no_grad():
        network[0].weight *= 6
        network[2].weight *= 3
    x = spikes(4, 6, 20)
    found = convert(network, x[..., 0], toy.framework, approximate=False)
    expected = toy.run(network, x)
    assert 0.02 < expected.mean() < 0.98
    assert torch.equal(found(x), expected)
    assert "one matrix" in found.report


@pytest.mark.parametrize(
    ("join", "message"),
    [
        (
            lambda net, a, b: behind(net, nn.functional.max_pool2d(a + b, 2)),
            "a max pool must be of spikes of one source",
        ),
        (lambda net, a, b: behind(net, torch.cat([a, b], 2)), "got cat along axis 2"),
        (lambda net, a, b: behind(net, net.conv(a) * net.conv(b)), "a product of what are no spikes"),
        (lambda net, a, b: behind(net, (1 - a) * (1 - b)), "a product of two complements"),
        (lambda net, a, b: net.lif(1 - a), "1 - spikes must be multiplied by spikes"),
        (
            lambda net, a, b: net.lif(torch.cat([a, b], 1) + torch.cat([b, a], 1)),
            "put side by side .* must be single",
        ),
    ],
)
def test_what_cannot_be_joined(toy, spikes, join, message):
    network = Network(toy, join, **({"joined": 4} if "conv(a)" in message else {})).eval()
    network.conv = nn.Conv2d(3, 3, 3, padding=1)
    network.norm = nn.Identity()
    with pytest.raises(InputError, match=message):
        convert(network, spikes(3, 2, 6, 6), toy.framework, approximate=False)


def test_a_product_with_an_input_that_is_no_spike(toy):
    class Gated(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.lif, self.last = nn.Linear(6, 6), toy.Lif(), toy.Lif()

        def forward(self, x):
            return self.last(self.lif(self.fc(x)) * x)

    with pytest.raises(InputError, match="a product of spikes and an input that is not 0 or 1"):
        convert(Gated().eval(), torch.rand(3, 6), toy.framework, approximate=False)
