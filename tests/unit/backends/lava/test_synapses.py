"""Which processes a synapse becomes, what is refused, and cases that the random graphs meet too seldom."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from lava.magma.core.process.process import AbstractProcess

from pumice.backends import get_backend
from pumice.backends.lava import GraphProcess, LavaBackend
from pumice.backends.lava.synapses import needs_binary_input
from pumice.backends.verify import first_difference
from pumice.errors import BackendError
from pumice.fixedpoint import conv_output_shape
from pumice.ir import (
    Accumulator,
    Conv,
    Cuba,
    Delta,
    Dense,
    Direct,
    Graph,
    Input,
    OneToOne,
    Sparse,
    Synapse,
    TokenMixing,
)  # fmt: skip

IMAGE = (2, 2, 2)
EYE = np.eye(4, dtype=int)


def into_cuba(synapse: Synapse, shape: tuple[int, ...] = IMAGE) -> Graph:
    return Graph(Input("input", IMAGE, (-9, 9)), (Cuba("n", shape, 5, 100, 30),), (synapse,), ("n",))


def build(graph: Graph) -> AbstractProcess:
    """The process of population n, with all that is connected to it."""
    return GraphProcess(graph).populations["n"]


def processes(synapse: Synapse, shape: tuple[int, ...] = IMAGE) -> dict[str, int]:
    """Kinds of the processes of one synapse and its target."""
    found, waiting = [], [build(into_cuba(synapse, shape))]
    while waiting:
        process = waiting.pop()
        found.append(process)
        sources = {p.process for port in process.in_ports.members for p in port.get_src_ports()}
        waiting += [p for p in sources if p not in found and not isinstance(p, GraphProcess)]
    return Counter(type(p).__name__ for p in found)


@pytest.mark.parametrize(
    ("synapse", "expected"),
    [
        (OneToOne("input", "n", weight=2), {"LIF": 1, "Sparse": 1}),
        (OneToOne("input", "n", weight=2, delay_steps=1), {"LIF": 1, "DelaySparse": 1}),
        (TokenMixing("input", "n", weight=EYE[None]), {"LIF": 1, "Sparse": 1}),
        (TokenMixing("input", "n", weight=EYE[None], balance_steps=1), {"LIF": 2, "Sparse": 2}),
        (Conv("input", "n", weight=np.ones((2, 1, 1, 2), int)), {"LIF": 1, "Conv": 1}),
        (Conv("input", "n", weight=np.ones((2, 1, 1, 2), int), balance_steps=1), {"LIF": 2, "Conv": 1, "Sparse": 1}),
        (
            Conv("input", "n", weight=np.ones((2, 1, 1, 2), int), delay_steps=np.array([0, 2])),
            {"LIF": 2, "Conv": 2, "DelaySparse": 1},
        ),
        (
            Conv("input", "n", weight=np.ones((2, 1, 1, 2), int), delay_steps=np.array([1, 2]), graded=True),
            {"LIF": 1, "SigmaDelta": 1, "Conv": 1, "DelaySparse": 1},
        ),
    ],
)
def test_processes_of_a_synapse(synapse, expected):
    assert processes(synapse) == expected


def test_processes_of_a_dense_synapse():
    dense = Dense("input", "n", weight=np.ones((3, 8), int))
    assert processes(dense, (3,)) == {"LIF": 1, "Dense": 1}
    assert processes(replace(dense, balance_steps=1), (3,)) == {"LIF": 1, "DelayDense": 1}


def same_as_reference(graph: Graph, x: np.ndarray) -> None:
    expected = get_backend("reference").run(graph, x, record=True)
    assert any(record.s.any() for record in expected.records.values())
    assert first_difference(expected.records, LavaBackend().run(graph, x, record=True).records) is None


@pytest.mark.lava
def test_delayed_convolutions_wrap_at_24_bits_as_the_reference_does():
    """What leaves in different steps wraps separately, though it arrives together."""
    rng = np.random.default_rng(0)
    conv = Conv(
        "input", "n", graded=True, weight=rng.integers(-(2**15), 2**15, (2, 2, 1, 2)), padding=(1, 0),
        delay_steps=np.array([0, 2]), balance_steps=1,
    )  # fmt: skip
    graph = Graph(Input("input", IMAGE), (Accumulator("n", (3, 2, 2)),), (conv,), ("n",))
    same_as_reference(graph, rng.integers(-(2**10), 2**10, (12, *IMAGE)))


@pytest.mark.lava
def test_two_weights_at_one_place_add_up_each_with_its_delay():
    places = {"rows": np.array([0, 0, 0, 3]), "columns": np.array([1, 1, 1, 2])}
    sparse = Sparse("input", "n", graded=True, values=np.array([200, 200, 7, -3]), **places,
                    delay_steps=np.array([0, 0, 2, 1]))  # fmt: skip
    same_as_reference(into_cuba(sparse), np.random.default_rng(0).integers(-9, 10, (12, *IMAGE)))


@pytest.mark.lava
def test_a_sum_of_unbounded_values_beyond_32_bits_is_an_error_and_no_number():
    """Lava rounds a convolution's float sum to 32 bits; what a delta neuron sends has no known bound."""
    conv = Conv("d", "n", graded=True, weight=np.full((2, 1, 1, 2), 2**15 - 1))
    delta = Delta("d", IMAGE, vth=0)
    populations = (delta, Cuba("n", IMAGE, 5))
    graph = Graph(Input("input", IMAGE), populations, (Direct("input", "d", graded=True), conv), ("n",))
    with pytest.raises(BackendError, match="invalid value encountered in cast"):
        LavaBackend().run(graph, np.full((3, *IMAGE), 2**12))


@pytest.mark.lava
def test_a_depthwise_convolution_of_many_channels():
    """Lava counts groups in 8 bits."""
    rng = np.random.default_rng(0)
    conv = Conv("input", "n", weight=rng.integers(1, 99, (130, 1, 1, 1)), groups=130)
    graph = Graph(Input("input", (1, 2, 130)), (Cuba("n", (1, 2, 130), 9),), (conv,), ("n",))
    same_as_reference(graph, rng.integers(0, 2, (4, 1, 2, 130)))


@pytest.mark.lava
def test_token_mixing_with_graded_values_of_mixed_delay():
    rng = np.random.default_rng(0)
    mixing = TokenMixing("input", "n", graded=True, weight=rng.integers(-99, 99, (2, 4, 4)),
                         delay_steps=np.array([0, 2]), balance_steps=1)  # fmt: skip
    same_as_reference(into_cuba(mixing), rng.integers(-9, 10, (12, *IMAGE)))


def test_a_convolution_that_lava_cannot_hold_is_refused():
    conv = Conv("input", "n", graded=True, weight=np.full((1, 1, 1, 1), 2**15 - 1))
    graph = Graph(Input("input", (2, 2, 1)), (Cuba("n", (2, 2, 1), 5),), (conv,), ("n",))
    with pytest.raises(BackendError, match=r"input -> n: the sum .* might reach 4294836224.*2\^31"):
        LavaBackend().run(graph, np.full((3, 2, 2, 1), 2**17))


def test_a_process_by_itself_bounds_what_its_input_may_add_up_to():
    """Nobody has seen the input yet, so it may be of 24 bits unless the graph promises less."""
    conv = Conv("input", "n", graded=True, weight=np.full((1, 1, 1, 1), 2**10))
    graph = Graph(Input("input", (2, 2, 1)), (Cuba("n", (2, 2, 1), 5),), (conv,), ("n",))
    with pytest.raises(BackendError, match=r"might reach 8589934592.*or state the input's value_range"):
        build(graph)
    build(graph.replace(input=Input("input", (2, 2, 1), (0, 2**20))))
    build(graph.replace(synapses=(replace(conv, graded=False),)))


@pytest.mark.lava
@pytest.mark.parametrize(
    ("option", "value"), [("stride", (1, 127)), ("padding", (127, 3)), ("dilation", (1, 127)), ("kernel", (1, 127))]
)
def test_a_convolution_is_as_large_as_lava_can_hold(option, value):
    rng = np.random.default_rng(0)
    kernel = value if option == "kernel" else (1, 2)
    options = {"stride": (1, 30), option: value}
    options.pop("kernel", None)
    conv = Conv("input", "n", weight=rng.integers(1, 99, (1, *kernel, 1)), **options)
    stretched = replace(conv, **{o: tuple(n + (n == 127) for n in v) for o, v in options.items()})
    if option == "kernel":
        stretched = replace(conv, weight=np.ones((1, 1, 128, 1), int))
    for held, synapse in ((True, conv), (False, stretched)):
        arguments = synapse.weight.shape, synapse.stride, synapse.padding, synapse.dilation
        shape = conv_output_shape((2, 400, 1), *arguments)
        graph = Graph(Input("input", (2, 400, 1)), (Cuba("n", shape, 60),), (synapse,), ("n",))
        x = rng.integers(0, 2, (3, 2, 400, 1))
        if held:
            same_as_reference(graph, x)
        else:
            with pytest.raises(BackendError, match=rf"{option} \(.*128.*8 bits, up to 127"):
                LavaBackend().run(graph, x)


def test_an_accumulator_feeds_nothing():
    synapses = (Direct("input", "a"), OneToOne("a", "n", weight=2))
    graph = Graph(Input("input", IMAGE), (Accumulator("a", IMAGE), Cuba("n", IMAGE, 5)), synapses, ("n",))
    with pytest.raises(BackendError, match="a -> n: an Accumulator never sends anything on Lava"):
        build(graph)


def test_needs_binary_input():
    direct = Direct("input", "n")
    assert needs_binary_input(into_cuba(direct))
    assert not needs_binary_input(into_cuba(replace(direct, graded=True)))
