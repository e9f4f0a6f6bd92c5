"""Populations that share a synapse share its integers, and so their scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pumice.errors import LoweringError
from pumice.nn.synapses.base import AbstractSynapse
from pumice.quantization.synapse_view import synapse_owners
from pumice.quantization.trace import Call


def share_scales(
    calls: Sequence[Call], vth_mants: Mapping[str, int], fixed: Mapping[str, int] | None = None
) -> dict[str, int]:
    """Give all populations that are joined by common synapses the smallest of their integer thresholds.

    A synapse of a residual stream feeds every later population of the stream, and a user may give one synapse to
    several blocks. It is quantised once, so that it stays one set of integers; then all of these populations must
    have the same integers per unit of current.

    Args:
        calls: Blocks with neurons, in order.
        vth_mants: For each block's name the largest integer threshold that fits its own weights and bias.
        fixed: Thresholds of blocks that are deployed already, by name.

    Returns:
        Integer thresholds by name, of `vth_mants` and `fixed` together.

    Raises:
        LoweringError: Joined populations have different thresholds or norms, or one is deployed and another is not.
    """
    fixed = fixed or {}
    shared = {**fixed, **vth_mants}
    for group in _joined(calls):
        if len(group) > 1:
            _check_group(group, fixed)
        shared.update(dict.fromkeys((call.name for call in group), min(shared[call.name] for call in group)))
    return shared


def _joined(calls: Sequence[Call]) -> list[list[Call]]:
    members: dict[str, list[Call]] = {}
    group_of: dict[int, str] = {}
    for call in calls:
        owners = {id(owner) for owner in synapse_owners(call)}
        members[call.name] = [call]
        for other in {group_of[owner] for owner in owners if owner in group_of}:
            members[call.name] += members.pop(other)
        for member in members[call.name]:
            group_of.update({id(owner): call.name for owner in synapse_owners(member)})
    return [*members.values()]


def _check_group(group: Sequence[Call], fixed: Mapping[str, int]) -> None:
    names = ", ".join(repr(call.name) for call in group)
    thresholds = {float(call.block.neuron.threshold) for call in group}
    if len(thresholds) > 1:
        raise LoweringError(
            f"blocks {names} receive a common current or share a synapse but have different thresholds "
            f"{sorted(thresholds)}; give them the same"
        )
    if 0 < sum(call.name in fixed for call in group) < len(group):
        raise LoweringError(
            f"blocks {names} share a synapse, and only some of them are deployed; deploy a copy of the "
            "trained network"
        )
    by_neuron = [
        call for call in group if not all(isinstance(owner, AbstractSynapse) for owner in synapse_owners(call))
    ]
    if any(call.block.neuron.norm is not None for call in by_neuron):
        raise LoweringError(
            f"blocks {names} share a synapse, and the norm of each would be folded into it; use synapses with a norm "
            "of their own (nn.Merge), or give each block a synapse of its own"
        )
