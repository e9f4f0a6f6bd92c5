"""Samples back to back give what each gives alone."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from pumice.backends import run
from pumice.errors import GraphError
from pumice.ir import (
    from_stream,
    latencies,
    to_stream,
)
from pumice.ir.builder import chain, loop
from pumice.passes.schedule_resets import schedule_resets


@pytest.mark.parametrize("seed", range(5))
def test_a_thousandth_sample_equals_the_first(seed):
    """Each sample behind others equals the same sample behind silence, at every step; without clocks it does not."""
    rng = np.random.default_rng(seed)
    graph = schedule_resets(loop(seed), 6).graph
    samples = rng.integers(0, 2, (1000 if seed == 0 else 60, 6, 4))
    streamed = from_stream(graph, run(graph, to_stream(graph, samples)).spikes, len(samples))
    for i in (1, 7, len(samples) - 1):
        fresh = from_stream(graph, run(graph, to_stream(graph, samples[i : i + 1])).spikes, 1)
        assert_array_equal(streamed[i], fresh[0])
    assert streamed.any()


def test_without_clocks_samples_disturb_each_other():
    graph = schedule_resets(loop(), 6).graph
    bare = graph.replace(synapses=tuple(s for s in graph.synapses if not s.source.endswith("_clock")))
    samples = np.random.default_rng(0).integers(0, 2, (20, 6, 4))
    streamed = from_stream(graph, run(bare, to_stream(graph, samples)).spikes, 20)
    fresh = [from_stream(graph, run(bare, to_stream(graph, s[None])).spikes, 1)[0] for s in samples]
    assert (streamed != fresh).any()


def test_the_clock_holds_back_every_neuron_at_the_end_of_the_gap():
    graph = schedule_resets(loop(bias=4000), 6).graph
    period, reach = graph.timing.period_steps, 5
    x = np.ones((6 * period, 4), int)
    records = run(graph, x, record=True).records
    first = graph.timing.lead_steps + latencies(graph)["a"]
    window = records["a"].s[first : first + 2 * period].reshape(2, period, -1)
    assert not window[:, period - reach :].any()
    assert window[:, : period - reach].any()


def test_a_period_without_room_for_the_gap_is_refused():
    with pytest.raises(GraphError, match=r"period_steps must be >= 11 \(a sample's 6 steps and a gap of 5"):
        schedule_resets(loop(), 6, period_steps=8)
    with pytest.raises(GraphError, match="scheduled already"):
        schedule_resets(schedule_resets(loop(), 6).graph, 7)


@pytest.mark.parametrize("steps", [0, -3, 2.5, "5", None, 2**31])
def test_what_is_no_number_of_steps_is_refused(steps):
    with pytest.raises(GraphError, match=r"sample_steps must be an integer in 1\.\.2147483647, got"):
        schedule_resets(chain((4,), [3], seed=0), steps)
    if steps is not None:
        with pytest.raises(GraphError, match=r"period_steps must be an integer in 1\.\.2147483647, got"):
            schedule_resets(chain((4,), [3], seed=0), 5, period_steps=steps)


def test_steps_may_be_numpys():
    timing = schedule_resets(chain((4,), [3], seed=0), np.int64(5), np.int8(6)).graph.timing
    assert (timing.sample_steps, timing.period_steps, type(timing.period_steps)) == (5, 6, int)


def test_what_cannot_be_held_back_is_refused():
    graph = loop()
    slow = replace(graph.populations[0], i_decay_q12=1)
    with pytest.raises(GraphError, match=r"population 'a': spikes outlive a reset .* would wrap 24 bits"):
        schedule_resets(graph.replace(populations=(slow, graph.populations[1])), 6)
