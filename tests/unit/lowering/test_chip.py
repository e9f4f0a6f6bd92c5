import pytest
import torch

import pumice
from pumice import nn
from pumice.errors import LoweringError

LIF = {"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 0.25}


def mlp(n_in, n_out=3):
    torch.manual_seed(0)
    return torch.nn.Sequential(nn.Dense(LIF, n_in, n_out)), torch.ones(1, n_in, 4)


def test_what_no_core_can_hold_is_refused_with_the_remedy():
    model, x = mlp(16_100)
    with pytest.raises(LoweringError) as caught:
        pumice.lower(model, x)
    message = str(caught.value)
    assert message.startswith("no core of the chip can hold this network:\n  population dense0: pool")
    assert "16,100 inputs" in message
    assert "at most about 8,000 inputs" in message
    assert "chip=None" in message


def test_for_no_chip_it_is_lowered_and_the_file_says_so(tmp_path):
    model, x = mlp(8100)
    graph = pumice.lower(model, x, chip=None)
    assert graph.info["chip"].startswith("none: ")
    pumice.save(graph, tmp_path / "a.net")
    assert pumice.load(tmp_path / "a.net").info["chip"] == graph.info["chip"]
    assert not pumice.plan(graph).fits


def test_what_no_core_can_read_at_once_is_summed_in_parts():
    """Lowering proves every layer and step."""
    graph = pumice.lower(*mlp(8100))
    assert [p.name for p in graph.populations] == ["input_dense0_part", "dense0"]
    assert graph.latency == 2
    assert pumice.plan(graph).fits


def test_what_fits_says_nothing():
    graph = pumice.lower(*mlp(7900))
    assert "chip" not in graph.info
    assert pumice.plan(graph).fits


def test_a_refused_network_stays_as_it_was():
    model, x = mlp(16_100)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(LoweringError):
        pumice.lower(model, x)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert not pumice.quantization.is_quantized(model)
