import numpy as np
import pytest

from pumice.data import DirectEncoder, RateEncoder, make_encoder
from pumice.data.encoders import draws
from pumice.errors import InputError


def test_direct_repeats_the_image(rng):
    images = rng.integers(0, 17, (3, 1, 2, 4))
    stream = DirectEncoder(5, (0, 16)).encode(images, rng)
    assert stream.shape == (3, 1, 2, 4, 5)
    for step in range(5):
        np.testing.assert_array_equal(stream[..., step], images)


def test_rates_are_the_pixels_share_of_the_range():
    images = np.array([0, 4, 12, 16]).reshape(1, 1, 2, 2)
    stream = RateEncoder(4000, (0, 16)).encode(images, np.random.default_rng(0))
    np.testing.assert_allclose(stream.mean(-1).ravel(), [0, 0.25, 0.75, 1], atol=0.03)
    assert set(np.unique(stream)) == {0, 1}


def test_rates_do_not_depend_on_the_batch_size():
    images = np.random.default_rng(1).integers(0, 17, (6, 1, 2, 2))
    encoder = RateEncoder(7, (0, 16))
    whole = encoder.encode(images, np.random.default_rng(0))
    rng = np.random.default_rng(0)
    parts = [encoder.encode(images[i : i + 2], rng) for i in (0, 2, 4)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_value_ranges():
    assert make_encoder("direct", 3, (0, 16)).value_range == (0, 16)
    assert make_encoder("rate", 3, (0, 16)).value_range == (0, 1)


def test_bad_encoders():
    with pytest.raises(InputError, match="there are: direct, rate"):
        make_encoder("latency", 3, (0, 16))
    with pytest.raises(InputError, match="at least one time step, got 0"):
        make_encoder("direct", 0, (0, 16))


def test_who_draws():
    """A class that only inherits the promise has not made it."""

    class Own(DirectEncoder):
        def encode(self, samples, rng):
            return super().encode(samples, rng) + rng.integers(0, 2)

    class Renamed(DirectEncoder):
        pass

    assert [draws(kind(3, (0, 16))) for kind in (DirectEncoder, Renamed, Own, RateEncoder)] == [
        False,
        False,
        True,
        True,
    ]
