from dataclasses import replace

import numpy as np
import pytest

from pumice.backends import run
from pumice.errors import GraphError
from pumice.ir import latencies, verify_graph
from pumice.ir.builder import chain
from pumice.passes.check_ranges import check_ranges
from pumice.passes.order import run_passes


def run_one_step(graph):
    run(graph, np.ones((1, 2), int))


def test_a_graph_is_asked_by_name():
    graph = chain((4,), [3, 2], seed=0)
    assert graph.output.name == "dense1"
    assert graph.latency == 2
    assert graph.shape_of("input") == (4,)
    assert [s.source for s in graph.into("dense1")] == ["dense0"]
    assert [s.target for s in graph.out_of("input")] == ["dense0"]
    with pytest.raises(GraphError, match="no population 'x'; there are: dense0, dense1"):
        graph.population("x")


class Counted(tuple):
    """Counts how often all of it is looked at."""

    scans = 0

    def __iter__(self):
        Counted.scans += 1
        return super().__iter__()


@pytest.mark.parametrize("work", [latencies, verify_graph, lambda g: run_passes(g, 5), check_ranges, run_one_step])
def test_nothing_is_searched_once_for_each_population(work):
    """A graph may have 10,000 populations: all of them are looked at a few times, not once for each of them."""
    scans = []
    for n in (10, 40):
        graph = chain((2,), [2] * n, seed=0)
        graph = graph.replace(populations=Counted(graph.populations), synapses=Counted(graph.synapses))
        Counted.scans = 0
        work(graph)
        scans.append(Counted.scans)
    assert scans[0] == scans[1] > 0


def test_of_two_populations_of_one_name_the_first_is_found():
    graph = chain((4,), [3, 2], seed=0)
    twice = graph.replace(populations=(*graph.populations, replace(graph.populations[0], shape=(9,))))
    assert twice.population("dense0").shape == (3,)
