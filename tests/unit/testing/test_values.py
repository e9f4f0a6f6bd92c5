import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pumice.testing import values


@pytest.mark.parametrize("kind", values.WEIGHT_KINDS)
def test_weights_are_what_lava_holds(kind):
    w = values.weights(np.random.default_rng(0), kind, (40, 40))
    assert -256 <= w.min() <= w.max() <= 255
    assert w.shape == (40, 40)


@pytest.mark.parametrize("kind", values.STREAM_KINDS)
def test_streams_keep_their_limit(kind):
    x = values.stream(np.random.default_rng(0), kind, (100, 3), 2**10)
    assert np.issubdtype(x.dtype, np.integer)
    assert -(2**10) <= x.min() <= x.max() < 2**10
    assert x.any()


@settings(max_examples=50, derandomize=True)
@given(st.data())
def test_parameters_fit_their_population(data):
    shape = (3, 2, 4)
    decay = data.draw(values.decays(shape))
    assert np.broadcast_shapes(np.shape(decay), shape) == shape
    assert np.min(decay) >= 0
    assert np.max(decay) <= 4096
    assert 0 <= data.draw(values.thresholds()) < 2**17
    assert np.shape(data.draw(values.biases(shape))) in ((), shape)
    assert np.shape(data.draw(values.delays(4, None, 9))) in ((), (4,))
    assert np.max(data.draw(values.delays(4, 3, 9))) <= 9
