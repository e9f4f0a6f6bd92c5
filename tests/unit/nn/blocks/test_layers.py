import h5py
import pytest
import torch
from lava.lib.dl.slayer.block import cuba as slayer

from pumice import nn
from pumice.errors import LoweringError
from pumice.quantization import quantize_


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


def _dense(params):
    return nn.Dense(params, 3, 4), torch.ones(1, 3, 5)


def _conv(params):
    return nn.Conv(params, 3, 4, 3), torch.ones(1, 3, 4, 4, 5)


def _recurrent(params):
    return nn.Recurrent(params, 3, 4), torch.ones(1, 3, 5)


@pytest.mark.parametrize("make", [_dense, _conv, _recurrent])
@pytest.mark.parametrize("norm", [nn.TDBN, nn.BiasFreeNorm])
def test_lava_dls_exporter_refuses_a_norm_that_it_cannot_fold(params, tmp_path, make, norm):
    block, x = make({**params, "norm": norm})
    block(x.expand(2, *x.shape[1:]))
    with h5py.File(tmp_path / "a.net", "w") as file:
        with pytest.raises(LoweringError, match=f"export_hdf5 cannot write .* with a {norm.__name__}.*pumice.lower"):
            block.export_hdf5(file)
        assert not file.keys()  # nothing half written


def test_lava_dls_exporter_refuses_deployed_integers(params, tmp_path):
    block, x = _dense({**params, "threshold": 0.5})
    quantize_(block, x)
    with h5py.File(tmp_path / "a.net", "w") as file, pytest.raises(LoweringError, match="integers of its own"):
        block.export_hdf5(file)


@pytest.mark.parametrize("make", [_dense, _conv, _recurrent])
def test_lava_dls_exporter_writes_what_has_no_norm(params, tmp_path, make):
    block, x = make(params)
    block(x)
    with h5py.File(tmp_path / "a.net", "w") as file:
        block.export_hdf5(file)
        assert "weight" in file
