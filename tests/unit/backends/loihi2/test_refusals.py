"""What Loihi 2 cannot run is said before anything is built, all of it at once."""

import numpy as np
import pytest

from pumice.backends.loihi2.chip_graph import for_chip
from pumice.backends.loihi2.refusals import check_for_chip, refusals, unseen
from pumice.errors import BackendError, GraphError, InputError
from pumice.ir import Conv, Cuba, Dense, Direct, Graph, Input, OneToOne, verify_graph, with_reset_schedule
from pumice.ir.builder import chain


def wide(width):
    conv = Conv("input", "a", True, weight=np.full((1, 1, 1, 1), 2))
    return Graph(Input("input", (width, 2, 1)), (Cuba("a", (width, 2, 1), vth_mant=1),), (conv,), ("a",))


def test_all_reasons_come_at_once():
    graph = with_reset_schedule(chain((4,), [3, 2], seed=0, vth_mant=200_000), 6)
    assert len(refusals(graph)) == 4
    with pytest.raises(BackendError, match=r"vth_mant .*200000.*reset interval: needs 6 steps, limit powers of two"):
        check_for_chip(graph)


@pytest.mark.parametrize("use", [refusals, for_chip])
def test_a_path_is_no_graph(use):
    with pytest.raises(InputError, match=r"got the path 'a\.net'; pumice\.load reads"):
        use("a.net")


@pytest.mark.parametrize("interval", [1, 2, 64])
def test_powers_of_two_are_fine(interval):
    assert refusals(with_reset_schedule(chain((4,), [3, 2], seed=0), interval)) == []


def test_wide_images_are_refused_where_the_compiler_may_drop_spikes():
    assert refusals(wide(256)) == []
    assert "may be 256 wide, got 257" in refusals(wide(257))[0]


@pytest.mark.parametrize(("shape", "n"), [((256, 2, 1), 0), ((257, 2, 1), 1), ((257,), 0)])
def test_a_direct_input_passes_a_convolution_if_it_is_an_image(shape, n):
    graph = Graph(Input("input", shape), (Cuba("a", shape, vth_mant=1),), (Direct("input", "a", True),), ("a",))
    assert len(refusals(graph)) == len(refusals(for_chip(graph).graph)) == n


def test_an_input_of_values_and_spikes_is_refused():
    both = (Dense("input", "a", True, weight=np.full((4, 4), 2)), OneToOne("input", "a", weight=2))
    graph = Graph(Input("input", (4,)), (Cuba("a", (4,), vth_mant=1),), both, ("a",))
    assert refusals(graph) == [found := refusals(graph)[0]]
    assert "all of them graded or none" in found


def test_a_delay_of_63_is_no_valid_graph():
    long = Dense("input", "a", weight=np.full((4, 4), 2), delay_steps=63)
    with pytest.raises(GraphError, match="63"):
        verify_graph(Graph(Input("input", (4,)), (Cuba("a", (4,), vth_mant=1),), (long,), ("a",)))


def test_what_no_printed_run_shows_is_named():
    assert unseen(chain((4,), [3, 2], seed=0)) == []
    conv = Conv("input", "a", True, weight=np.full((2, 1, 1, 1), 2), groups=2, balance_steps=2)
    again = OneToOne("a", "a", weight=2)
    graph = Graph(Input("input", (3, 3, 2)), (Cuba("a", (3, 3, 2), vth_mant=1),), (conv, again), ("a",))
    assert [found.split()[0] for found in unseen(graph)] == ["convolutions", "recurrent", "several", "delayed"]
    pair = chain((4,), [3, 2], seed=0)
    back = Dense("dense1", "dense0", weight=np.full((3, 2), 2))
    assert "recurrent synapses" in unseen(pair.replace(synapses=(*pair.synapses, back)))
