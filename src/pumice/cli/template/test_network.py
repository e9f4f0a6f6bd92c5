"""Run `pytest` in continuous integration: a network that lowers here gives the same spikes on all backends."""

import torch
from data import load
from network import Network

import pumice
from pumice import nn

NEURON = {"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 0.5, "norm": nn.TDBN}


def test_the_lowered_network_is_the_network():
    torch.manual_seed(0)
    images = torch.as_tensor(load().train.samples[:8]).float()
    x = images.unsqueeze(-1).repeat(1, 1, 1, 1, 8)  # time last
    model = Network(NEURON, tuple(images.shape[1:]), 10, width=4)
    for _ in range(20):
        model(x)  # norms learn their statistics
    graph = pumice.lower(model.eval(), x)
    result = pumice.run(graph, x)
    for name, expected in zip(graph.outputs, model(x), strict=True):
        assert torch.equal(result.outputs[name], expected)
