"""Where paths join, all have one length."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from pumice.backends import run
from pumice.errors import GraphError
from pumice.ir import (
    Direct,
)
from pumice.ir.builder import chain, diamond
from pumice.passes.balance_latency import balance_latency


@pytest.mark.parametrize("length", [1, 4, 20])
def test_a_balanced_graph_adds_up_what_belongs_together(length):
    """With memory-less neurons, each output step depends on one input step only: that of its latency before."""
    graph = balance_latency(diamond(length, vth_mant=0)).graph
    graph = graph.replace(
        populations=tuple(replace(p, i_decay_q12=4096, v_decay_q12=4096) for p in graph.populations)
    )
    x = np.random.default_rng(1).integers(0, 2, (30, 4))
    tail = np.zeros((graph.latency, 4), int)
    together = run(graph, np.concatenate([x, tail])).spikes[graph.latency :]
    alone = [run(graph, np.concatenate([x[k : k + 1], tail])).spikes[graph.latency] for k in range(len(x))]
    assert_array_equal(together, alone)
    assert together.any()


def test_a_direct_input_that_is_early_is_refused():
    graph = chain((4,), [4, 4], seed=0)
    with pytest.raises(GraphError, match="a direct input has no delay, but arrives 2 steps before"):
        balance_latency(graph.replace(synapses=(*graph.synapses, Direct("input", "dense1"))))
