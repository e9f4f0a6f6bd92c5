from functools import partial

import numpy as np
import pytest
import torch
from lava.lib.dl.slayer.block import cuba as slayer

import pumice
from pumice import nn
from pumice.errors import LoweringError, PumiceWarning
from pumice.quantization import is_quantized, quantize_

X = torch.ones(2, 3, 6)


def test_deploying_twice_changes_nothing(params):
    model = torch.nn.Sequential(nn.Dense({**params, "norm": nn.TDBN}, 3, 4))
    model(X)
    assert not is_quantized(model)
    quantize_(model, X)
    vth_mant = model[0].neuron.vth_mant
    model[0].synapse.weight.data *= 2
    quantize_(model, X)
    assert is_quantized(model)
    assert model[0].neuron.vth_mant == vth_mant


def test_the_rescaled_layer_uses_the_weight_range(params):
    layer = nn.Dense({**params, "norm": nn.TDBN}, 3, 4)
    layer(torch.rand(8, 3, 6).round())
    quantize_(layer, X)
    integers = layer.synapse.pre_hook_fx(layer.synapse.weight)
    assert 200 <= integers.abs().max() <= 254
    assert torch.equal(integers % 2, torch.zeros_like(integers))


def test_batch_statistics_stay_frozen_and_the_norm_still_learns(params):
    layer = nn.Dense({**params, "norm": nn.TDBN}, 3, 4)
    layer(torch.rand(8, 3, 6).round())
    quantize_(layer, X).train()
    mean = layer.neuron.norm.running_mean.clone()
    layer(X).sum().backward()
    assert torch.equal(layer.neuron.norm.running_mean, mean)
    assert layer.neuron.norm.scale.grad.abs().sum() > 0
    assert layer.synapse.weight.grad.abs().sum() > 0


def test_fine_tuning_through_the_integers_learns(params):
    """64 random patterns of two classes: the deployed network itself gets better."""
    x = (torch.rand(64, 20, 8) > 0.6).float()
    label = (x[:, :10].sum((1, 2)) > x[:, 10:].sum((1, 2))).long()
    model = torch.nn.Sequential(
        nn.Dense({**params, "norm": nn.TDBN}, 20, 16), nn.Dense({**params, "norm": nn.TDBN}, 16, 2)
    )
    model(x)
    quantize_(model, x)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    losses = []
    for _ in range(25):
        loss = torch.nn.functional.cross_entropy(model(x).sum(-1), label)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert min(losses[-5:]) < 0.7 * losses[0]


def test_a_deployed_model_loads_its_own_checkpoint(params):
    make = lambda: torch.nn.Sequential(nn.Dense({**params, "norm": nn.TDBN}, 3, 4))  # noqa: E731
    trained = make()
    trained(X)
    quantize_(trained, X)
    trained[0].synapse.weight.data *= 1.5
    other = quantize_(make().eval(), X)
    other.load_state_dict(trained.state_dict())
    assert other[0].neuron.vth_mant == trained[0].neuron.vth_mant
    assert torch.equal(other(X), trained(X))


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (lambda p: nn.Dense({**p, "graded_spike": True}, 3, 3), "block '0': graded_spike=True"),
        (lambda p: nn.Dense({**p, "threshold": 0.01}, 3, 3), "grid begins at 1/64"),
        (lambda p: nn.Dense({**p, "norm": torch.nn.Identity}, 3, 3), "cannot fold a norm of type Identity"),
    ],
)
def test_what_is_not_exact_is_refused_by_name(params, block, message):
    with pytest.raises(LoweringError, match=message):
        quantize_(torch.nn.Sequential(block(params)), X)(X)


def test_pooling_that_crosses_channels_is_refused(params):
    with pytest.raises(LoweringError, match="only a kernel that divides"):
        quantize_(torch.nn.Sequential(nn.Pool(params, 2)), torch.ones(1, 1, 5, 4, 3))


@pytest.mark.parametrize("value", [0.5, float("nan")])
def test_input_must_be_whole_numbers(params, value):
    with pytest.raises(LoweringError, match="whole numbers"):
        quantize_(torch.nn.Sequential(nn.Dense(params, 3, 3)), X * value)


def test_sums_beyond_exact_floats_are_refused(params):
    model = torch.nn.Sequential(nn.Dense(params, 3, 3, weight_scale=8))
    with pytest.raises(LoweringError, match="must add up to less than 16777216, where float32 is exact"):
        quantize_(model, X, input_range=(0, 2**22))(X)


def test_hop_latency_with_a_bias_is_announced(params):
    block = slayer.Dense({**params, "norm": partial(nn.TDBN, threshold=0.5)}, 3, 3)
    block(X)
    with pytest.warns(PumiceWarning, match="delay_shift=True and a bias"):
        quantize_(torch.nn.Sequential(block), X)


@pytest.mark.parametrize(
    ("x", "input_range", "message"),
    [
        (torch.ones(1, 3, 4), (1, 0), r"hold the example's values, 1\.\.1; got \(1, 0\)"),
        (torch.full((1, 3, 4), 16.0), (0, 9), r"hold the example's values, 16\.\.16; got \(0, 9\)"),
        (torch.full((1, 3, 4), 0.5), (0, 9), "must be whole numbers"),
        (np.ones((1, 3, 4)), None, "must be a torch.Tensor, got ndarray"),
    ],
)
def test_impossible_ranges_are_refused_before_anything_changes(params, x, input_range, message):
    model = torch.nn.Sequential(nn.Dense(params, 3, 2))
    with pytest.raises(LoweringError, match=message):
        quantize_(model, x, input_range=input_range)
    assert not is_quantized(model)


def test_a_deployed_network_takes_no_wider_range(params):
    """Its integers were chosen, and proved to fit, for the first range."""
    model, x = torch.nn.Sequential(nn.Dense(params, 3, 2)), torch.ones(1, 3, 4)
    quantize_(model, x, input_range=(0, 16))
    quantize_(model, x, input_range=(0, 5))
    with pytest.raises(LoweringError, match=r"deployed for input values 0\.\.16, got 0\.\.40;"):
        quantize_(model, 40 * x)


def test_a_refusal_keeps_decays_beyond_the_chips(params):
    """SLAYER draws them within a hundredth; read for the chip, they are cut off."""
    block = nn.Merge({**params, "current_decay": 1.0, "shared_param": False}, nn.DenseSynapse(3, 8, norm=nn.TDBN))
    model = torch.nn.Sequential(block)
    model(X)
    assert (block.neuron.current_decay > 4096).any()
    before = block.neuron.current_decay.clone()
    with pytest.raises(LoweringError, match="need current_decay=1"):
        quantize_(model, X)
    assert torch.equal(block.neuron.current_decay, before)
    assert block.neuron.cx_current_decay.max() == 4096
    assert torch.equal(block.neuron.current_decay, before)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_lava_dls_own_synapses_compute_exactly_once_deployed(params, dtype):
    torch.manual_seed(0)
    model = torch.nn.Sequential(slayer.Dense(params, 300, 4, delay_shift=False), slayer.Dense(params, 4, 4))
    x = torch.randint(0, 4, (2, 300, 8)).float()
    expected = quantize_(model, x, input_range=(0, 3))(x)
    with torch.autocast("cpu", dtype=dtype):
        assert torch.equal(model(x), expected)


def test_nothing_between_samples_is_in_every_range(params):
    model = torch.nn.Sequential(nn.Dense(params, 3, 3))
    x = torch.full((2, 3, 4), 2.0)
    graph = pumice.lower(model, x, input_range=(1, 3))
    assert graph.input.value_range == (0, 3)
    assert torch.equal(model(0 * x), torch.zeros(2, 3, 4))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_recurrent_blocks_of_lava_dl_deploy_under_any_default_dtype(params, dtype):
    model = torch.nn.Sequential(slayer.Recurrent(params, 3, 3, delay_shift=False))
    torch.set_default_dtype(torch.float64 if dtype == torch.float32 else torch.float32)
    try:
        quantize_(model.to(dtype), X.to(dtype))
    finally:
        torch.set_default_dtype(torch.float32)
    assert is_quantized(model)


def test_what_lava_dl_drew_in_inference_mode_deploys(params):
    model = torch.nn.Sequential(
        slayer.Dense(params, 3, 3, delay=True, delay_shift=False), slayer.Dense(params, 3, 3, delay_shift=False)
    )
    with torch.inference_mode():
        model(X)
    quantize_(model, X)
    model(X).sum().backward()
    assert model[0].delay.delay.grad is not None


def test_a_read_out_alone_is_a_quantized_network():
    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.synapse, self.readout = nn.DenseSynapse(3, 4), nn.LinearReadout(4, 2)

        def forward(self, x):
            return self.readout(nn.Current.of(self.synapse, x))

    model = Net()
    assert not is_quantized(model)
    assert is_quantized(quantize_(model, X))
