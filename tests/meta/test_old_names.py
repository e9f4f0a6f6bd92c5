"""Names of 0.1 still work, and are what took their place."""

import pytest
import torch

from pumice import nn, quantization, train

OLD = {
    nn: {
        "deploy": quantization.quantize_,
        "is_deployed": quantization.is_quantized,
        "set_gradient": nn.set_gradient_,
        "AbstractArm": nn.AbstractSynapse,
        "ConvArm": nn.ConvSynapse,
        "DenseArm": nn.DenseSynapse,
        "IdentityArm": nn.IdentitySynapse,
        "LinearArm": nn.LinearSynapse,
        "TokenMixing": nn.TokenMixingSynapse,
        "TokenMixingArm": nn.TokenMixingSynapse,
    },
    train: {
        "MembraneCrossEntropy": train.MembraneCrossEntropyLoss,
        "SpikeCount": train.SpikeCountLoss,
        "SpikeCountCrossEntropy": train.SpikeCountCrossEntropyLoss,
        "SpikeMax": train.SpikeMaxLoss,
        "VanRossum": train.VanRossumLoss,
        "initialise_by_data_": train.initialize_by_data_,
        "synchronise_norms": nn.synchronize_norms_,
    },
    train.regularizers: {"REGULARISER_NAMES": train.regularizers.REGULARIZER_NAMES},
}


@pytest.mark.parametrize(("module", "name"), [(module, name) for module, names in OLD.items() for name in names])
def test_an_old_name_is_the_new_thing(module, name):
    assert getattr(module, name) is OLD[module][name]
    assert name not in module.__all__


def test_the_neuron_with_stbps_gradient():
    neuron = nn.STBPNeuron(threshold=0.5, current_decay=1.0, voltage_decay=0.5)
    assert isinstance(neuron, nn.CubaNeuron)
    assert neuron.gradient == nn.STBP()


def test_what_never_was_is_no_name():
    with pytest.raises(AttributeError, match=r"module 'pumice.nn' has no attribute 'nothing'"):
        _ = nn.nothing


@pytest.mark.parametrize("kind", [nn.ResidualBlock, nn.Bottleneck])
def test_weights_of_merges_load_by_their_old_names(kind):
    """Merges called their synapses `arms`."""
    params = {"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 0.75, "norm": nn.TDBN}
    block, other = kind(params, 4, 4), kind(params, 4, 4)
    old = {name.replace(".synapses.", ".arms."): value for name, value in block.state_dict().items()}
    assert any(".arms." in name for name in old)
    assert str(other.load_state_dict(old)) == "<All keys matched successfully>"
    assert all((value == other.state_dict()[name]).all() for name, value in block.state_dict().items())
    assert any(".arms." in name for name in old)  # the caller's stays what it is


def test_so_do_those_of_a_read_out():
    readout, other = (nn.LeakyReadout(4, 3) for _ in range(2))
    old = {name.replace("synapse.", "arm."): value for name, value in readout.state_dict().items()}
    assert "arm.weight" in old
    assert (
        str(torch.nn.Sequential(other).load_state_dict({f"0.{k}": v for k, v in old.items()}))
        == "<All keys matched successfully>"
    )
    assert all((value == other.state_dict()[name]).all() for name, value in readout.state_dict().items())


def test_merges_still_have_arms():
    block = nn.ResidualBlock({"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 0.75}, 4, 4)
    assert block.sum.arms is block.sum.synapses


@pytest.mark.parametrize("name", ["LOSS_NAMES", "SpikeMax", "VanRossum"])
def test_losses_by_their_old_names(name):
    assert getattr(train.losses, name)
