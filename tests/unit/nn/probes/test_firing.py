import torch

from pumice import nn
from pumice.nn import sigma_delta as sd
from pumice.nn.probes.firing import watch_firing


def test_rates_are_means_over_all_calls():
    params = {"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 1.0}
    block = nn.Dense(params, 2, 3)
    with torch.no_grad():
        block.synapse.weight.fill_(1.0)
    model = torch.nn.Sequential(block, nn.Flatten())
    with watch_firing(model) as firing:
        block(torch.ones(1, 2, 4))
        block(torch.zeros(1, 2, 4))
    assert firing.rates() == {"0": 0.5}
    block(torch.ones(1, 2, 4))
    assert firing.rates() == {"0": 0.5}


def test_of_sigma_delta_neurons_changes_count_and_values_do_not():
    model = torch.nn.Sequential(sd.Input(0.5), sd.Output(2, 1))
    with watch_firing(model) as firing:
        model(torch.tensor([[[4.0, 4.0, -4.0, 0.0], [0.0, 0.0, 0.0, 0.0]]], requires_grad=True))
    assert firing.rates() == {"0": 3 / 8}
    firing.latest["0"].sum().backward()
