from dataclasses import replace

import numpy as np
import pytest

from pumice.backends import get_backend
from pumice.backends.fast.links import links
from pumice.backends.fast.links.conv import ConvLink
from pumice.backends.fast.links.dense import DenseLink, TargetDelayLink
from pumice.backends.fast.links.sparse import SparseLink
from pumice.backends.verify import first_difference
from pumice.ir import Conv, Cuba, Dense, Graph, Input, OneToOne, Sparse, TokenMixing, verify_graph

RNG = np.random.default_rng(0)
N_IN, N_OUT = 9, 5


def graph_with(synapse, shape=(N_IN,), target_shape=(N_OUT + 2,)):
    neurons = Cuba("a", target_shape, vth_mant=60, i_decay_q12=2000, v_decay_q12=300)
    return verify_graph(Graph(Input("input", shape), (neurons,), (synapse,), outputs=("a",)))


def assert_equal_on_spikes_and_values(graph):
    for high in (2, 50):
        x = RNG.integers(0, high, (150, *graph.input.shape)) * (RNG.random((150, *graph.input.shape)) < 0.4)
        expected, got = (get_backend(name).run(graph, x, record=True).records for name in ("reference", "fast"))
        assert first_difference(expected, got) is None
        assert expected["a"].s.any()


@pytest.mark.parametrize("graded", [False, True])
@pytest.mark.parametrize(
    ("delay_steps", "kinds"),
    [
        (3, [DenseLink]),
        (RNG.integers(0, 63, N_IN), [DenseLink]),
        (np.repeat(RNG.integers(0, 63, (1, N_IN)), N_OUT, 0), [DenseLink]),
        (np.repeat([[0], [7], [62], [7], [30]], N_IN, 1), [TargetDelayLink]),
        (np.repeat([[40], [47], [62], [47], [50]], N_IN, 1), [TargetDelayLink]),
        (np.arange(N_OUT * N_IN).reshape(N_OUT, N_IN) // 15, [SparseLink] * 3),
    ],
    ids=["one", "sources", "same in each row", "targets", "targets, all late", "weights"],
)
def test_every_form_of_dense_delays(delay_steps, kinds, graded):
    weight = 2 * RNG.integers(-10, 40, (N_OUT, N_IN)) + 2
    synapse = Dense("input", "a", graded, weight=weight, delay_steps=delay_steps, target_channels=(1, 1 + N_OUT))
    graph = graph_with(synapse)
    assert [type(link) for link in links(graph)] == kinds
    assert_equal_on_spikes_and_values(graph)
    np.testing.assert_array_equal(synapse.fan_out(*graph.ends_of(synapse)), np.count_nonzero(weight, axis=0))


@pytest.mark.parametrize("graded", [False, True])
@pytest.mark.parametrize(
    ("weight_shape", "options", "target_shape"),
    [
        ((4, 3, 3, 2), {"padding": (1, 1)}, (8, 7, 4)),
        ((4, 3, 2, 2), {"stride": (2, 3)}, (3, 2, 4)),
        ((4, 2, 3, 2), {"stride": (2, 2), "dilation": (3, 2)}, (3, 2, 4)),
        ((4, 3, 5, 1), {"groups": 2, "padding": (0, 2)}, (6, 7, 4)),
        ((2, 2, 2, 1), {"groups": 2, "stride": (2, 2)}, (4, 3, 2)),
        ((4, 3, 3, 2), {"padding": (1, 1), "delay_steps": np.array([5, 0])}, (8, 7, 4)),
    ],
    ids=["plain", "stride", "dilation", "groups", "depthwise", "delays"],
)
@pytest.mark.parametrize("spare_channels", [0, 3])
def test_convolutions(weight_shape, options, target_shape, spare_channels, *, graded):
    """Whole rows at once where the target's channels are all driven; channel by channel where they are not."""
    weight = 2 * RNG.integers(-10, 40, weight_shape)
    conv = Conv("input", "a", graded, weight=weight, target_channels=(0, target_shape[2]), **options)
    graph = graph_with(conv, (8, 7, 2), (*target_shape[:2], target_shape[2] + spare_channels))
    assert {type(link) for link in links(graph)} == {ConvLink}
    assert_equal_on_spikes_and_values(graph)


@pytest.mark.parametrize("graded", [False, True])
@pytest.mark.parametrize("options", [{"padding": (1, 1)}, {"padding": (2, 2)}, {"groups": 3}], ids=str)
def test_images_of_one_place(options, *, graded):
    """A convolution of one place is all to all only if its one run holds all weights."""
    groups = options.get("groups", 1)
    side = 3 if groups == 1 else 1
    weight = 2 * RNG.integers(5, 40, (6, side, side, 3 // groups))
    out = 3 if options.get("padding") == (2, 2) else 1
    graph = graph_with(Conv("input", "a", graded, weight=weight, **options), (1, 1, 3), (out, out, 6))
    assert_equal_on_spikes_and_values(graph)


def test_sums_beyond_24_bits_of_different_delays_wrap_apart():
    """Each delay's sum wraps by itself: one sum of both would be another number."""
    weight = np.full((1, 1, 1, 2), 2**14)
    conv = Conv("input", "a", True, weight=weight, delay_steps=np.array([0, 1]))
    graph = graph_with(conv, (1, 1, 2), (1, 1, 1))
    assert [link.delay for link in links(graph)] == [1, 2]
    x = np.array([[[[0, 300]]], [[[300, 0]]], [[[0, 0]]], [[[0, 0]]]])
    expected, got = (get_backend(name).run(graph, x, record=True).records for name in ("reference", "fast"))
    assert first_difference(expected, got) is None
    assert expected["a"].u.any()


IMAGE = (2, 2, 3)
HOLED = RNG.integers(-2, 3, (12, 12))
ROWS, COLUMNS = (a.ravel() for a in np.indices(HOLED.shape))


@pytest.mark.parametrize(
    "synapse",
    [
        Sparse("input", "a", rows=ROWS, columns=COLUMNS, values=HOLED.ravel()),
        Sparse("input", "a", rows=ROWS, columns=COLUMNS, values=HOLED.ravel(), delay_steps=ROWS % 3),
        OneToOne("input", "a", weight=np.array([4, 0, 2])),
        OneToOne("input", "a", weight=0),
        OneToOne("input", "a", weight=HOLED[0].reshape(IMAGE), delay_steps=np.arange(3)),
        TokenMixing("input", "a", weight=HOLED[:12, :4].reshape(3, 4, 4), delay_steps=np.arange(3)),
        Conv("input", "a", weight=HOLED.reshape(3, 4, 4, 3)[:, :3, :3], padding=(1, 1), delay_steps=np.arange(3)),
    ],
    ids=lambda s: type(s).__name__,
)
def test_events_are_counted_where_a_weight_is_not_zero(synapse):
    """By the definition: what one spike changes in the targets, one source at a time, every weight being 1."""
    graph = graph_with(synapse, IMAGE, IMAGE)
    field = "values" if isinstance(synapse, Sparse) else "weight"
    ones = replace(synapse, **{field: (np.asarray(getattr(synapse, field)) != 0).astype(int)})
    expected = []
    for source in range(12):
        spike = np.zeros(12, np.int32)
        spike[source] = 1
        delays = np.unique(synapse.delay_steps)
        expected.append(sum(ones.accumulate(spike.reshape(IMAGE), int(d), IMAGE).sum() for d in delays))
    np.testing.assert_array_equal(synapse.fan_out(*graph.ends_of(synapse)), expected)
