import pytest
import torch

from pumice import nn
from pumice.errors import InputError

DEPTH = 32


def moments(network, x):
    """Mean and variance behind each layer of a network."""
    found = []
    for module in network.layers:
        x = module(x)
        if isinstance(module, (torch.nn.SELU, torch.nn.ReLU)):
            found.append((x.mean().item(), x.var().item()))
    return found


def keeps(found):
    return all(abs(mean) <= 0.1 and 0.8 <= variance <= 1.5 for mean, variance in found)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.SelfNormalizing([64, *[256] * DEPTH, 10]).requires_grad_(False)


def test_moments_stay_in_the_papers_interval_over_32_layers(network):
    found = moments(network, torch.randn(500, 64))
    assert len(found) == DEPTH
    assert keeps(found)


@pytest.mark.parametrize("input_moments", [(0.1, 0.8), (-0.1, 1.5)])
def test_other_moments_are_drawn_back(network, input_moments):
    mean, variance = input_moments
    found = moments(network, mean + variance**0.5 * torch.randn(500, 64))
    assert keeps(found[4:])


def _gain_of_torch(network):
    for layer in network.layers:
        if isinstance(layer, torch.nn.Linear):
            torch.nn.init.kaiming_normal_(layer.weight, nonlinearity="selu")


def _fan_out(network):
    torch.nn.init.normal_(
        network.layers[0].weight, std=network.layers[0].out_features ** -0.5
    )  # a variance of 1/4 behind it


def _default(network):
    for layer in network.layers:
        if isinstance(layer, torch.nn.Linear):
            layer.reset_parameters()


@pytest.mark.parametrize("defect", [_gain_of_torch, _fan_out, _default])
def test_planted_initializations_leave_the_interval(network, defect):
    defect(network)
    assert not keeps(moments(network, torch.randn(500, 64)))


def test_alpha_dropout_keeps_the_interval_and_dropout_does_not(network):
    with_dropout = nn.SelfNormalizing([64, *[256] * DEPTH, 10], dropout=0.1).requires_grad_(False)
    x = torch.randn(500, 64)

    def behind_dropout(kind):
        found, y = [], x
        for module in with_dropout.layers:
            y = kind(0.1)(y) if isinstance(module, torch.nn.AlphaDropout) else module(y)
            if isinstance(module, torch.nn.AlphaDropout):
                found.append((y.mean().item(), y.var().item()))
        return found

    assert keeps(behind_dropout(torch.nn.AlphaDropout))
    assert not keeps(behind_dropout(torch.nn.Dropout))
    assert torch.equal(with_dropout.eval()(x), with_dropout.eval()(x))


def test_gradients_reach_the_first_of_32_layers():
    torch.manual_seed(0)
    network = nn.SelfNormalizing([64, *[256] * DEPTH, 10])
    network(torch.randn(200, 64)).square().mean().backward()
    norms = [layer.weight.grad.norm().item() for layer in network.layers if isinstance(layer, torch.nn.Linear)][1:-1]
    assert 0.3 < norms[0] / norms[-1] < 3


@pytest.mark.parametrize(
    ("sizes", "dropout", "message"),
    [
        ([3], 0.0, r"sizes must be those of the input and the answer at least, got \[3\]"),
        ([3, 0, 2], 0.0, r"sizes\[1\] must be a whole number >= 1, got 0"),
        ([3, 2], 1.0, "dropout must be >= 0 and < 1, got 1.0"),
    ],
)
def test_wrong_arguments_are_refused(sizes, dropout, message):
    with pytest.raises(InputError, match=f"^SelfNormalizing: {message}"):
        nn.SelfNormalizing(sizes, dropout=dropout)
