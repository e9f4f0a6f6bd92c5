import numpy as np
import pytest

from pumice.backends.lava.unroll import unroll_conv
from pumice.fixedpoint import conv_accumulate, conv_output_shape
from pumice.ir import Conv, Cuba, Graph, Input


@pytest.mark.parametrize(
    ("stride", "padding", "dilation", "groups"),
    [((1, 1), (0, 0), (1, 1), 1), ((2, 1), (1, 2), (1, 2), 2), ((1, 2), (2, 0), (2, 1), 4)],
)
def test_matrix_is_the_convolution(stride, padding, dilation, groups):
    rng = np.random.default_rng(0)
    shape = (6, 5, 4)
    weight = rng.integers(-9, 9, size=(8, 3, 2, 4 // groups))
    delay = np.array([0, 3, 1, 2])
    out_shape = conv_output_shape(shape, weight.shape, stride, padding, dilation)
    conv = Conv(
        "input", "a", weight=weight, stride=stride, padding=padding, dilation=dilation, groups=groups,
        delay_steps=delay,
    )  # fmt: skip
    graph = Graph(Input("input", shape), (Cuba("a", out_shape, 5),), (conv,), ("a",))
    matrix, delays = unroll_conv(graph, conv)
    x = rng.integers(0, 2, size=shape)
    expected = conv_accumulate(weight, x, stride=stride, padding=padding, dilation=dilation, groups=groups)
    np.testing.assert_array_equal((matrix @ x.ravel()).reshape(out_shape), expected)
    rows, columns = matrix.nonzero()
    np.testing.assert_array_equal(np.asarray(delays[rows, columns]).ravel(), delay[columns % 4])
