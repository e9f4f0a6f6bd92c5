import h5py
import numpy as np
import pytest

import pumice
from pumice.ir import Accumulator, Direct, with_reset_schedule
from pumice.netx import load, save

RUN = "run a.net --input x.npy -o y.npz"


def result(tmp_path):
    with np.load(tmp_path / "y.npz", allow_pickle=False) as z:
        return {name: z[name] for name in z}


def test_spikes(command, graph, net, x, tmp_path):
    code, out, err = command(RUN)
    assert (code, err) == (0, "")
    found = result(tmp_path)
    assert out == f"y.npz: 9 steps, {found['spikes'].sum()} output spikes (fast)\n"
    assert list(found) == ["spikes"]
    np.testing.assert_array_equal(found["spikes"], pumice.run(graph, x).spikes)


def test_of_several_outputs_none_is_left_out(command, graph, net, x, tmp_path):
    every = graph.replace(outputs=tuple(p.name for p in reversed(graph.populations)), certificate=None)
    save(every, tmp_path / "a.net")
    code, out, _ = command(RUN)
    found, expected = result(tmp_path), pumice.run(every, x).outputs
    assert (code, len(expected) > 1) == (0, True)
    assert set(found) == {"spikes", *(f"{name}/s" for name in expected)}
    np.testing.assert_array_equal(found["spikes"], expected[every.outputs[0]])
    for name, spikes in expected.items():
        np.testing.assert_array_equal(found[f"{name}/s"], spikes)
    assert f"{sum(spikes.sum() for spikes in expected.values())} output spikes" in out


def test_values_are_not_called_spikes(command, graph, x, tmp_path):
    """A read-out's voltages, which may be negative, are no spikes to add up."""
    last = graph.output
    read = Accumulator(last.name, last.shape, bias_mant=-7)
    save(graph.replace(populations=(*graph.populations[:-1], read), certificate=None), tmp_path / "a.net")
    code, out, _ = command(RUN)
    values = result(tmp_path)["spikes"]
    assert code == 0
    assert values.min() < 0
    assert out == f"y.npz: 9 steps, {np.count_nonzero(values)} non-zero output values (fast)\n"


def test_record(command, graph, net, x, tmp_path):
    assert command(RUN + " --record --steps 5")[0] == 0
    found = result(tmp_path)
    records = pumice.run(graph, x[:5], record=True).records
    assert set(found) == {"spikes", *(f"{name}/{key}" for name in records for key in "suv")}
    for name, record in records.items():
        for key in "suv":
            np.testing.assert_array_equal(found[f"{name}/{key}"], getattr(record, key))


@pytest.mark.parametrize("direct", [False, True])
def test_resets_are_those_of_stock(command, graph, x, tmp_path, direct):
    """In stock netx, layer i (an input layer with neurons counts) resets at t % R == (offset + 1 + i) % R."""
    if direct:
        entry = graph.populations[0]
        graph = graph.replace(
            input=type(graph.input)("input", entry.shape),
            synapses=(Direct("input", entry.name, graded=True), graph.synapses[1]),
            certificate=None,
        )
        x = x[:, :3]
        np.save(tmp_path / "x.npy", x)
    save(graph, tmp_path / "a.net")
    assert command(RUN + " --reset-interval 4 --reset-offset 2")[0] == 0
    expected = with_reset_schedule(graph, 4, 2 + direct)
    assert [p.reset.offset for p in expected.populations] == [3, 0]
    np.testing.assert_array_equal(result(tmp_path)["spikes"], pumice.run(expected, x).spikes)


def test_input_message_bits(command, graph, net, tmp_path):
    x = np.random.default_rng(0).integers(0, 9, (9, 4))
    np.save(tmp_path / "x.npy", x)
    assert command(RUN + " --input-message-bits 8")[2] == ""
    graded = result(tmp_path)["spikes"]
    np.testing.assert_array_equal(graded, pumice.run(load(net, input_message_bits=8), x).spikes)
    code, _, err = command(RUN)
    assert code == 0
    assert err.startswith("pumice: warning: the input holds values from 0 to 8, and each counts as one spike")
    np.testing.assert_array_equal(result(tmp_path)["spikes"], pumice.run(graph, x != 0).spikes)


def test_as_stock_and_the_shape_of_the_input(command, tmp_path):
    with h5py.File(tmp_path / "a.net", "w") as file:
        layer = file.create_group("layer/0")
        weight = np.full((1, 1, 2, 2), 300)
        for name, value in {"type": "conv", "shape": [1, 2, 2], "weight": weight, "groups": 1}.items():
            layer[name] = value
        layer["stride"], layer["padding"], layer["dilation"] = 1, 0, 1
        for name, value in {"type": "CUBA", "iDecay": 4096, "vDecay": 0, "vThMant": 900}.items():
            layer[f"neuron/{name}"] = value
    x = np.ones((4, 3, 3, 1), np.uint8)
    np.save(tmp_path / "x.npy", x)
    code, _, err = command(RUN)
    assert code == 2
    assert "--as-stock" in err
    assert command(RUN + " --as-stock")[0] == 0
    assert result(tmp_path)["spikes"][:, 0, 0, 0].tolist() == [0, 1, 1, 1]


def test_existing_output_is_replaced(command, net, x, tmp_path):
    (tmp_path / "y.npz").write_text("old")
    assert command(RUN)[0] == 0
    assert "spikes" in result(tmp_path)


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ("--steps 0", "--steps must be at least 1, got 0"),
        ("--steps -3", "--steps must be at least 1, got -3"),
        ("--steps 10", "--steps 10, but x.npy holds 9 steps; append zeros"),
        ("--backend tpu", "unknown backend 'tpu'; there are: reference, "),
        ("--reset-offset 3", "--reset-offset needs --reset-interval"),
        ("--reset-interval 0", "--reset-interval must be >= 1"),
        ("--reset-interval 4 --reset-offset -1", "--reset-interval must be >= 1 and --reset-offset >= 0"),
        ("--input-message-bits 99", "input_message_bits must lie in 0..24"),
        ("-o y.txt", "--output must name a file that ends in .npz, got 'y.txt'"),
        ("-o none/y.npz", "none/y.npz: cannot be written (No such file or directory)"),
        ("--input none.npy", "none.npy: No such file or directory"),
        ("--input a.net", "a.net: is not a .npy array"),
    ],
)
def test_bad_options(refused, net, x, more, text):
    assert text in refused(f"{RUN} {more}")


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (np.ones((5, 4)), "x.npy: must hold integers, got float64; encode or round it first"),
        (np.ones((5, 3), int), "takes 4 values, got an input of shape"),
        (np.ones((0, 4), int), "x.npy: holds no step: it has shape (0, 4), and T must be at least 1"),
        (np.ones(4, int), r"x.npy: must have shape (T, *input shape), got (4,)"),
        (np.full((2, 4), 2**30), "input values must fit 24 bits signed"),
        (np.array([["a"] * 4]), "must hold integers"),
        (np.array([[{}] * 4], object), "x.npy: is not a .npy array of numbers, or is damaged"),
    ],
)
@pytest.mark.filterwarnings("ignore::pumice.errors.PumiceWarning")
def test_bad_input(command, net, tmp_path, x, text):
    np.save(tmp_path / "x.npy", x, allow_pickle=True)
    code, _, err = command(RUN)
    assert code == 2
    assert text in err.splitlines()[-1] or "must have shape (T, 4)" in err
    assert not (tmp_path / "y.npz").exists()


def test_damaged_arrays(refused, net, x, tmp_path):
    whole = (tmp_path / "x.npy").read_bytes()
    for content in (whole[:50], whole[:-8], b"", whole.replace(b"(9, 4)", b"(9000000000000, 4)")):
        (tmp_path / "x.npy").write_bytes(content)
        assert "x.npy: is not a .npy array" in refused(RUN)
    np.savez(tmp_path / "x.npz", x=x)
    assert "is an archive" in refused("run a.net --input x.npz -o y.npz")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda b: None, "a.net: No such file"),
        (lambda b: b"not HDF5", "a.net: is not an HDF5 file, or its beginning is damaged\n"),
        (lambda b: b"PK\x03\x04 as torch's", "if it is a checkpoint, `pumice lower` makes a network file of it"),
        (lambda b: b[: len(b) // 2], "a.net"),
    ],
)
def test_bad_networks(refused, net, x, change, text):
    content = change(net.read_bytes())
    if content is None:
        net.unlink()
    else:
        net.write_bytes(content)
    assert text in refused(RUN)


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("weight", np.full((3, 4), 999.0), "do not fit 8 bits (-256..254, or 0..255"),
        ("delay", np.array([0.0, 1, 125]), "delays must lie in 0..124, got 0 to 125"),
        ("weight", np.ones((3, 5)), "takes 5 values"),
    ],
)
def test_networks_out_of_range(refused, x, tmp_path, *, field, value, text):
    with h5py.File(tmp_path / "a.net", "w") as file:
        fields = {"type": "dense", "shape": [3], "weight": np.ones((3, 4)), field: value}
        for name, data in fields.items():
            file[f"layer/0/{name}"] = data
    assert text in refused(RUN)


@pytest.fixture
def sigma_delta_net(tmp_path, write_net):
    """As lava-dl writes them: an encoder, a hidden layer, a decoder."""
    sdnn = {"type": "SDNN", "activation": "relu", "vThMant": 2}
    hidden = {"type": "dense", "shape": [3], "weight": np.full((3, 4), 20), "neuron": sdnn}
    decoder = {"type": "dense", "shape": [2], "weight": np.eye(2, 3) * 40, "neuron": {**sdnn, "sigma_output": True}}

    encoder = {"type": "input", "shape": [4], "neuron": sdnn}
    return write_net(tmp_path / "a.net", encoder, hidden, decoder)


@pytest.mark.parametrize(
    ("more", "arguments"),
    [
        ("", {}),
        ("--spike-exp 3", {"spike_exp": 3}),
        ("--num-layers 2", {"num_layers": 2}),
        ("--skip-layers 1", {"skip_layers": 1, "input_shape": (4,)}),
    ],
)
def test_arguments_of_stock_netx(command, sigma_delta_net, x, tmp_path, *, more, arguments):
    np.save(tmp_path / "x.npy", 90 * x)
    code, _, err = command(f"{RUN} --record {more}")
    assert (code, err) == (0, "")
    expected = pumice.run(load(sigma_delta_net, **arguments), 90 * x, record=True)
    found = result(tmp_path)
    assert expected.spikes.any()
    np.testing.assert_array_equal(found.pop("spikes"), expected.spikes)
    values = {f"{name}/{key}": v for name, r in expected.records.items() for key, v in r.values().items()}
    assert found.keys() == values.keys()
    for name, recorded in values.items():
        np.testing.assert_array_equal(found[name], recorded)


@pytest.mark.parametrize(
    "line",
    [
        RUN + " --backend loihi2",
        RUN + " --backend loihi2 --profile p.json",
        "verify a.net --backend loihi2",
        "evaluate a.net --backend loihi2",
    ],
)
def test_without_intel_s_extension_one_line_says_what_is_missing(refused, net, x, line):
    assert "needs Intel's closed extension lava-loihi" in refused(line)


def test_only_a_chip_measures(refused, net, x):
    assert "--profile needs --backend loihi2, got fast" in refused(RUN + " --profile p.json")
