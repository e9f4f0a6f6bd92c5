"""In which order populations run: layer by layer over many steps where nothing loops, step by step in loops."""

from __future__ import annotations

from collections.abc import Iterator

from pumice.ir import Graph


def stages(graph: Graph) -> list[tuple[str, ...]]:
    """Group the populations so that all of a group's sources are in the group itself or in earlier ones.

    A group of one without a synapse to itself runs over all steps of a chunk at once; the others are loops (strongly
    connected components; Tarjan, 1972) and run step by step.

    Example:
        >>> from pumice.ir.builder import chain
        >>> stages(chain((4,), [3, 2], seed=0))
        [('dense0',), ('dense1',)]
    """
    sources = {
        p.name: [s.source for s in graph.into(p.name) if s.source != graph.input.name] for p in graph.populations
    }
    position = {p.name: i for i, p in enumerate(graph.populations)}
    return [tuple(sorted(group, key=position.__getitem__)) for group in _components(sources)]


def loops(graph: Graph, stage: tuple[str, ...]) -> bool:
    """Whether a group feeds itself."""
    return len(stage) > 1 or any(s.is_recurrent for s in graph.into(stage[0]))


def _components(sources: dict[str, list[str]]) -> Iterator[list[str]]:
    """Strongly connected components, sources first; without recursion, as graphs may be deep."""
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    open_names: list[str] = []
    is_open: set[str] = set()
    for root, of_root in sources.items():
        if root in number:
            continue
        path = [(root, iter(of_root))]
        while path:
            name, remaining = path[-1]
            if name not in number:
                number[name] = lowest[name] = len(number)
                open_names.append(name)
                is_open.add(name)
            for source in remaining:
                if source not in number:
                    path.append((source, iter(sources[source])))
                    break
                if source in is_open:
                    lowest[name] = min(lowest[name], number[source])
            else:
                path.pop()
                if path:
                    above = path[-1][0]
                    lowest[above] = min(lowest[above], lowest[name])
                if lowest[name] == number[name]:
                    cut = open_names.index(name)
                    group, open_names = open_names[cut:], open_names[:cut]
                    is_open -= set(group)
                    yield group
