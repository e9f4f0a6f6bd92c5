import pytest
import torch

from pumice import nn
from pumice.errors import InputError
from pumice.nn.probes.membrane import watch_membrane
from pumice.quantization import quantize_
from pumice.train.losses import MembraneCrossEntropyLoss

PARAMS = {"threshold": 0.5, "current_decay": 0.25, "voltage_decay": 0.5}


@pytest.mark.parametrize("pool", ["mean", "max", "last"])
def test_pooling(pool):
    membrane = torch.tensor([[[0.0, 3.0, 1.0], [1.0, 1.0, 2.0]]])
    pooled = {"mean": [4 / 3, 4 / 3], "max": [3.0, 2.0], "last": [1.0, 2.0]}[pool]
    expected = torch.nn.functional.cross_entropy(2 * torch.tensor([pooled]), torch.tensor([0]))
    torch.testing.assert_close(MembraneCrossEntropyLoss(beta=2.0, pool=pool)(membrane, torch.tensor([0])), expected)


def test_below_threshold_the_free_membrane_is_the_neurons_own():
    block = nn.Dense({**PARAMS, "threshold": 50.0}, 3, 4)
    x = torch.ones(2, 3, 7)
    _, voltage = block.neuron.dynamics(block.synapse(x))
    with watch_membrane(torch.nn.Sequential(block)) as membrane:
        assert not block(x).any()
        # SLAYER truncates its state to a grid of 1 / 4096 in each step.
        torch.testing.assert_close(membrane.potential() * 50.0, voltage, rtol=0, atol=7 * 4 / 4096)


@pytest.mark.parametrize("norm", [None, nn.TDBN])
def test_of_recurrent_neurons_every_step_is_read(norm):
    """They are called step by step, and the last one had been read alone; with spikes that return."""
    torch.manual_seed(0)
    block = nn.Recurrent({**PARAMS, "current_decay": 1.0, "norm": norm}, 3, 4, weight_scale=4)
    x = (torch.rand(5, 3, 7) < 0.5).float()
    block(x)
    block.eval()
    with watch_membrane(torch.nn.Sequential(block)) as membrane:
        for _ in range(2):
            spikes = block(x)
            potential = membrane.potential()
    sums = block.input_synapse(x)
    sums[..., 1:] += block.recurrent_synapse(spikes)[..., :-1]
    voltage, expected = 0.0, []
    for current in (sums if norm is None else block.neuron.norm(sums)).unbind(-1):
        voltage = 0.5 * voltage + current
        expected.append(voltage / 0.5)
    assert spikes.any()
    torch.testing.assert_close(potential, torch.stack(expected, -1), rtol=0, atol=0.01)


@pytest.mark.parametrize("kind", ["hm2bp", "float recurrent"])
def test_a_membrane_that_nobody_sees_is_refused(kind):
    if kind == "hm2bp":
        block = nn.Dense({**PARAMS, "gradient": "hm2bp"}, 3, 4)
    else:
        block = nn.Merge({**PARAMS, "dynamics": "float"}, nn.DenseSynapse(3, 4), recurrent=nn.DenseSynapse(4, 4))
    with watch_membrane(torch.nn.Sequential(block)) as membrane:
        block(torch.ones(2, 3, 5))
        with pytest.raises(InputError, match=f"last block, a {type(block).__name__}, receive is not seen"):
            membrane.potential()


def test_the_norm_is_read_and_not_called_twice():
    block = nn.Dense({**PARAMS, "norm": nn.TDBN}, 3, 4).train()
    x = torch.rand(5, 3, 6, generator=torch.Generator().manual_seed(0))
    with watch_membrane(torch.nn.Sequential(block)) as membrane:
        block(x)
        before = block.neuron.norm.running_mean.clone()
        membrane.potential().sum().backward()
    assert torch.equal(block.neuron.norm.running_mean, before)
    assert block.synapse.weight.grad is not None


def test_deployed_it_is_the_same_up_to_rounding():
    torch.manual_seed(0)
    block = nn.Dense({**PARAMS, "current_decay": 1.0, "norm": nn.TDBN}, 8, 4)
    model = torch.nn.Sequential(block).train()
    x = torch.randint(0, 2, (16, 8, 6)).float()
    for _ in range(20):
        model(x)
    model.eval()
    with watch_membrane(model) as membrane:
        model(x)
        real = membrane.potential()
        quantize_(model, x)
        model(x)
        torch.testing.assert_close(membrane.potential(), real, rtol=0, atol=0.2)
        assert not torch.equal(membrane.potential(), real)


def test_a_silent_layer_has_a_gradient():
    block = nn.Dense({**PARAMS, "threshold": 50.0, "tau_grad": 1e-4}, 3, 2)
    with watch_membrane(torch.nn.Sequential(block)) as membrane:
        spikes = block(torch.ones(1, 3, 5))
        assert not spikes.any()
        MembraneCrossEntropyLoss()(membrane.potential(), torch.tensor([1])).backward()
    assert (block.synapse.weight.grad[1] < 0).all()


def test_bad_arguments_and_models():
    with pytest.raises(InputError, match="beta"):
        MembraneCrossEntropyLoss(beta=0)
    with pytest.raises(InputError, match="pool"):
        MembraneCrossEntropyLoss(pool="median")
    with pytest.raises(InputError, match="no block with neurons"), watch_membrane(torch.nn.Linear(2, 2)):
        pass
    block = nn.Dense(PARAMS, 3, 2)
    with watch_membrane(torch.nn.Sequential(block)) as membrane, pytest.raises(InputError, match="was not called"):
        membrane.potential()
