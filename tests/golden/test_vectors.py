"""Golden vectors of lava-dl: recorded from Loihi or from lava-dl's own reference."""

import numpy as np
import pytest

import pumice
from pumice.ir import Conv, Cuba, Dense, Direct, Graph, Input, Reset, with_reset_schedule
from pumice.netx import load


def assert_equal(got, expected):
    np.testing.assert_array_equal(np.asarray(got), np.asarray(expected))


def tiny(graph, vectors):
    """The image is injected as input in every step, which equals the bias that lava-dl's test sets."""
    x = np.repeat(vectors("input_bias")[None].astype(int), 20, axis=0)
    got = pumice.run(with_reset_schedule(graph, 17, 1), x, backend="reference").spikes
    expected = np.moveaxis(vectors("output")[0].transpose(2, 1, 0, 3)[..., 1:], -1, 0)
    assert_equal(got[2:17], expected)
    assert expected.sum() > 50


def test_tiny_from_the_wheel(wheel):
    tiny(load(wheel / "tiny.net"), lambda name: np.load(wheel / f"gts/tinynet/{name}.npy"))


def test_tiny_from_shared(shared):
    with np.load(shared / "netx_tinynet.npz") as vectors:
        tiny(load(shared / "net/tiny.net"), vectors.__getitem__)


def test_ntidigits(wheel):
    """Axonal delays up to 62. The recorded output lags Lava's by one index; the file ends in an average layer."""
    graph = load(wheel / "gts/ntidigits/ntidigits.net", num_layers=5)
    x = np.load(wheel / "gts/ntidigits/input.npy").T.astype(int)[:300]
    expected = np.load(wheel / "gts/ntidigits/output.npy").T
    got = pumice.run(graph, x, backend="reference").spikes
    assert_equal(got[:-1], expected[1:300])
    assert got.sum() > 5000


@pytest.mark.slow
def test_ntidigits_to_its_end(wheel):
    graph = load(wheel / "gts/ntidigits/ntidigits.net", num_layers=5)
    x = np.load(wheel / "gts/ntidigits/input.npy").T.astype(int)
    assert_equal(
        pumice.run(graph, x, backend="reference").spikes[:-1], np.load(wheel / "gts/ntidigits/output.npy").T[1:]
    )


def test_ntidigits_names_the_unsupported_layer(wheel):
    with pytest.raises(pumice.PumiceError, match="layer/5: layer type 'average' is not supported: "):
        load(wheel / "gts/ntidigits/ntidigits.net")


def pilotnet(graph, vectors, *, n_states):
    """Every neuron's s, u and v in 24 steps, with a reset after 17; in the dump a spiked neuron's v reads 128.

    The last layer was dumped in another run: only its first 8 steps are of this one.
    """
    x = np.repeat(vectors["image"][None], 24, axis=0)
    records = pumice.run(with_reset_schedule(graph, 17, 1), x, record=True, backend="reference").records
    names = ["input", *(f"conv-{i}" for i in range(5)), *(f"fc-{i}" for i in range(3))]
    compared = 0
    for name, record in zip(names, records.values(), strict=False):
        steps_first = {
            key: np.moveaxis(vectors[key], -1, 0) for key in (name, f"{name}-u", f"{name}-v") if key in vectors
        }
        spikes = steps_first[name].astype(int)
        assert_equal(record.s.reshape(spikes.shape), spikes)
        if f"{name}-u" in steps_first:
            assert_equal(record.u.reshape(spikes.shape), steps_first[f"{name}-u"])
            assert_equal(record.v.reshape(spikes.shape), np.where(spikes, 0, steps_first[f"{name}-v"]))
            compared += 1
    assert compared == n_states
    last = list(records.values())[-1]
    for key in "suv":
        assert_equal(getattr(last, key)[:8, 0], vectors[f"fc-3-{key}"][0, :8])


def test_pilotnet_from_the_wheel(wheel):
    folder = wheel / "gts/pilotnet_lif"
    vectors = {path.stem: np.load(path) for path in folder.glob("*.npy")}
    pilotnet(load(folder / "network.net"), vectors, n_states=8)


def test_pilotnet_from_shared(shared):
    with np.load(shared / "netx_pilotnet_lif.npz") as archive:  # without conv-0's states
        vectors = {name.replace("_", "-"): archive[name] for name in archive}
    pilotnet(load(shared / "net/pilotnet_lif.net"), vectors, n_states=7)


def blocks(vectors):
    """The single blocks of lava-dl's test_blocks.py: Input and Conv."""
    image = np.repeat(vectors("input_bias")[None].astype(int), 15, axis=0)
    source = Input("input", (16, 16, 3))
    a = Cuba("a", (16, 16, 3), vth_mant=25, v_decay_q12=1024)
    spikes = np.moveaxis(vectors("input")[0].transpose(2, 1, 0, 3), -1, 0)[1:].astype(int)
    got = pumice.run(
        Graph(source, (a,), (Direct("input", "a", graded=True),), outputs=("a",)), image, backend="reference"
    ).spikes
    assert_equal(got, spikes)

    bias = vectors("layer1_bias").astype(int)
    b = Cuba("b", (6, 6, 24), vth_mant=25, v_decay_q12=1024, bias_mant=bias, reset=Reset(99, 2))
    # Lava's kernel is flipped in both directions.
    conv = Conv("input", "b", weight=vectors("layer1_kernel").astype(int)[:, ::-1, ::-1], stride=(2, 2))
    record = pumice.run(
        Graph(source, (b,), (conv,), outputs=("b",)), spikes, record=True, backend="reference"
    ).records["b"]
    for name, found, unit in (("layer1", record.s, 1), ("current", record.u, 64)):
        expected = unit * np.moveaxis(vectors(name)[0].transpose(2, 1, 0, 3), -1, 0)[1:15]
        assert_equal(found[1:], expected)
        assert np.any(expected)


def test_tiny_blocks_from_the_wheel(wheel):
    blocks(lambda name: np.load(wheel / f"gts/tinynet/{name}.npy"))


def test_tiny_blocks_from_shared(shared):
    with np.load(shared / "netx_tinynet.npz") as vectors:
        blocks(vectors.__getitem__)


def dense(vectors):
    """The dense block of lava-dl's test_blocks.py, 2,000 steps; `current` is the synapse's sum."""
    weight = vectors("weight").astype(int)
    graph = Graph(
        Input("input", (200,)),
        (Cuba("a", (256,), vth_mant=6, v_decay_q12=415),),
        (Dense("input", "a", weight=weight),),
        outputs=("a",),
    )
    record = pumice.run(graph, vectors("in").T.astype(int), record=True, backend="reference").records["a"]
    assert_equal(record.u, 64 * vectors("current").T)
    assert_equal(record.s, vectors("out").T)
    assert record.s.sum() > 1000


def test_dense_from_the_wheel(wheel):
    dense(lambda name: np.load(wheel / f"gts/dense/{name}.npy"))


def test_dense_from_shared(shared):
    with np.load(shared / "netx_dense.npz") as vectors:
        dense(vectors.__getitem__)


def test_other_networks_are_read(wheel, shared, tmp_path):
    for path in (wheel / "mnist.net", *sorted((shared / "net").glob("*.net"))):
        graph = load(path)
        pumice.save(graph, tmp_path / "a.net")
        pumice.save(load(tmp_path / "a.net"), tmp_path / "b.net")
        assert (tmp_path / "a.net").read_bytes() == (tmp_path / "b.net").read_bytes(), path
