"""Lava's delayed synapses split their weights by delay anew in every step; in a run of ours they do it once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lava.proc.dense.models import AbstractPyDelayDenseModel
from lava.proc.sparse.models import AbstractPyDelaySparseModel

Split = Callable[[Any, Any, int], Any]

DELAYED = (AbstractPyDelayDenseModel, AbstractPyDelaySparseModel)
"""The models that split: nothing else in them takes as long."""


def split_weights_once() -> None:
    """Have the models of `DelayDense` and `DelaySparse` keep what they split their weights into.

    Lava computes it from the weights, the delays and the longest delay alone, and nothing changes those between the
    steps of a run of ours. Call it in a process of the run's own: where other models run, a program may set weights.
    """
    for model in DELAYED:
        model.get_delay_wgts_mat = staticmethod(kept(model.get_delay_wgts_mat))


def kept(split: Split) -> Split:
    """The function, which splits the same arrays once.

    Args:
        split: Of weights, delays, and the longest delay.

    Example:
        >>> once = kept(lambda weights, delays, longest: [weights, delays])
        >>> weights, delays = [1], [2]
        >>> once(weights, delays, 3) is once(weights, delays, 3)
        True
    """
    found: dict[tuple[int, int, int], tuple[Any, Any, Any]] = {}

    def once(weights: Any, delays: Any, longest: int) -> Any:
        key = id(weights), id(delays), longest
        if key not in found:  # both are held, so that no other array gets their numbers
            found[key] = weights, delays, split(weights, delays, longest)
        return found[key][2]

    return once
