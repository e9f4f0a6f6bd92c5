import numpy as np
import pytest
from numpy.testing import assert_array_equal

from pumice.errors import InputError
from pumice.ir import Timing, from_stream, to_stream
from pumice.ir.builder import chain


def test_a_stream_holds_every_sample_padded_and_can_be_cut_again():
    graph = chain((2,), [2, 2], seed=0).replace(timing=Timing(3, 5))
    samples = np.arange(1, 13).reshape(2, 3, 2)
    stream = to_stream(graph, samples)
    assert stream.shape == (2 * 5 + 2, 2)
    assert_array_equal(stream[:5, 0], [1, 3, 5, 0, 0])
    assert_array_equal(from_stream(graph, np.roll(stream, 2, axis=0), 2), samples)
    assert_array_equal(from_stream(graph, stream, 2, latency=0), samples)


def test_a_graph_without_timing_says_so():
    with pytest.raises(InputError, match="states no sample length; give it a timing"):
        to_stream(chain((2,), [2], seed=0), np.zeros((1, 3, 2), int))


def test_samples_of_another_shape_are_refused():
    graph = chain((2,), [2], seed=0).replace(timing=Timing(3, 4))
    with pytest.raises(InputError, match=r"shape \(n, 3, 2\), got \(1, 4, 2\)"):
        to_stream(graph, np.zeros((1, 4, 2), int))


def test_samples_that_no_graph_takes_are_refused():
    graph = chain((2,), [2], seed=0).replace(timing=Timing(3, 4))
    with pytest.raises(InputError, match=r"samples must be integers \(or bool\), got float64"):
        to_stream(graph, np.zeros((1, 3, 2)))
    assert to_stream(graph, np.ones((1, 3, 2), bool)).dtype == bool


def test_a_stream_that_is_too_short_is_refused():
    graph = chain((2,), [2, 2], seed=0).replace(timing=Timing(3, 5))
    stream = to_stream(graph, np.ones((2, 3, 2), int))
    with pytest.raises(InputError, match="12 steps, and must have 45 for 9 samples; it holds at most 2 samples"):
        from_stream(graph, stream, 9)
    with pytest.raises(InputError, match="4 steps, and must have 5 for 1 sample; it holds at most 0 samples"):
        from_stream(graph, stream[:4], 1)
    with pytest.raises(InputError, match="n must be at least 1, got 0"):
        from_stream(graph, stream, 0)
