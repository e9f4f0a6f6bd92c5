import torch

from pumice import nn
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
