"""Files of a few kilobytes that ask for gigabytes: refused by what they add up to, before memory is taken."""

import tracemalloc

import h5py
import numpy as np
import pytest

from pumice.errors import FileFormatError, GraphError, InputError
from pumice.files.limits import limited
from pumice.ir import Conv, Cuba, Graph, Input, Sparse, Timing
from pumice.ir.builder import chain
from pumice.netx import load, save

PLAIN = chain((4,), [3, 2], seed=1).replace(info={"a": "b"})
MEGABYTES_64 = 1 << 26


def refused(path, text, limit=MEGABYTES_64):
    tracemalloc.start()
    try:
        with pytest.raises(FileFormatError, match=text):
            load(path)
        assert tracemalloc.get_traced_memory()[1] < limit
    finally:
        tracemalloc.stop()


def zeros(group, name, shape):
    """Of one byte each, compressed to a thousandth: one chunk is written, and the others are copies of it."""
    chunks = (1 << 20,) if len(shape) == 1 else (1024, *shape[1:])
    found = group.create_dataset(name, shape, "i1", chunks=chunks, compression="gzip")
    found[: chunks[0]] = 0
    packed = found.id.read_direct_chunk((0,) * len(shape))[1]
    for start in range(0, shape[0], chunks[0]):
        found.id.write_direct_chunk((start, *(0,) * (len(shape) - 1)), packed)


def layer(group, n):
    group.create_dataset("type", (1,), "S10", [b"dense"])
    group["shape"] = [n]
    zeros(group, "weight", (n, n))
    for key, value in {"type": "CUBA", "iDecay": 1, "vDecay": 1, "vThMant": 8}.items():
        group.require_group("neuron")[key] = value


def test_one_field_linked_to_by_many_layers(tmp_path):
    with h5py.File(tmp_path / "a.net", "w") as file:
        layer(file.create_group("layer/0"), 2048)
        for k in range(1, 40):
            file[f"layer/{k}"] = file["layer/0"]
    refused(tmp_path / "a.net", "with weight it asks for 268,435,[67]", limit=1 << 29)


def test_many_layers_that_are_each_small_enough(tmp_path):
    with h5py.File(tmp_path / "a.net", "w") as file:
        for k in range(9):
            layer(file.create_group(f"layer/{k}"), 2048)
    refused(tmp_path / "a.net", "with weight it asks for 268,435,[67]", limit=1 << 29)


def test_limits_can_be_raised(tmp_path):
    save(PLAIN, tmp_path / "a.net")
    with limited(read_bytes=100), pytest.raises(FileFormatError, match=r"may ask for 100; .* set PUMICE_READ_BYTES"):
        load(tmp_path / "a.net")
    with h5py.File(tmp_path / "b.net", "w") as file:
        file.create_group("layer")
        layer(file.create_group("layer/0"), 5824)
    refused(tmp_path / "b.net", "with weight it asks for 271,35")
    with h5py.File(tmp_path / "b.net", "r+") as file:
        file["layer/0/shape"][0] = 3  # refused once it is read: nobody waits for 34 million weights
    with (
        limited(read_bytes=1 << 31),
        pytest.raises(FileFormatError, match=r"weight: must be \(3, number of inputs\)"),
    ):
        load(tmp_path / "b.net")


def test_outputs_without_end(tmp_path):
    save(PLAIN, tmp_path / "a.net")
    with h5py.File(tmp_path / "a.net", "r+") as file:
        del file["pumice/outputs"]
        zeros(file["pumice"], "outputs", (1 << 21,))
    refused(tmp_path / "a.net", "names 2097152 outputs of ")


def test_one_text_that_many_refer_to(tmp_path):
    save(PLAIN, tmp_path / "a.net")
    with h5py.File(tmp_path / "a.net", "r+") as file:
        del file["pumice/info"]
        texts = file["pumice"].create_dataset("info", (4096,), h5py.string_dtype(), chunks=(4096,))
        texts[...] = np.array(["x" * 100_000] + ["y"] * 4095, object)
        chunk = texts.id.get_chunk_info(0)
    data = bytearray((tmp_path / "a.net").read_bytes())
    first = data[chunk.byte_offset : chunk.byte_offset + 16]
    data[chunk.byte_offset : chunk.byte_offset + chunk.size] = first * (chunk.size // 16)
    (tmp_path / "a.net").write_bytes(data)
    refused(tmp_path / "a.net", "info: is too long for a string")


def test_neurons_that_nothing_backs(tmp_path):
    def one(source, target):
        return Sparse(source, target, rows=np.array([0]), columns=np.array([0]), values=np.array([100]))

    populations = Cuba("a", (1 << 28,), vth_mant=9), Cuba("b", (1,), vth_mant=1)
    save(Graph(Input("input", (1,)), populations, (one("input", "a"), one("a", "b")), ("b",)), tmp_path / "a.net")
    refused(tmp_path / "a.net", "one step of this network, .* would take about 13,958,")


def test_a_margin_that_nothing_backs(tmp_path):
    kernel = {"weight": np.full((1, 3, 3, 1), 2), "padding": (2**15, 2**15), "dilation": (2**15, 2**15)}
    image = Cuba("a", (1, 1, 1), vth_mant=9)
    save(Graph(Input("input", (1, 1, 1)), (image,), (Conv("input", "a", **kernel),) * 2, ("a",)), tmp_path / "a.net")
    refused(tmp_path / "a.net", "would take about 68,")


@pytest.mark.parametrize("timing", [Timing(2**31 - 1, 2**31 - 1), Timing(4, 2**31 - 1), Timing(4, 4, 2**31 - 1)])
def test_samples_that_never_end(tmp_path, timing):
    save(PLAIN.replace(timing=timing), tmp_path / "a.net")
    refused(tmp_path / "a.net", "would take about 51,")
    with limited(run_bytes=1 << 40):
        assert load(tmp_path / "a.net").timing == timing


BAD_NAMES = [b"\x1b[2Jx", b"b\0c", b"../../../x", b"a\\b", b"..", b"x" * 257, "\u202ex".encode()]


@pytest.mark.parametrize("name", BAD_NAMES)
@pytest.mark.parametrize("place", ["pumice/population/0/name", "pumice/input/name"])
def test_names_that_reach_a_terminal_or_an_archive(tmp_path, name, place):
    save(PLAIN, tmp_path / "a.net")
    with h5py.File(tmp_path / "a.net", "r+") as file:
        del file[place]
        file[place] = np.array(name)
    refused(tmp_path / "a.net", "name: must ")


def test_names_of_fields_are_held_to_the_same(tmp_path):
    save(PLAIN, tmp_path / "a.net")
    with h5py.File(tmp_path / "a.net", "r+") as file:
        file["pumice/population/0/\x1b[2J"] = 1
    with pytest.raises(FileFormatError, match="the name of a field must consist of printable") as caught:
        load(tmp_path / "a.net")
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    "value", ['{"a": "\\ud800"}', '{"a": "\\u001b[2J"}', '{"\\u001b": "a"}', "[" * 100_000, '{"a": 1}']
)
def test_texts_that_reach_a_terminal(tmp_path, value):
    save(PLAIN, tmp_path / "a.net")
    with h5py.File(tmp_path / "a.net", "r+") as file:
        del file["pumice/info"]
        file["pumice/info"] = np.array(value.encode())
    refused(tmp_path / "a.net", "info: ")


def test_what_would_be_refused_is_not_written(tmp_path):
    with pytest.raises(GraphError, match="a name must not hold /"):
        save(Graph(Input("a/b", (4,)), PLAIN.populations, PLAIN.synapses, PLAIN.outputs), tmp_path / "a.net")
    for info in ({"a": "\x1b"}, {"a\n": "b"}):
        with pytest.raises(InputError, match="and cannot be stored"):
            save(PLAIN.replace(info=info), tmp_path / "a.net")
    assert not list(tmp_path.iterdir())
    lines = {"report": "two\nlines, Müller & 層"}
    save(PLAIN.replace(info=lines), tmp_path / "a.net")
    assert load(tmp_path / "a.net").info == lines
