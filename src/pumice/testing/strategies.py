"""Random graphs and the streams to run them on, as hypothesis strategies.

Starting a backend may be slow, so one graph holds many small ones side by side (`motifs.random_graph`): chains,
diamonds, nested residuals, concatenations, loops, token mixers, sigma-delta networks and resonators.

Example:
    ::

        @given(cases())
        def test_my_backend(case):
            graph, x = case
            expected = ReferenceBackend().run(graph, x, record=True)
            assert first_difference(expected.records, MyBackend().run(graph, x, record=True).records) is None
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from pumice.ir import Graph
from pumice.testing import values
from pumice.testing.motifs import random_graph

IntArray = npt.NDArray[np.integer[Any]]
T = TypeVar("T")

STEPS = 40


def graphs(n_motifs: int = 2, longest_delay: int = 12) -> st.SearchStrategy[Graph]:
    """Graphs of every kind of population and synapse.

    Args:
        n_motifs: How many graphs to put side by side; each has one to five populations.
        longest_delay: In steps.
    """
    return st.builds(random_graph, _generators(), st.just(n_motifs), st.just(longest_delay))


def streams(graph: Graph, n_steps: int = STEPS) -> st.SearchStrategy[IntArray]:
    """Input streams for `graph`, shape (n_steps, *input shape), within the range that it was made for.

    Args:
        graph: Decides which values are possible.
        n_steps: Length.
    """
    value_range = graph.input.value_range or (-(2**23), 2**23 - 1)
    shape = st.just((n_steps, *graph.input.shape))
    return st.builds(values.stream, _generators(), st.sampled_from(values.STREAM_KINDS), shape, st.just(value_range))


def cases(
    n_motifs: int = 2, n_steps: int = STEPS, longest_delay: int = 12
) -> st.SearchStrategy[tuple[Graph, IntArray]]:
    """A graph with a stream to run it on."""
    drawn = graphs(n_motifs, longest_delay)
    return drawn.flatmap(lambda graph: st.tuples(st.just(graph), streams(graph, n_steps)))


def example(strategy: st.SearchStrategy[T], seed_: int) -> T:
    """One example of a strategy, the same for the same seed.

    For costly tests: hypothesis's own sequence of examples varies one small part at a time.

    Example:
        >>> example(st.integers(), 5) == example(st.integers(), 5)
        True
    """
    found: list[T] = []

    @seed(seed_)
    @settings(
        max_examples=3,  # the first is the smallest possible one
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(drawn: T) -> None:
        found.append(drawn)

    collect()
    return found[-1]


def _generators() -> st.SearchStrategy[np.random.Generator]:
    """Seeded NumPy generators: hypothesis is slow on arrays."""
    return st.integers(0, 2**32 - 1).map(np.random.default_rng)
