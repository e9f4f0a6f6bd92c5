"""What a plan takes for granted, where no printed table or measurement shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from pumice.planner.placement import Placed

ALWAYS = (
    "estimate, not verified on a chip: budgets, formats and costs are inferred from what others printed",
    "not known, so not in it: what crowded routes cost, what convolutions cost beyond their operations, and "
    "the power of cores in use (a published run on 5 to 69 cores took two to three times what is planned)",
)
SEVERAL_CHIPS = (
    "not known: what the barrier of several chips costs; one published run on 12 took 5.4 us with all else"
)


class Assumption(NamedTuple):
    """One of them.

    Attributes:
        text: What is assumed.
        holds_for: Whether a layer depends on it.
    """

    text: str
    holds_for: Callable[[Placed], bool]


SEEN_KERNEL = 7
"""Columns or rows of a kernel, up to which nothing speaks against the rules; printed networks have 1 to 5."""


def _large_kernels(placed: Placed) -> bool:
    shared = [i.synapse.weights.shape[1:3] for i in placed.layer.incoming if i.synapse.shares_weights]
    return any(max(kernel, default=0) > SEEN_KERNEL for kernel in shared)


def _kinds_with_groups(placed: Placed) -> bool:
    synapses = [i.synapse for i in placed.layer.incoming if i.synapse.shares_weights]
    return any(getattr(s, "groups", 1) != 1 or set(getattr(s, "dilation", (1,))) != {1} for s in synapses)


ASSUMPTIONS = (
    Assumption(
        "several synapses into one population: planned with the sum of their entries on the same cores",
        lambda placed: len(placed.layer.incoming) > 1,
    ),
    Assumption(
        "an image with synapses that are no convolutions: cut into tiles like one",
        lambda placed: (
            len(placed.layer.population.shape) == 3
            and any(i.synapse.hop_steps and not i.synapse.shares_weights for i in placed.layer.incoming)
        ),
    ),
    Assumption(
        "one-to-one synapses: a core has entries for the source neurons of its own only",
        lambda placed: any(not i.synapse.enters_everywhere for i in placed.layer.incoming),
    ),
    Assumption(
        "delays: each synapse has the bits of the longest one",
        lambda placed: any(i.delay_bits for i in placed.layer.incoming),
    ),
    Assumption(
        "a synapse without delays on the chip: relays, one per source neuron, send its spikes later",
        lambda placed: placed.repeats is not None,
    ),
    Assumption("groups or dilation: never seen in a printed network", _kinds_with_groups),
    Assumption(
        f"a kernel of more than {SEEN_KERNEL} columns or rows: never seen in a printed network", _large_kernels
    ),
    Assumption(
        "concatenation: only the channels that a synapse feeds are stored",
        lambda placed: any(i.synapse.target_channels is not None for i in placed.layer.incoming),
    ),
    Assumption(
        "memory between convolutions: its words are not understood, the largest printed number is planned with",
        lambda placed: placed.layer.pixel_readers > 0,
    ),
    Assumption(
        "direct input: arrives as a bias; behind an adapter it takes an identity convolution and one step more",
        lambda placed: any(i.synapse.hop_steps == 0 for i in placed.layer.incoming),
    ),
    Assumption(
        "neurons that are reset, sum or send differences: it is not known whether they are microcode",
        lambda placed: placed.layer.population.hard_wired is None,
    ),
)


def marks(layers: Iterable[Placed]) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """A letter for each assumption that a layer depends on, its text, and these layers' names."""
    letters = iter("abcdefghijklmnopqrstuvwxyz")
    placed = list(layers)
    for assumption in ASSUMPTIONS:
        names = tuple(one.name for one in placed if assumption.holds_for(one))
        if names:
            yield next(letters), assumption.text, names
