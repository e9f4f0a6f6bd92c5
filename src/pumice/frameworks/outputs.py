"""Which layers a network returns: what it does with their numbers afterwards is left to the user."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pumice.frameworks.facts import NeuronFacts
from pumice.frameworks.kinds import has_weights
from pumice.frameworks.recording import Recording, tensors_of


def last_layers(
    recording: Recording, returned: Any, neurons: Mapping[str, NeuronFacts]
) -> tuple[list[str], list[str]]:
    """The layers whose numbers a network returns, followed back through sums, means and stacks.

    Args:
        recording: Of the run.
        returned: What the network returned.
        neurons: By name.

    Returns:
        Names of neurons and layers, in order; and of these the layers that no neurons follow.
    """
    found: dict[str, None] = {}
    seen: set[int] = set()
    waiting = [recording.maker(tensor) for tensor in tensors_of(returned)]
    while waiting:
        made = waiting.pop(0)
        if made is None or id(made) in seen:
            continue
        seen.add(id(made))
        if made.by in neurons:
            if made.place == 0 or neurons[made.by].reads_out:
                found[made.by] = None
        elif made.module is not None and has_weights(made.module):
            found[made.by] = None
        else:
            waiting = [*made.inputs, *waiting]
    if not found:
        found = dict.fromkeys([*neurons][-1:])
    return list(found), [name for name in found if name not in neurons]
