"""Deploying must round, and nothing else: each block's spikes before and after are compared on the example."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Sequence

import torch

from pumice.errors import PumiceWarning
from pumice.names import counted
from pumice.nn.blocks.current import Current
from pumice.quantization.plans import Plan
from pumice.quantization.trace import Call, answer_of, in_evaluation_mode

ROUNDING = 0.5
"""Share of its spikes that a rescaled block may change by rounding its weights to 8 bits; more is announced."""
FEWEST = 20
"""Changed spikes that are worth a word where rounding is expected."""


def warn_of_changes(model: torch.nn.Module, calls: Sequence[Call], plan: Plan, shifted: Collection[str]) -> None:
    """Run each quantized block again on what it got, and name those that answer otherwise than rounding explains.

    Args:
        model: Of which the blocks are.
        calls: Of the trace before.
        plan: What was done. Blocks that were rescaled had real weights, which are rounded now; the others were
            trained in the chip's own integers, so that none of their spikes may change.
        shifted: Blocks that delayed their answer by one step.
    """
    switched = {layer.name: layer for layer in plan.layers if not layer.was_quantized and layer.vth_mant is not None}
    with in_evaluation_mode(model), torch.no_grad():
        for call in (call for call in calls if call.name in switched):
            rescaled = switched[call.name].rescaled
            before, after = call.y, _again(call)
            if call.name in shifted:
                before, after = before[..., 1:], after[..., :-1]
            changed = int((before != after).sum())
            fired = max(int(before.count_nonzero()), int(after.count_nonzero()))
            if changed > (max(FEWEST, ROUNDING * fired) if rescaled else 0):
                warnings.warn(
                    f"block {call.name!r}: deploying changes {changed} of its {counted(before.numel(), 'value')} "
                    f"on the example, with the same input (firing rate {before.mean():.3g} before, "
                    f"{after.mean():.3g} after); " + _advice(rescaled),
                    PumiceWarning,
                    stacklevel=5,
                )


def _advice(is_rescaled: bool) -> str:
    if is_rescaled:
        return (
            "8-bit weights hold less than it learned: look for one weight or bias far larger than the others, or "
            "train on, deployed (quantisation-aware)"
        )
    return "it was not trained with the weights, norm or threshold that the chip will have: train on, deployed"


def _again(call: Call) -> torch.Tensor:
    y: torch.Tensor = answer_of(call.block(_current(call)) if call.reads_current else call.block(*call.xs))
    return y


def _current(call: Call) -> Current:
    def value() -> torch.Tensor:
        total = call.terms[0].spikes.new_zeros(call.y.shape)
        for term in call.terms:
            total[:, term.first_channel : term.first_channel + term.synapse.out_channels] += term.synapse(term.spikes)
        return total

    return Current(value, call.terms, call.y.shape[1])
