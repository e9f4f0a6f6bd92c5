"""Sums in parts are the sums, whatever the parts are."""

from dataclasses import replace

import numpy as np
import pytest

from pumice.backends import run
from pumice.backends.lava import LavaBackend
from pumice.backends.verify import first_difference
from pumice.errors import GraphError
from pumice.ir import Accumulator, Conv, Cuba, Dense, Graph, Input, OneToOne, latencies, verify_graph
from pumice.ir.builder import chain
from pumice.passes.balance_latency import balance_latency
from pumice.passes.schedule_resets import schedule_resets
from pumice.passes.split_fan_in import split_fan_in

RNG = np.random.default_rng(0)
SIDE, CHANNELS, N = 4, 4, 5
X = RNG.integers(-3, 4, (9, SIDE, SIDE, CHANNELS))


def random(*shape):
    return RNG.integers(-60, 60, shape)


def mean_of_tokens():
    """A head's matrix that is the same for every pixel, in the order of a flattened image: channels first."""
    return np.repeat(random(N, CHANNELS), SIDE * SIDE, axis=1)


def mixer(**options):
    """Two branches of different length into a head, besides what it reads itself."""
    shape = (SIDE, SIDE, CHANNELS)
    populations = (
        Cuba("a", shape, vth_mant=2, v_decay_q12=500),
        Cuba("b", shape, vth_mant=3, v_decay_q12=900),
        Cuba("head", (N + 2,), vth_mant=60, i_decay_q12=1000, v_decay_q12=300, bias_mant=9),
        Accumulator("answer", (2,)),
    )
    kernel = RNG.integers(-9, 9, (CHANNELS, 3, 3, CHANNELS))
    synapses = (
        OneToOne("image", "a", True, weight=100),
        Conv("a", "b", weight=kernel, padding=(1, 1)),
        Dense(
            "a", "head", weight=RNG.integers(-60, 60, (N, 64)), weight_exp=1, target_channels=(1, 1 + N), **options
        ),
        Dense("b", "head", weight=mean_of_tokens(), target_channels=(2, 2 + N), **options),
        Dense("head", "head", weight=random(N + 2, N + 2), delay_steps=1),
        Dense("head", "answer", weight=random(2, N + 2)),
    )
    return Graph(Input("image", shape, (-3, 3)), populations, synapses, ("head", "answer"))


def prefers(*shapes):
    """Cores of a chip on which only relays can read images, of these shapes at the price of one core, or of nine."""

    def cores(graph, name):
        if name.endswith("_part"):
            return 1 if graph.shape_of(name) in shapes else 9
        many = [s for s in graph.into(name) if isinstance(s, Dense) and len(graph.shape_of(s.source)) == 3]
        return None if many or any(graph.shape_of(s.source)[0] > 60 for s in graph.into(name)) else 1

    return cores


def assert_same(graph, changed, x):
    """Every population of the first graph has the same values in the second, later by what its latency grows."""
    x = np.concatenate([x, np.zeros((8, *x.shape[1:]), x.dtype)])
    graph, changed = (verify_graph(balance_latency(g).graph) for g in (graph, changed))
    before, after = latencies(graph), latencies(changed)
    assert after["head"] == before["head"] + 1
    old, new = (run(g, x, backend="reference", record=True).records for g in (graph, changed))
    assert old["head"].s.any()
    for name, record in old.items():
        later = after[name] - before[name]
        values = {q: (v[: len(x) - later], new[name].values()[q][later:]) for q, v in record.values().items()}
        for quantity, (expected, got) in values.items():
            # Biases run before the input comes, so both begin where the input does.
            np.testing.assert_array_equal(got[before[name] :], expected[before[name] :], f"{name}, {quantity}")


def without_bias(graph):
    quiet = (replace(p, bias_mant=0) if p.name == "head" else p for p in graph.populations)
    return graph.replace(populations=tuple(quiet))


@pytest.mark.parametrize("shape", [(N,), (1, 1, N), (1, 1, 2 * N), (1, 1, 4 * N), (4, 4, N), (4, 4, 2 * N)], ids=str)
def test_every_way_gives_the_same_sums(shape):
    graph = without_bias(mixer())
    made = split_fan_in(graph, prefers(shape)).graph
    relays = {p.name: p.shape for p in made.populations if p.name.endswith("part")}
    assert relays.keys() == {"a_head_part", "b_head_part"}
    assert shape in relays.values()
    assert_same(graph, made, X)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_single_weights_from_shares_of_the_sources(groups):
    graph = chain((64,), [6, 3], seed=1, vth_mant=30)
    graph = graph.replace(populations=(replace(graph.populations[0], name="head"), graph.populations[1]),
                          synapses=(replace(graph.synapses[0], target="head"),
                                    replace(graph.synapses[1], source="head")))  # fmt: skip
    made = split_fan_in(graph, prefers((6 * groups,))).graph
    assert made.population("input_head_part").shape == (6 * groups,)
    assert_same(graph, made, np.random.default_rng(0).integers(0, 2, (9, 64)))


def test_samples_that_follow_each_other_have_the_same_answers():
    graph = mixer()
    graph = graph.replace(synapses=tuple(s for s in graph.synapses if not s.is_recurrent))
    made = split_fan_in(graph, prefers((1, 1, 2 * N))).graph
    plain, parts = (schedule_resets(balance_latency(g).graph, 3).graph for g in (graph, made))
    x = np.zeros((24, *X.shape[1:]), int)
    for first in range(0, 16, plain.timing.period_steps):
        x[first : first + 3] = X[:3] * (1 if first else -1)
    before, after = run(plain, x, backend="reference"), run(parts, x, backend="reference")
    for name in graph.outputs:
        old, new = latencies(plain)[name], latencies(parts)[name]
        assert new == old + 1
        np.testing.assert_array_equal(after.outputs[name][new:], before.outputs[name][old:-1])


@pytest.mark.lava
def test_the_parts_run_on_lava():
    graph = split_fan_in(without_bias(mixer()), prefers((1, 1, 2 * N), (4, 4, N))).graph
    graph = balance_latency(graph).graph
    x = np.concatenate([X[:4], np.zeros((5, *X.shape[1:]), int)])
    expected = run(graph, x, backend="reference", record=True).records
    assert first_difference(expected, LavaBackend(in_threads=True).run(graph, x, record=True).records) is None


def test_trained_delays_stay_before_the_sum():
    graph = without_bias(mixer(delay_steps=2))
    made = split_fan_in(graph, prefers((1, 1, N))).graph
    assert made.population("a_head_part").shape == (N,)  # a convolution has no such delays
    assert {s.max_delay_steps for s in made.out_of("a_head_part")} == {0}
    assert_same(graph, made, X)


def test_a_way_back_must_not_get_longer():
    graph = mixer()
    back = OneToOne("b", "a", weight=1)
    first = Dense("head", "late", weight=np.ones((64, N + 2), int))
    ring = graph.replace(synapses=(*graph.synapses, back))
    assert split_fan_in(ring, prefers((N,))).modified  # it does not lead through the head
    late = Cuba("late", (64,), vth_mant=9)
    feedback = Dense("late", "head", weight=np.ones((N + 2, 64), int))
    ring = graph.replace(populations=(*graph.populations, late), synapses=(*graph.synapses, first, feedback))
    assert not split_fan_in(ring, prefers((N,))).modified  # 64 inputs of the head come from behind it


def test_what_fits_or_is_for_no_chip_stays():
    graph = mixer()
    for cores in (None, lambda graph, name: 1, lambda graph, name: None):
        result = split_fan_in(graph, cores)
        assert result.graph is graph
        assert not result.modified
    made = split_fan_in(graph, prefers((N,))).graph
    assert split_fan_in(made, prefers((N,))).graph is made


def test_a_schedule_is_refused():
    scheduled = schedule_resets(chain((4,), [3], seed=0), 5).graph
    with pytest.raises(GraphError, match="scheduled already"):
        split_fan_in(scheduled, prefers((N,)))


def test_a_part_that_would_leave_24_bits_is_not_taken():
    """A convolution wraps there, and a message of the chip has no more."""
    graph = mixer()
    wide = replace(graph.synapses[2], graded=True, source="image")
    populations = tuple(p for p in graph.populations if p.name not in {"a", "b"})
    alone = graph.replace(populations=populations, synapses=(wide, *graph.synapses[4:]))
    assert split_fan_in(alone, prefers((N,))).modified
    large = Input("image", graph.input.shape, (-(2**16), 2**16))
    assert not split_fan_in(alone.replace(input=large), prefers((N,))).modified


def test_a_loop_through_what_is_split_keeps_its_length():
    """A relay in front of u would make u later than t, and so the way back from u to t longer."""
    names = ("x", "t", "u")
    graph = Graph(
        Input("input", (6,)),
        tuple(Cuba(name, (6,), vth_mant=20, v_decay_q12=900) for name in names),
        (
            Dense("input", "x", weight=random(6, 6)),
            Dense("input", "t", weight=random(6, 6)),
            Dense("x", "u", weight=random(6, 6)),
            Dense("t", "u", weight=random(6, 6)),
            Dense("u", "t", weight=random(6, 6)),
        ),
        outputs=("u",),
    )

    def cores(made, name):
        return None if name == "u" and any(s.source == "x" for s in made.into("u")) else 1

    assert split_fan_in(graph, cores).graph is graph
    without = graph.replace(synapses=graph.synapses[:-1])
    assert split_fan_in(without, cores).modified
