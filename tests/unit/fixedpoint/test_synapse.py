import numpy as np
import pytest
from numpy.testing import assert_array_equal

from pumice.fixedpoint import conv_accumulate, conv_output_shape, dense_accumulate

torch = pytest.importorskip("torch")


@pytest.mark.parametrize(
    ("stride", "padding", "dilation", "groups", "kernel"),
    [
        ((1, 1), (0, 0), (1, 1), 1, (3, 3)),
        ((2, 1), (1, 2), (1, 1), 2, (3, 2)),
        ((1, 3), (2, 0), (2, 1), 1, (2, 3)),
        ((2, 2), (1, 1), (1, 2), 4, (1, 3)),
    ],
)
def test_conv_is_pytorchs_with_x_and_y_exchanged(stride, padding, dilation, groups, kernel):
    rng = np.random.default_rng(0)
    source = rng.integers(-9, 10, (7, 9, 4))
    weight = rng.integers(-128, 128, (8, *kernel, 4 // groups))
    got = conv_accumulate(weight, source, stride=stride, padding=padding, dilation=dilation, groups=groups)
    expected = torch.nn.functional.conv2d(
        torch.from_numpy(source.T.copy()).double()[None],
        torch.from_numpy(weight.transpose(0, 3, 2, 1).copy()).double(),
        stride=stride[::-1],
        padding=padding[::-1],
        dilation=dilation[::-1],
        groups=groups,
    )[0]
    assert_array_equal(got, expected.numpy().T)
    assert got.shape == conv_output_shape(source.shape, weight.shape, stride, padding, dilation)


def test_dense_sums_modulo_32_bits_and_shifts_left():
    assert_array_equal(dense_accumulate(np.array([[1, 2]]), np.array([3, 4]), 2), [44])
    assert_array_equal(dense_accumulate(np.array([[255] * 4]), np.full(4, 2**22)), [-(2**22) * 4])
