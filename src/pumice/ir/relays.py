"""Populations that pass on what they receive, for paths that need a further step."""

from __future__ import annotations

from pumice.fixedpoint.formats import DECAY_ONE
from pumice.ir.populations import Cuba, Population, SigmaDelta


def value_relay(name: str, shape: tuple[int, ...]) -> SigmaDelta:
    """Neurons that send, in the same step, the sum of the values that they receive."""
    return SigmaDelta(name, shape, vth=0, relu=False, spike_exp=0, state_exp=0)


def is_value_relay(p: Population) -> bool:
    """Whether a population is a `value_relay`."""
    return isinstance(p, SigmaDelta) and p.is_relay


def relay(name: str, shape: tuple[int, ...], *, graded: bool) -> tuple[int, Population]:
    """Neurons that send on in the same step what they receive, and the weight that drives them.

    Args:
        name: Of the population.
        shape: Of what is relayed.
        graded: Whether that is values; spikes otherwise.

    Example:
        >>> weight, neurons = relay("relay", (4,), graded=False)
        >>> weight, neurons.vth_mant
        (2, 1)
    """
    if graded:
        return 1, value_relay(name, shape)
    return 2, Cuba(name, shape, vth_mant=1, i_decay_q12=DECAY_ONE, v_decay_q12=DECAY_ONE)
