import pytest
import torch
from torch import nn
from torch.nn import functional as F

from pumice.errors import InputError
from pumice.frameworks.expressions import Reader, Term
from pumice.frameworks.linear import combined


def read(layers, features, framework):
    """The layers as one map."""
    reader = Reader(framework, (), 1)
    terms = [Term("input", torch.zeros(1, *features))]
    for index, layer in enumerate(layers):
        terms = reader._through(terms, str(index), layer)
    return combined(terms[0], features)


def apply(linear, x):
    if linear.is_conv:
        geometry = (linear.stride, linear.padding, linear.dilation, linear.groups)
        return F.conv2d(x, linear.weight, linear.bias, *geometry)
    return F.linear(x.flatten(1) if linear.flattens else x, linear.weight, linear.bias)


CHAINS = [
    [nn.AvgPool2d(2), nn.Conv2d(4, 6, 3)],
    [nn.AvgPool2d((2, 3)), nn.Conv2d(4, 6, (3, 2), stride=(1, 2), groups=2)],
    [nn.Conv2d(4, 6, 3, padding=1), nn.AvgPool2d(2)],
    [nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=1), nn.AvgPool2d(3, stride=2)],
    [nn.AvgPool2d(2), nn.Conv2d(4, 4, 2, groups=4), nn.AvgPool2d(2), nn.Flatten()],
    [nn.AvgPool2d(3, padding=1, stride=2)],
    [nn.Conv2d(4, 5, 3, dilation=2)],
    [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)],
    [nn.AvgPool2d(2), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(16, 3)],
    [nn.AvgPool2d(5), nn.Flatten(), nn.Linear(8, 3, bias=False)],
]


@pytest.mark.parametrize("chain", range(len(CHAINS)))
def test_it_is_what_torch_computes(chain, toy):
    torch.manual_seed(0)
    layers = nn.Sequential(*CHAINS[chain]).double()
    x = torch.rand(2, 4, 9, 11, dtype=torch.float64)
    with torch.no_grad():
        found, expected = apply_all(layers, x, toy), layers(x)
    torch.testing.assert_close(found.flatten(1), expected.flatten(1))


def apply_all(layers, x, toy):
    linear = read(layers, tuple(x.shape[1:]), toy.framework)
    if linear.weight.dtype != x.dtype:
        x = x.to(linear.weight)
    return apply(linear, x).double()


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([nn.AvgPool2d(2), nn.Conv2d(4, 6, 3, padding=1)], "behind a pool must have dilation 1 and, with padding"),
        ([nn.AvgPool2d(3, stride=2), nn.Conv2d(4, 6, 3)], "must have windows side by side"),
        ([nn.Conv2d(4, 6, 3), nn.AvgPool2d(2, padding=1)], "a pool behind a layer must have no padding"),
        ([nn.Conv2d(4, 6, 3), nn.Conv2d(6, 6, 3)], "'1': two layers must have neurons between them"),
    ],
)
def test_what_is_no_one_map_is_refused(layers, message, toy):
    with pytest.raises(InputError, match=message):
        read(layers, (4, 9, 11), toy.framework)
