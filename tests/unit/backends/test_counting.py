import numpy as np
import pytest

from pumice.backends import base, get_backend
from pumice.backends.counting import Wanted, common
from pumice.ir import Timing, with_reset_schedule
from pumice.ir.builder import chain
from tests.unit.backends.test_evaluate import conv_graph

GRAPHS = {
    "lead and silence": with_reset_schedule(chain((4,), [5, 3], seed=0).replace(timing=Timing(6, 9, 2)), 9, 1),
    "conv": conv_graph(),
}


@pytest.mark.parametrize("backend", ["reference", "torch"])
@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS)
@pytest.mark.parametrize("state", [None, "v"])
def test_all_backends_count_the_same(backend, graph, state, monkeypatch):
    wanted = Wanted.of(graph, graph.timing, state)
    x = np.random.default_rng(0).integers(0, 2, (5, wanted.n_steps, *graph.input.shape)).astype(np.int32)
    fast = get_backend("fast").counter(graph, wanted)(x)
    monkeypatch.setattr(base, "RECORDED_BYTES", 1)  # a sample at a time
    monkeypatch.setattr("pumice.backends.torch.backend.FRAMES_BYTES", 1000)  # some steps of some samples
    other = get_backend(backend).counter(graph, wanted)(x)
    assert all(np.array_equal(fast.events[name], other.events[name]) for name in wanted.counted)
    assert fast.events.keys() == other.events.keys()
    assert np.array_equal(fast.sent, other.sent)
    assert fast.sent.any()
    assert (other.held is None) == (state is None)
    assert state is None or np.array_equal(fast.held, other.held)


def test_counts_are_of_the_period_behind_the_latency():
    graph = GRAPHS["lead and silence"]
    wanted = Wanted.of(graph, graph.timing)
    x = np.random.default_rng(0).integers(0, 2, (2, wanted.n_steps, 4)).astype(np.int32)
    records = [get_backend("reference").run(graph, sample, record=True).records for sample in x]
    found = get_backend("fast").counter(graph, wanted)(x)
    assert np.array_equal(found.events["input"], x[:, 2:11].sum(1))
    assert np.array_equal(found.events["dense1"], [r["dense1"].s[4:13].sum(0) for r in records])
    assert np.array_equal(found.sent, [r["dense1"].s[4:10] for r in records])


@pytest.mark.parametrize(("start", "stop"), [(0, 3), (2, 4), (3, 7), (4, 5), (6, 9), (7, 9)])
def test_common_steps(start, stop):
    steps = range(3, 7)
    now, at = common(steps, start, stop)
    assert [*range(start, stop)][now] == [*steps][at] == sorted({*steps} & {*range(start, stop)})
