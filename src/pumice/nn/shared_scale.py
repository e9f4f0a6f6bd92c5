"""Populations that share an arm share its integers, and so their scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pumice.errors import LoweringError
from pumice.nn.trace import Call


def share_scales(calls: Sequence[Call], vth_mants: Mapping[str, int]) -> dict[str, int]:
    """Give all populations that are joined by common arms the smallest of their integer thresholds.

    An arm of a residual stream feeds every later population of the stream. It is quantised once, so that the stream
    stays one sum of integers; then all of these populations must have the same integers per unit of current.

    Args:
        calls: Blocks with neurons, in order.
        vth_mants: For each block's name the largest integer threshold that fits its own weights and bias.

    Returns:
        Integer thresholds by name.

    Raises:
        LoweringError: Joined populations have different thresholds.
    """
    members: dict[str, list[Call]] = {}
    group_of_arm: dict[int, str] = {}
    for call in calls:
        members[call.name] = [call]
        for other in {group_of_arm[id(term.arm)] for term in call.terms if id(term.arm) in group_of_arm}:
            members[call.name] += members.pop(other)
        for member in members[call.name]:
            group_of_arm.update({id(term.arm): call.name for term in member.terms})
    shared = dict(vth_mants)
    for group in members.values():
        thresholds = {float(call.block.neuron.threshold) for call in group}
        if len(thresholds) > 1:
            names = ", ".join(repr(call.name) for call in group)
            raise LoweringError(
                f"blocks {names} receive a common current but have different thresholds {sorted(thresholds)}; "
                "give them the same"
            )
        shared.update(dict.fromkeys((call.name for call in group), min(vth_mants[call.name] for call in group)))
    return shared
