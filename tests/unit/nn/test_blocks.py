import pytest
import torch
from lava.lib.dl.slayer.block import cuba as slayer

from pumice import nn


@pytest.mark.parametrize("kind", ["dense", "conv", "pool"])
def test_without_a_norm_a_block_is_slayers_with_zero_latency(params, kind):
    x = (torch.rand(2, 3, 6, 6, 12) > 0.3).float()
    x = x.reshape(2, 108, 12) if kind == "dense" else x
    make = {
        "dense": lambda m: m.Dense(params, 108, 5, weight_scale=3, delay_shift=False),
        "conv": lambda m: m.Conv(params, 3, 5, 3, stride=2, padding=1, weight_scale=3, delay_shift=False),
        "pool": lambda m: m.Pool(params, 2, weight_scale=1.1, delay_shift=False),
    }[kind]
    ours, stock = make(nn), make(slayer)
    ours.load_state_dict(stock.state_dict())
    assert torch.equal(ours(x), stock(x))
    assert not make(nn).delay_shift


def test_the_users_dictionary_is_left_alone(params):
    """lava-dl's Pool deletes the norm from the dictionary that it is given."""
    params["norm"] = nn.TDBN
    nn.Pool(params, 2)
    nn.Recurrent(params, 2, 2)
    assert params["norm"] is nn.TDBN
    assert "persistent_state" not in params


def test_each_call_of_a_recurrent_block_starts_from_rest(params):
    block = nn.Recurrent(params, 3, 4, weight_scale=3)
    x = (torch.rand(2, 3, 15) > 0.3).float()
    first = block(x)
    assert first.sum() > 0
    assert torch.equal(block(x), first)


def test_flatten_keeps_batch_and_time():
    assert nn.Flatten()(torch.ones(2, 3, 4, 5, 6)).shape == (2, 60, 6)
