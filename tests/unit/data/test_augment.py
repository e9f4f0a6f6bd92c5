import numpy as np

from pumice.data.augment import add_noise


def test_noise_is_integer_seeded_and_within_the_range(rng):
    images = rng.integers(0, 17, (50, 1, 8, 8)).astype(np.uint8)
    noisy = add_noise(images, 2.0, (0, 16), np.random.default_rng(3))
    np.testing.assert_array_equal(noisy, add_noise(images, 2.0, (0, 16), np.random.default_rng(3)))
    assert noisy.dtype == images.dtype
    assert (noisy.min(), noisy.max()) == (0, 16)
    inner = (images > 6) & (images < 10)
    assert 1.8 < (noisy.astype(int) - images)[inner].std() < 2.2


def test_no_noise_is_the_same_array(rng):
    images = rng.integers(0, 17, (2, 1, 8, 8))
    assert add_noise(images, 0.0, (0, 16), rng) is images
