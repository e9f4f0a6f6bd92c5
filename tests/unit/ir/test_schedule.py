import pytest

from pumice.errors import GraphError
from pumice.ir import Cuba, Dense, Graph, Input, Reset, latencies, with_reset_schedule, without_resets
from pumice.ir.builder import chain, even_weights


def test_each_layer_resets_one_step_after_its_source():
    graph = with_reset_schedule(chain((4,), [3, 3, 2], seed=0), 8, offset=1)
    assert [p.reset for p in graph.populations] == [Reset(8, 2), Reset(8, 3), Reset(8, 4)]
    assert all(p.reset is None for p in without_resets(graph).populations)


def test_the_reset_of_the_last_phase_comes_at_step_zero_modulo_interval():
    graph = with_reset_schedule(chain((4,), [3, 3], seed=0), 3, offset=1)
    assert [t for t in range(1, 8) if graph.output.reset.applies(t)] == [3, 6]


@pytest.mark.parametrize(("interval", "offset"), [(0, 0), (4, -1)])
def test_impossible_schedules_are_refused(interval, offset):
    with pytest.raises(GraphError, match="reset interval must be >= 1"):
        with_reset_schedule(chain((4,), [3], seed=0), interval, offset)


def test_unequal_synapses_are_named(rng):
    graph = chain((3,), [3, 3], seed=0)
    skip = Dense("input", "dense1", weight=even_weights(rng, (3, 3)))
    with pytest.raises(GraphError, match=r"'dense1'.*dense0: 2, input: 1"):
        latencies(graph.replace(synapses=(*graph.synapses, skip)))


def test_recurrent_synapses_do_not_count(rng):
    graph = chain((3,), [3], seed=0)
    loop = Dense("dense0", "dense0", weight=even_weights(rng, (3, 3)))
    assert latencies(graph.replace(synapses=(*graph.synapses, loop)))["dense0"] == 1


def test_an_unreachable_population_is_named():
    graph = Graph(Input("input", (1,)), (Cuba("alone", (1,), vth_mant=1),), (), outputs=("alone",))
    with pytest.raises(GraphError, match="no path from the input reaches it"):
        latencies(graph)
