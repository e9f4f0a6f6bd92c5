import numpy as np
import pytest

from pumice.testing import values


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("kind", values.WEIGHT_KINDS)
def test_weights_are_what_lava_holds(kind, rng):
    w = values.weights(rng, kind, (40, 40))
    assert -256 <= w.min() <= w.max() <= 255
    assert w.shape == (40, 40)


@pytest.mark.parametrize("kind", values.STREAM_KINDS)
@pytest.mark.parametrize("value_range", values.VALUE_RANGES)
def test_streams_keep_their_range(kind, value_range, rng):
    x = values.stream(rng, kind, (100, 3), value_range)
    assert np.issubdtype(x.dtype, np.integer)
    assert value_range[0] <= x.min() <= x.max() <= value_range[1]
    assert x.any()


def test_parameters_fit_their_population(rng):
    shape = (3, 2, 4)
    for _ in range(100):
        decay = values.decays(rng, shape)
        assert np.broadcast_shapes(np.shape(decay), shape) == shape
        assert 0 <= np.min(decay) <= np.max(decay) <= 4096
        assert 0 <= values.thresholds(rng) < 2**17
        assert np.shape(values.biases(rng, shape)) in ((), shape)
        delays = values.delays(rng, [(4,), (3, 4)], 9)
        assert np.shape(delays) in ((), (4,), (3, 4))
        assert 0 <= np.min(delays) <= np.max(delays) <= 9


def test_pick_gives_items_as_they_are(rng):
    assert values.pick(rng, [(1, 2)]) == (1, 2)
    assert {values.one_in(rng, 2) for _ in range(30)} == {True, False}
