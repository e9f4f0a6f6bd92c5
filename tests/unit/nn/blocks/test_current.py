import pytest
import torch

from pumice import nn
from pumice.errors import InputError, LoweringError
from pumice.nn.blocks.current import sum_of_offsets
from pumice.quantization import quantize_

LIF = {"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 0.5, "surrogate": "dspike"}
SPIKES = torch.ones(2, 3, 4, 4, 5)


def norm():
    made = nn.TDBN(threshold=1.0)
    made.shift.data = torch.tensor([0.25])
    return made


def test_currents_add_up_only_inside_the_neurons():
    """Oracle 4f: three currents of which none fires alone fire together."""
    parts = [torch.tensor(values) for values in ([0.4, 0.9], [0.3, -0.2], [0.5, 0.1])]
    currents = [nn.Current.holding(part.reshape(1, 2, 1)) for part in parts]
    lif = nn.Neurons(LIF)
    total = currents[0] + currents[1] + currents[2]
    torch.testing.assert_close(total.value.flatten(), torch.tensor([1.2, 0.8]))
    assert lif(total).flatten().tolist() == [1, 0]
    assert not any(lif(current).any() for current in currents)


def test_a_sum_is_computed_once_and_only_if_needed():
    calls = []

    def value():
        calls.append(1)
        return SPIKES

    current = nn.Current(value, (), 3)
    total = current + current
    assert not calls
    assert torch.equal(total.value, 2 * SPIKES)
    assert torch.equal(total.value, total.value)
    assert calls == [1]


def test_terms_and_their_channels_are_kept():
    a, b, c = nn.ConvSynapse(3, 2, 1), nn.ConvSynapse(3, 6, 1), nn.ConvSynapse(3, 8, 1)
    total = nn.Current.of(a, SPIKES).beside(nn.Current.of(b, SPIKES)) + nn.Current.of(c, SPIKES)
    assert [(term.synapse, term.first_channel) for term in total.terms] == [(a, 0), (b, 2), (c, 0)]
    expected = torch.cat([a(SPIKES), b(SPIKES)], 1) + c(SPIKES)
    torch.testing.assert_close(total.value, expected)


def test_offsets_land_in_their_channels():
    a, b = nn.ConvSynapse(3, 2, 1, norm=norm), nn.ConvSynapse(3, 3, 1, norm=norm)
    total = nn.Current.of(a, SPIKES).beside(nn.Current.of(b, SPIKES)) + nn.Current.of(b, SPIKES).beside(
        nn.Current.of(a, SPIKES)
    )
    a.norm.shift.data *= 4
    assert sum_of_offsets(total.terms, 5).tolist() == [1.25, 1.25, 0.5, 1.25, 1.25]


def test_channels_that_differ_cannot_be_added():
    with pytest.raises(InputError, match="currents of 2 and 3 channels cannot be added"):
        nn.Current.of(nn.ConvSynapse(3, 2, 1), SPIKES) + nn.Current.of(nn.ConvSynapse(3, 3, 1), SPIKES)


def test_a_current_of_unknown_origin_cannot_be_lowered():
    class Held(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.fire = nn.Neurons(LIF)

        def forward(self, x):
            return self.fire(nn.Current.holding(x))

    with pytest.raises(LoweringError, match="'fire': the current that enters was not made by synapses from spikes"):
        quantize_(Held(), SPIKES)
