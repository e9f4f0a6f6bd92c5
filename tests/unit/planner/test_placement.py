from dataclasses import replace

import numpy as np
import pytest

from pumice.errors import GraphError
from pumice.hardware import load_constants
from pumice.ir import (
    Conv,
    Cuba,
    Dense,
    Direct,
    Graph,
    Input,
    OneToOne,
    Reset,
    Sigma,
    SigmaDelta,
    Sparse,
    TokenMixing,
    with_reset_schedule,
)
from pumice.ir.builder import chain, diamond, loop
from pumice.planner.placement import latency_steps, place, unplaceable
from pumice.planner.split import Compiler, Rules
from pumice.testing.strategies import example, graphs

CONSTANTS = load_constants()
OHEO = CONSTANTS.board("oheogulch")


def placed(graph, board=OHEO):
    return place(graph, Rules(CONSTANTS), board)


def image(*synapses, shape=(4, 4, 3), **more):
    populations = tuple(Cuba(name, shape, vth_mant=9) for name in ("a", "b"))
    return Graph(Input("in", shape), populations, (OneToOne("in", "a", weight=2), *synapses), ("b",), **more)


def stored_by(s, source, target):
    """Weights that a synapse keeps, counted one by one: a kernel once, a matrix whole, others without zeros."""
    if isinstance(s, (Dense, Conv)):
        return s.weight.size
    return len(s.entries(source, target).values)


def count_all(graph, placement):
    """Every neuron and every weight, added up over the cores; raises if a core holds two layers."""
    taken = np.zeros(placement.cores, int)
    neurons, weights = {}, {}
    for layer in placement.layers:
        blocks = layer.split.blocks
        cores = layer.first_core + blocks.numbers().reshape(-1)
        assert cores.min() == layer.first_core
        assert cores.max() == layer.first_core + layer.cores - 1
        taken[np.unique(cores)] += 1
        neurons[layer.name] = len(cores)
        for incoming in layer.layer.incoming:
            s = incoming.synapse
            stored = s.stored(incoming.source, blocks.channels(s.target_channels))
            per_core = stored.times @ stored.rows
            if s.shares_weights:  # once for each stack of channels
                per_core = per_core.reshape(blocks.counts).max((0, 1))
            weights.setdefault((s.source, s.target), []).append(int(per_core.sum()))
    assert np.all(taken == 1)
    return neurons, weights


def check_everything_is_somewhere(graph, placement):
    neurons, weights = count_all(graph, placement)
    assert {p.name: p.size for p in graph.populations}.items() <= neurons.items()
    by_ends = {}
    relayed = {layer.name: layer.repeats for layer in placement.layers if layer.repeats}
    for (source, target), counts in weights.items():
        by_ends.setdefault((relayed.get(source, source), target), []).extend(counts)
    for s in graph.synapses:
        if s.hop_steps:
            assert stored_by(s, *graph.ends_of(s)) in by_ends[s.source, s.target], s
    stored = sum(stored_by(s, *graph.ends_of(s)) for s in graph.synapses if s.hop_steps)
    extra = sum(neurons[name] for name in relayed)  # each relay is reached by one weight per neuron
    assert sum(map(sum, weights.values())) == stored + extra


@pytest.mark.parametrize("seed", range(60))
def test_every_neuron_and_weight_is_placed_once_or_the_graph_is_refused(seed):
    graph = example(graphs(n_motifs=3), seed)
    placement = placed(graph)
    kept = {layer.name for layer in placement.layers}
    refused = {v.where.removeprefix("population ") for v in placement.violations if v.register.startswith("pool")}
    assert {p.name for p in graph.populations} <= kept | refused
    if not refused:
        check_everything_is_somewhere(graph, placement)


def test_a_lost_neuron_would_be_missed():
    """Teeth: of the count."""
    graph = chain((784,), [128, 10], seed=0)
    placement = placed(graph)
    check_everything_is_somewhere(graph, placement)
    first, *others = placement.layers
    twice = type(placement)((first, first, *others), placement.cores, 1, True, (), ())
    with pytest.raises(AssertionError):
        count_all(graph, twice)
    larger = chain((784,), [129, 10], seed=0)
    with pytest.raises(AssertionError):
        check_everything_is_somewhere(larger, placement)


def test_large_layers_of_every_form():
    rng = np.random.default_rng(0)
    conv = Conv("a", "b", weight=rng.integers(1, 9, (40, 3, 3, 30)), padding=(1, 1))
    populations = (
        Cuba("a", (30, 20, 30), vth_mant=9),
        Cuba("b", (30, 20, 40), vth_mant=9),
        Cuba("c", (50,), vth_mant=9),
    )
    first = Conv("in", "a", weight=rng.integers(1, 9, (30, 1, 1, 1)))
    dense = Dense("b", "c", weight=rng.integers(1, 9, (50, 24000)))
    graph = Graph(Input("in", (30, 20, 1)), populations, (first, conv), ("b",))
    placement = placed(graph.replace(populations=populations[:2]))
    check_everything_is_somewhere(graph.replace(populations=populations[:2]), placement)
    assert [layer.cores for layer in placement.layers] == [7, 7]
    refused = placed(graph.replace(synapses=(first, conv, dense), outputs=("c",)))
    assert [v.where for v in refused.violations] == ["population c"]
    assert "24,000 inputs" in refused.violations[0].needed


def test_joint_synapses_add_up():
    graph = diamond(3)
    registers = placed(graph).layers[-1].split.registers.largest()
    assert registers["axon_in"] == 8
    assert registers["synapses"] == 4 * 2 + 4 * 1  # 4 weights of 8 bits take 92 bits, a single one fits one word


def test_delays_take_bits():
    wide = chain((4,), [64, 64], seed=0)
    late = wide.replace(synapses=(wide.synapses[0], type(wide.synapses[1])("dense0", "dense1",
                        weight=wide.synapses[1].weight, delay_steps=62)))  # fmt: skip
    with_delay, without = (placed(g).layers[1].split.registers.synapses.sum() for g in (late, wide))
    assert without == 64 * -(-(64 * 20 + 12) // 64)
    assert with_delay == 64 * -(-(64 * 26 + 12) // 64)


def test_relays_delay_what_has_no_delays():
    late = Conv("a", "b", weight=np.ones((3, 1, 1, 3), int), balance_steps=4)
    mixed = TokenMixing("a", "b", weight=np.ones((1, 16, 16), int), graded=True, delay_steps=3)
    for s, kind in ((late, Cuba), (mixed, SigmaDelta)):
        relay = placed(image(s)).layers[-1]
        assert relay.name == "relay_a_b"
        assert relay.repeats == "a"
        assert type(relay.layer.population) is kind
        assert relay.layer.population.shape == (4, 4, 3)
    both = placed(image(late, late))
    assert [layer.name for layer in both.layers[2:]] == ["relay_a_b", "relay_a_b_2"]
    assert len(placed(image(OneToOne("a", "b", weight=1, delay_steps=9))).layers) == 2


def test_readers_decide_the_axon_map():
    conv = Conv("a", "b", weight=np.ones((3, 1, 1, 3), int))
    populations = (Cuba("a", (4, 4, 3), vth_mant=9), Cuba("b", (5,), vth_mant=9))
    synapses = (OneToOne("in", "a", weight=2), Dense("a", "b", weight=np.ones((5, 48), int)))
    flat = Graph(Input("in", (4, 4, 3)), populations, synapses, ("a", "b"))
    by_conv, by_adapter = placed(image(conv)).layers
    assert by_conv.split.registers.largest()["axon_map"] == 16
    assert by_adapter.split.registers.largest()["axon_map"] == 48
    assert by_adapter.split.registers.largest()["groups"] == 2
    assert placed(flat).layers[0].split.registers.largest()["axon_map"] == 2 * 48  # by a layer and by an adapter


def test_all_violations_come_at_once():
    graph = chain((9000,), [3, 2], seed=0, vth_mant=200_000)
    found = placed(with_reset_schedule(graph, 6))
    assert [v.where for v in found.violations] == [
        "population dense0", "population dense1", "population dense0", "population dense1", "population dense0",
    ]  # fmt: skip
    assert "reset interval" in str(found.violations[2])
    assert "Lower with period_steps=8." in str(found.violations[2])
    assert "pool" in str(found.violations[4])


@pytest.mark.parametrize(("interval", "fits"), [(1, True), (8, True), (6, False), (12, False)])
def test_reset_intervals_are_powers_of_two(interval, fits):
    graph = chain((4,), [3], seed=0)
    population = Cuba("dense0", (3,), vth_mant=9, reset=Reset(interval, 0))
    assert (not placed(graph.replace(populations=(population,))).violations) == fits


def test_boards_have_an_end():
    many = chain((784,), [4000, 4000], seed=0)
    found = placed(many)
    assert found.cores > 120
    assert found.violations[0].where == "network"
    assert "--board" in found.violations[0].remedy
    assert not [v for v in placed(many, CONSTANTS.board("hala-point")).violations if v.where == "network"]


def test_no_adapter_reaches_a_dense_layer_on_two_chips():
    """The last layer begins on the first chip and ends on the second."""
    crossing = chain((784,), [3000, 2000], seed=0)
    found = placed(crossing, CONSTANTS.board("kapoho-point"))
    cores = [(layer.first_core, layer.cores) for layer in found.layers]
    assert cores[1][0] < 120 <= cores[1][0] + cores[1][1] - 1
    assert [v.register for v in found.violations] == ["adapter"]
    assert found.violations[0].where == "population dense1"
    assert not placed(crossing.replace(outputs=("dense0",)), CONSTANTS.board("kapoho-point")).violations


def test_adapters_reach_images_by_convolutions_whatever_stands_between():
    """A direct input of an image passes an identity convolution; relays of a delayed one are fed one by one."""
    shape, board = (250, 250, 10), CONSTANTS.board("kapoho-point")
    conv = Conv("in", "b", weight=np.ones((1, 3, 3, 10), int), padding=(1, 1))
    late = Graph(Input("in", shape), (Cuba("b", (250, 250, 1), vth_mant=9),), (replace(conv, delay_steps=3),), ("b",))
    populations = (Cuba("a", shape, vth_mant=9), *late.populations)
    direct = late.replace(populations=populations, synapses=(Direct("in", "a", True), replace(conv, source="a")))
    assert [placed(graph, board).cores for graph in (direct, late)] == [266, 266]
    assert not placed(direct, board).violations
    assert [str(v).split(":")[0] for v in placed(late, board).violations] == ["population relay_in_b"]


def test_wide_convolutions_are_warned_of():
    wide = image(Conv("a", "b", weight=np.ones((1, 1, 1, 1), int)), shape=(257, 2, 1))
    assert "257 wide" in placed(wide).warnings[0]
    assert not placed(image(Conv("a", "b", weight=np.ones((1, 1, 1, 1), int)), shape=(256, 2, 1))).warnings
    populations = (Cuba("a", (257, 2, 1), vth_mant=9),)
    direct = Graph(Input("in", (257, 2, 1)), populations, (Direct("in", "a", True),), ("a",))
    assert "synapse in -> a: the input of the convolution is 257 wide" in placed(direct).warnings[0]


def test_what_fits_no_core_is_known_without_a_board():
    rules = Rules(CONSTANTS)
    assert unplaceable(chain((784,), [4000, 4000], seed=0), rules) == ()
    assert unplaceable(with_reset_schedule(chain((4,), [3], seed=0), 6), rules) == ()
    assert [v.where for v in unplaceable(chain((9000,), [4], seed=0), rules)] == ["population dense0"]


def heavy(shape, n=9000):
    """Neuron 5 has n inputs, all others together have ten."""
    columns = np.concatenate([np.arange(10), np.arange(n)])
    rows = np.repeat([0, 5], [10, n])
    sparse = Sparse("in", "a", rows=rows, columns=columns, values=np.ones_like(rows))
    return Graph(Input("in", (10_000,)), (Cuba("a", shape, vth_mant=9),), (sparse,), ("a",))


@pytest.mark.parametrize("compiler", Compiler)
@pytest.mark.parametrize("shape", [(6,), (3000,), (6, 1, 1)])
def test_a_neuron_with_too_many_inputs_is_found_among_others(shape, compiler):
    (refused,) = place(heavy(shape), Rules(CONSTANTS, compiler), CONSTANTS.board("hala-point")).violations
    assert refused.needed == "19,001 words on a core with a single neuron, for 10,000 inputs"
    assert not place(heavy(shape, n=10), Rules(CONSTANTS, compiler), CONSTANTS.board("hala-point")).violations


def test_a_kernel_that_no_core_holds_is_named():
    conv = Conv("a", "b", weight=np.ones((1, 100, 100, 2), int))
    populations = (Cuba("a", (100, 100, 2), vth_mant=9), Cuba("b", (1, 1, 1), vth_mant=9))
    graph = Graph(Input("in", (100, 100, 2)), populations, (OneToOne("in", "a", weight=1), conv), ("b",))
    (refused,) = placed(graph).violations
    assert "for a kernel, which each core holds whole" in refused.needed
    assert refused.remedy == "Use a smaller kernel, or fewer channels before it."


def test_a_population_that_too_many_read_is_named():
    names = [f"b{i}" for i in range(1800)]
    unit = np.ones((1, 1, 1, 1), int)
    populations = tuple(Cuba(name, (1, 1, 1), vth_mant=9) for name in ("a", *names))
    synapses = (OneToOne("in", "a", weight=1), *(Conv("a", name, weight=unit) for name in names))
    (refused,) = unplaceable(Graph(Input("in", (1, 1, 1)), populations, synapses, ("b0",)), Rules(CONSTANTS))
    assert "16,202 words on a core with a single neuron, which 1,800 convolutions read" in refused.needed
    assert refused.remedy == "Let fewer populations read it."


def test_unknown_kinds_are_refused():
    class Mine(Sigma):
        pass

    with pytest.raises(GraphError, match="unknown kind Mine"):
        placed(Graph(Input("in", (3,)), (Mine("a", (3,)),), (OneToOne("in", "a", weight=1),), ("a",)))


def test_latency_is_of_the_slowest_output_and_may_not_exist():
    assert latency_steps(chain((4,), [3, 2], seed=0)) == 2
    assert latency_steps(diamond(3)) is None
    assert latency_steps(loop()) == 2
