"""Layers that say nothing: those that never fire, and those that always do."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

from pumice.errors import PumiceWarning
from pumice.train.history import EpochRecord

ALWAYS = 0.999
"""Spikes per neuron and step from which on a layer counts as always firing."""


def stuck_layers(firing_rates: Mapping[str, float]) -> dict[str, list[str]]:
    """Names of the layers that "never fire" and of those that "always fire".

    Example:
        >>> stuck_layers({"conv1": 0.2, "conv2": 0.0, "output": 0.0})
        {'never fire': ['conv2', 'output'], 'always fire': []}
    """
    return {
        "never fire": [name for name, rate in firing_rates.items() if rate <= 0],
        "always fire": [name for name, rate in firing_rates.items() if rate >= ALWAYS],
    }


def warn_of_stuck_layers(history: Sequence[EpochRecord]) -> None:
    """Name the layers that got stuck in the last epoch; those that were so before are known already.

    Args:
        history: Of the run, so that a resumed one repeats nothing.
    """
    last = history[-1]
    now, before = stuck_layers(last.firing_rates), stuck_layers(history[-2].firing_rates if history[1:] else {})
    what = []
    for how, names in now.items():
        if new := [name for name in names if name not in before[how]]:
            what.append(f"{', '.join(map(repr, new))} {how} (rate {_rate(last, new)})")
    if what:
        warnings.warn(
            f"{last.phase} epoch {last.epoch}: layers {'; '.join(what)}: they tell nothing, and hardly any gradient "
            "passes them; change neuron.threshold or training.lr, or start with training.initial_rate=0.1, which "
            "scales every layer to that rate (pumice.train.initialize_by_data_)",
            PumiceWarning,
            stacklevel=3,
        )


def _rate(record: EpochRecord, names: Sequence[str]) -> str:
    rates = [record.firing_rates[name] for name in names]
    low, high = f"{min(rates):.4g}", f"{max(rates):.4g}"
    return low if low == high else f"{low} to {high}"
