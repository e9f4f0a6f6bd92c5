"""In which order the nodes of a file are worked out, and which loops there may be."""

from __future__ import annotations

from collections.abc import Iterable

from pumice.nir.neurons import NEURONS
from pumice.nir.reader import NirFile

_ENDS = (*NEURONS, "Input", "Output")


def linear_order(file: NirFile) -> list[str]:
    """The nodes between neurons, sources first.

    Raises:
        FileFormatError: They form a loop without neurons.
    """
    linear = [name for name, node in file.nodes.items() if node.type not in _ENDS]
    waiting = {name: {s for s in file.into(name) if file.nodes[s].type not in _ENDS} for name in linear}
    order, left = _sorted(file, waiting)
    if left:
        raise file.error(f"has a loop without neurons: {', '.join(left[:6])}; a loop needs neurons on it")
    return order


def feed_forward_order(file: NirFile) -> list[str]:
    """All nodes; a layer may feed itself through linear nodes, one step late, and no other loop may be.

    Raises:
        FileFormatError: There is another loop.
    """
    linear_order(file)
    waiting = {name: set(file.into(name)) for name in file.nodes}
    for name, node in file.nodes.items():
        if node.type in NEURONS:
            before = _linear_before(file, name)
            own = _own(file, name, before)
            for target in (before - own) | {name}:
                waiting[target] -= own | {name}
    order, left = _sorted(file, waiting)
    if left:
        neurons = [name for name in left if file.nodes[name].type in NEURONS]
        raise file.error(
            f"has a loop over several layers of neurons ({', '.join(neurons[:6])}), which takes one step in NIR's "
            "simulators and one for each layer on the chip; let only single layers feed themselves"
        )
    return order


def _linear_before(file: NirFile, name: str) -> set[str]:
    """Linear nodes from which a layer is reached without other neurons between."""
    found: set[str] = set()
    waiting = [*file.into(name)]
    while waiting:
        node = waiting.pop()
        if node not in found and file.nodes[node].type not in _ENDS:
            found.add(node)
            waiting += file.into(node)
    return found


def _own(file: NirFile, name: str, before: set[str]) -> set[str]:
    """Those that carry nothing but what the layer itself sent."""
    own = set(before)
    foreign = [n for n in own if not file.into(n)] + [
        n for n in own if any(s not in own and s != name for s in file.into(n))
    ]
    while foreign:
        node = foreign.pop()
        if node in own:
            own.discard(node)
            foreign += [target for target in file.out_of(node) if target in own]
    return own


def _sorted(file: NirFile, waiting: dict[str, set[str]]) -> tuple[list[str], list[str]]:
    order = [name for name, sources in waiting.items() if not sources]
    for name in order:  # grows
        for target in _unique(file.out_of(name)):
            if name in waiting.get(target, ()):
                waiting[target].discard(name)
                if not waiting[target]:
                    order.append(target)
    done = set(order)
    return order, [name for name in waiting if name not in done]


def _unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
