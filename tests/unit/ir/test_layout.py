import numpy as np
from numpy.testing import assert_array_equal

from pumice.ir import flatten_whc, lava_to_torch, torch_to_lava


def test_lava_order_is_time_then_x_y_channel(rng):
    x = rng.integers(0, 9, (2, 3, 4, 5, 6))  # batch, channel, y, x, time
    y = torch_to_lava(x)
    assert y[1, 5, 4, 3, 2] == x[1, 2, 3, 4, 5]
    assert_array_equal(lava_to_torch(y), x)


def test_flat_input_keeps_its_features(rng):
    x = rng.integers(0, 9, (2, 3, 4))
    assert torch_to_lava(x)[1, 3, 2] == x[1, 2, 3]
    assert_array_equal(lava_to_torch(torch_to_lava(x)), x)


def test_flatten_is_pytorchs(rng):
    x = rng.integers(0, 9, (1, 3, 4, 5, 1))
    assert_array_equal(flatten_whc(torch_to_lava(x)[0, 0]), x[0, ..., 0].reshape(-1))
    assert_array_equal(flatten_whc(np.arange(3)), [0, 1, 2])
