"""Token mixer and channel mixer."""

import numpy as np
import pytest
import torch

from pumice import nn
from pumice.errors import InputError

LIF = {"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 0.5, "surrogate": "dspike"}
MAKE = {"neurons": lambda: nn.Neurons(LIF), "norm": lambda: nn.TDBN(threshold=1.0)}
HEADS = torch.tensor([[[0.5, 0.2, -0.1], [0, 0.3, 0.4], [0.1, 0, 0.6]], [[1, 0, 0], [0.5, 0.5, 0], [0, -1, 2]]])
SPIKES = torch.tensor([[1.0, 0, 1], [0, 1, 1], [1, 1, 0], [0, 0, 1]])


def token_mixing():
    synapse = nn.TokenMixing(4, tokens=3, heads=2)
    synapse.weight.data = HEADS.clone()
    return synapse


def test_token_mixing_is_the_papers():
    """Oracle 4a."""
    y = token_mixing()(SPIKES.reshape(1, 4, 1, 3, 1)).detach().reshape(4, 3)
    expected = [[0.4, 0.4, 0.7], [0.1, 0.7, 0.6], [1, 1, -1], [0, 0, 2]]
    np.testing.assert_allclose(y, expected, atol=1e-6)


def test_token_mixing_is_a_block_diagonal_matrix():
    """Oracle 4a: row = channel * tokens + token, each head's matrix repeated for its channels."""
    units = torch.eye(12).reshape(12, 4, 1, 3, 1)
    matrix = token_mixing()(units).detach().reshape(12, 12).T
    expected = torch.block_diag(HEADS[0], HEADS[0], HEADS[1], HEADS[1])
    assert torch.equal(matrix, expected)
    torch.testing.assert_close(matrix @ SPIKES.flatten(), token_mixing()(SPIKES.reshape(1, 4, 1, 3, 1)).flatten())


@pytest.mark.parametrize("heads", [1, 8])
def test_initial_matrices_have_the_papers_spread(heads):
    weight = nn.TokenMixing(16, tokens=64, heads=heads).weight
    assert weight.std().item() == pytest.approx((2 / 64) ** 0.5, rel=0.1)


def test_a_mixer_adds_to_the_stream_and_multiplies_spikes_alone():
    stream = torch.randn(2, 8, 2, 3, 4)
    for block in (
        nn.TokenMixerBlock(8, tokens=6, heads=2, **MAKE),
        nn.ChannelMixerBlock(8, **MAKE),
    ):
        entered = []
        synapses = [m for m in block.modules() if isinstance(m, nn.AbstractSynapse)]
        for synapse in synapses:
            synapse.register_forward_pre_hook(lambda _, args, entered=entered: entered.append(args[0]))
        block.last.norm.scale.data.zero_()  # a branch that gives nothing leaves the stream as it is
        assert torch.equal(block(nn.Current.holding(stream)).value, stream)
        assert len(entered) == len(synapses)
        assert all(torch.equal(x, (x > 0).to(x.dtype)) for x in entered)
        assert all(x.any() for x in entered)


def test_wrong_heads_are_refused():
    with pytest.raises(InputError, match="3 heads do not divide 8 channels"):
        nn.TokenMixerBlock(8, tokens=6, heads=3, **MAKE)
