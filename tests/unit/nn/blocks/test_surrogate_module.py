import pytest
import torch

from pumice import nn
from pumice.errors import InputError


def test_each_sample_is_averaged_over_its_own_steps():
    """Planted: the mean of a sample and its neighbour, which the paper's program takes, gives another answer."""
    module = nn.SurrogateModule(8, tokens=4, n_classes=3, heads=2).eval()
    stream = torch.randn(6, 8, 2, 2, 4)
    expected = module(stream.mean(-1, keepdim=True))
    torch.testing.assert_close(module(stream), expected)
    alone = torch.cat([module(sample[None]) for sample in stream])
    torch.testing.assert_close(module(stream), alone)
    mixed = stream.movedim(-1, 0).reshape(6, 4, 8, 2, 2).movedim(1, -1)  # time-major rows, grouped by fours
    assert not torch.allclose(module(mixed), expected, atol=1e-3)


@pytest.mark.parametrize(("depth", "expected"), [(1, []), (2, [1]), (4, [2, 1]), (6, [3, 2, 1]), (8, [3, 2, 1, 1])])
def test_encoders_of_the_modules(depth, expected):
    assert nn.surrogate_encoders(depth) == expected


def test_gelu_and_selu_differ_and_others_are_refused():
    stream = torch.randn(2, 8, 2, 2, 4)
    answers = []
    for activation in ("gelu", "selu"):
        torch.manual_seed(1)
        answers.append(nn.SurrogateModule(8, tokens=4, n_classes=3, activation=activation)(stream))
    assert not torch.allclose(*answers)
    with pytest.raises(InputError, match="one of gelu, selu, got 'relu'"):
        nn.SurrogateModule(8, tokens=4, n_classes=3, activation="relu")


def test_selu_has_no_norm_and_a_fan_in_of_one():
    module = nn.SurrogateModule(64, tokens=16, n_classes=3, activation="selu")
    assert not any(isinstance(m, nn.TDBN) for m in module.modules())
    for synapse in (m for m in module.modules() if isinstance(m, nn.AbstractSynapse)):
        rows = synapse.rows(synapse.weight.detach())
        assert rows.square().sum(1).mean().item() == pytest.approx(1, rel=0.15), synapse


def test_the_stream_gets_a_gradient():
    stream = torch.randn(2, 8, 2, 2, 4, requires_grad=True)
    nn.SurrogateModule(8, tokens=4, n_classes=3)(stream).square().sum().backward()
    assert stream.grad.abs().sum() > 0
