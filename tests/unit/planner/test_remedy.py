"""A network that no core can hold is one that cores can hold, a step later."""

import numpy as np
import pytest

import pumice
from pumice.backends import run
from pumice.errors import GraphError, InputError
from pumice.ir import Accumulator, Cuba, Dense, Graph, Input, OneToOne
from pumice.ir.builder import chain
from pumice.passes.order import run_passes
from pumice.planner.remedy import fit_cores

RNG = np.random.default_rng(0)


def head(weight):
    """An image of 24 x 24 x 16 = 9,216 neurons, and what reads all of it."""
    populations = (Cuba("a", (24, 24, 16), vth_mant=1), Accumulator("head", (3,)))
    synapses = (OneToOne("in", "a", weight=2), Dense("a", "head", weight=weight))
    return run_passes(Graph(Input("in", (24, 24, 16)), populations, synapses, ("head",)), 2)


@pytest.mark.parametrize(
    ("weight", "shape"),
    [(RNG.integers(-99, 99, (3, 9216)), (1, 1, 3)), (np.repeat(RNG.integers(-99, 99, (3, 16)), 576, 1), (24, 24, 3))],
    ids=["any", "mean of tokens"],
)
def test_a_head_gets_relays(weight, shape):
    graph = head(weight)
    assert not pumice.plan(graph).fits
    fitted = fit_cores(graph)
    assert pumice.plan(fitted).fits
    assert (graph.latency, fitted.latency) == (2, 3)
    assert fitted.population("a_head_part").shape == shape
    x = RNG.integers(0, 2, (6, 24, 24, 16))
    expected = run(graph, x, backend="fast").spikes
    assert expected.any()
    np.testing.assert_array_equal(run(fitted, x, backend="fast").spikes[3:], expected[2:-1])


def test_inputs_of_one_dimension_are_read_in_shares():
    fitted = fit_cores(run_passes(chain((12_000,), [4], seed=0), 2))
    assert pumice.plan(fitted).fits
    assert len(fitted.population("input_dense0_part").shape) == 1


def test_what_fits_stays():
    graph = run_passes(chain((4,), [3], seed=0), 5)
    assert fit_cores(graph) is graph


def test_a_path_is_no_graph():
    with pytest.raises(InputError, match=r"got the path 'a\.net'; pumice\.load reads"):
        fit_cores("a.net")


def test_what_relays_do_not_help_is_refused():
    with pytest.raises(GraphError, match=r"with relays or without:\n  population dense0: pool .* for 17,000 inputs"):
        fit_cores(run_passes(chain((17_000,), [4], seed=0), 2))
    with pytest.raises(GraphError, match="has no schedule"):
        fit_cores(chain((9_000,), [4], seed=0))
