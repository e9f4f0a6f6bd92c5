"""Transposed convolutions and unpooling of a file against SLAYER's own synapses and blocks."""

import h5py
import numpy as np
import pytest

import pumice
from pumice.fixedpoint import conv_transpose_accumulate, conv_transpose_output_shape
from pumice.ir import ConvTranspose
from pumice.netx import load
from pumice.netx.layers import Layer
from pumice.netx.pool import as_transposed_convolution

GEOMETRY = (("kernel", 1, 4), ("stride", 1, 4), ("padding", 0, 2), ("dilation", 1, 3))


def geometry(rng):
    pairs = {name: tuple(map(int, rng.integers(low, high, 2))) for name, low, high in GEOMETRY}
    return (
        pairs if rng.random() < 0.5 else {**pairs, "stride": pairs["kernel"], "padding": (0, 0), "dilation": (1, 1)}
    )


def test_unpooling_is_slayers():
    torch = pytest.importorskip("torch")
    from lava.lib.dl import slayer

    rng = np.random.default_rng(0)
    equal = refused = 0
    for _ in range(200):
        shape, g = tuple(map(int, rng.integers(2, 7, 3))), geometry(rng)
        yx = {name: pair[::-1] for name, pair in g.items()}
        unpool = slayer.synapse.Unpool(yx["kernel"], yx["stride"], yx["padding"], yx["dilation"])
        kernel = rng.integers(-9, 10, (1, *g["kernel"], 1))
        unpool.weight.data = torch.from_numpy(kernel[0, :, :, 0].T.astype(np.float32).reshape(unpool.weight.shape))
        x = rng.integers(0, 5, shape)
        options = {name: pair for name, pair in g.items() if name != "kernel"}
        found = as_transposed_convolution(Layer(0, "here", "unpool", weight=kernel, geometry=options), shape)
        if isinstance(found, str):
            assert "straddle" in found
            refused += 1
            continue
        size = conv_transpose_output_shape(
            shape, found.weight.shape, g["stride"], g["padding"], (0, 0), g["dilation"]
        )
        if min(size) < 1:
            continue
        y = unpool(torch.from_numpy(x.transpose(2, 1, 0)[None, ..., None].astype(np.float32)))
        got = conv_transpose_accumulate(found.weight, x.astype(np.int32), shape=size, **found.geometry)
        expected = y.detach().numpy()[0, ..., 0].transpose(2, 1, 0)
        np.testing.assert_array_equal(got, expected, err_msg=f"{shape} {g}")
        equal += 1
    assert equal > 50
    assert refused > 50


@pytest.mark.parametrize("groups", [1, 2])
def test_a_sigma_delta_network_of_lava_dl_runs_as_it_was_trained(groups, tmp_path):
    """As the public dhp19_sdnn: kernel 2, stride 2. Stock netx refuses the file; SLAYER's answer is the judge."""
    torch = pytest.importorskip("torch")
    from lava.lib.dl.slayer.block import sigma_delta as slayer

    torch.manual_seed(groups)
    params = {"threshold": 0.1, "activation": torch.nn.functional.relu}
    model = torch.nn.Sequential(
        slayer.Input(dict(params)),
        slayer.Conv(dict(params), 2, 4, 3, padding=1, weight_scale=2),
        slayer.ConvT(dict(params), 4, 6, 2, stride=2, groups=groups, weight_scale=2),
        slayer.ConvT(dict(params), 6, 2, (3, 2), stride=(2, 1), padding=(1, 0), weight_scale=2),
        slayer.Unpool(dict(params), 2, weight_scale=0.9),
        slayer.Flatten(),
        slayer.Output(dict(params), 2 * 22 * 18, 3),
    )
    x = (torch.randint(-8, 9, (1, 2, 3, 4, 20)).cumsum(-1).clamp(-60, 60) * 2).float()
    expected = model(x / 64)
    path = tmp_path / "network.net"
    with h5py.File(path, "w") as file:
        for index, block in enumerate(model):
            block.export_hdf5(file.create_group(f"layer/{index}"))
    graph = load(path)
    kinds = [s for s in graph.synapses if isinstance(s, ConvTranspose)]
    assert [s.groups for s in kinds] == [groups, 1, 2]
    stream = np.concatenate([x[0].numpy().transpose(3, 2, 1, 0), np.zeros((graph.latency, 4, 3, 2))]).astype(int)
    found = pumice.run(graph, stream, backend="reference").spikes[graph.latency :]
    assert np.abs(found).max() > 1 << 12
    np.testing.assert_array_equal(found / 2**18, expected[0].numpy(force=True).T)
    np.testing.assert_array_equal(pumice.run(graph, stream).spikes[graph.latency :], found)
