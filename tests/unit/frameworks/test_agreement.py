import dataclasses

import pytest
from torch import nn

from pumice.errors import InternalError
from pumice.frameworks.converting import convert


def test_what_is_nearly_the_same_excuses_no_other_layer(toy, spikes):
    """The planted defect: a threshold read wrongly behind a soft reset that was asked for."""

    def read(path, module):
        found = toy.read(path, module)
        return found and (dataclasses.replace(found, threshold=1.4) if path == "3" else found)

    network = nn.Sequential(nn.Linear(6, 8), toy.Lif(0.9, soft=True), nn.Linear(8, 4), toy.Lif(0.9))
    for layer in network[::2]:
        layer.weight.data *= 4
    convert(network, spikes(80, 6), toy.framework, approximate=True)
    with pytest.raises(InternalError, match="layers 3 give other spikes"):
        convert(network, spikes(80, 6), dataclasses.replace(toy.framework, neuron=read), approximate=True)
