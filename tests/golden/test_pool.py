"""Pooling layers of a file against SLAYER's own pooling synapse."""

import numpy as np
import pytest

from pumice.fixedpoint import conv_accumulate, conv_output_shape
from pumice.netx.layers import Layer
from pumice.netx.pool import as_convolution


def geometry(rng):
    pairs = {name: tuple(map(int, rng.integers(low, high, 2))) for name, low, high in GEOMETRY}
    return (
        pairs if rng.random() < 0.5 else {**pairs, "stride": pairs["kernel"], "padding": (0, 0), "dilation": (1, 1)}
    )


GEOMETRY = (("kernel", 1, 4), ("stride", 1, 4), ("padding", 0, 2), ("dilation", 1, 3))


def test_equal_to_slayer():
    torch = pytest.importorskip("torch")
    from lava.lib.dl import slayer

    rng = np.random.default_rng(0)
    equal = refused = 0
    for _ in range(300):
        shape, g = tuple(map(int, rng.integers(2, 9, 3))), geometry(rng)
        yx = {name: pair[::-1] for name, pair in g.items()}
        pool = slayer.synapse.Pool(yx["kernel"], yx["stride"], yx["padding"], yx["dilation"])
        kernel = rng.integers(-9, 10, (1, *g["kernel"], 1))
        pool.weight.data = torch.from_numpy(kernel[0, :, :, 0].T.astype(np.float32).reshape(pool.weight.shape))
        x = rng.integers(0, 5, shape)
        found = as_convolution(Layer(0, "here", "pool", weight=kernel, geometry=g), shape)
        options = {} if isinstance(found, str) else {k: v for k, v in found.geometry.items() if k != "groups"}
        if isinstance(found, str) or min(conv_output_shape(shape, found.weight.shape, **options)) < 1:
            refused += 1
            continue
        y = pool(torch.from_numpy(x.transpose(2, 1, 0)[None, ..., None].astype(np.float32)))
        got = conv_accumulate(found.weight, x.astype(np.int32), groups=shape[2], **options)
        np.testing.assert_array_equal(got, y.detach().numpy()[0, ..., 0].transpose(2, 1, 0), err_msg=f"{shape} {g}")
        equal += 1
    assert equal > 100
    assert refused > 50
