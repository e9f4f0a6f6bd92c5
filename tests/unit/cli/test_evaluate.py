import json

import numpy as np
import pytest

from pumice.ir import Timing, with_reset_schedule
from pumice.ir.builder import chain
from pumice.netx import save


@pytest.fixture
def timed(tmp_path):
    graph = chain((4,), [3, 2], seed=1).replace(timing=Timing(6, 6))
    save(with_reset_schedule(graph, 6, 1), tmp_path / "a.net")


@pytest.fixture
def data(tmp_path):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "x.npz", x=rng.integers(0, 2, (5, 6, 4)), labels=np.array([0, 1, 0, 1, 0]))


def test_table(timed, data, command):
    code, out, _ = command("evaluate a.net --data x.npz --check reference --check-samples 2")
    assert code == 0
    assert "accuracy" in out
    assert "of 5 samples" in out
    assert "reference: equal on" in out
    for name in ("input", "dense0", "dense1"):
        assert name in out


def test_json_of_some_samples(timed, data, command):
    code, out, _ = command("evaluate a.net --data x.npz --samples 3 --json")
    found = json.loads(out)
    assert (code, found["samples"], found["sample_steps"]) == (0, 3, 6)
    assert set(found["spikes_per_sample"]) == {"input", "dense0", "dense1"}
    assert set(found["synaptic_events_per_sample"]) == {"input -> dense0", "dense0 -> dense1"}


@pytest.mark.parametrize("options", ["--backend torch --device cpu", "--backend reference", "--parts done"])
def test_json_is_the_same_whatever_runs_it(options, timed, data, command):
    assert (
        command(f"evaluate a.net --data x.npz --json {options}")[1]
        == command("evaluate a.net --data x.npz --json")[1]
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--device cpu", "--device belongs to --backend torch"),
        ("--backend torch --threads 1", "--threads belongs to --backend fast"),
        ("--backend torch --device abacus", "cannot be used"),
    ],
)
def test_options_that_do_not_fit(options, words, timed, data, command):
    code, _, err = command(f"evaluate a.net --data x.npz {options}")
    assert (code, words in err) == (2, True)


def test_processes_of_several_machines_need_a_folder(timed, data, command, monkeypatch):
    for name, value in {"RANK": 1, "WORLD_SIZE": 4, "LOCAL_RANK": 1, "LOCAL_WORLD_SIZE": 2}.items():
        monkeypatch.setenv(name, str(value))
    code, _, err = command("evaluate a.net --data x.npz")
    assert (code, "give --parts DIR" in err) == (2, True)


def test_a_file_without_timing_takes_the_samples_length(command, net, data):
    assert command("evaluate a.net --data x.npz")[0] == 0


def test_the_data_of_the_recipe(command, exports):
    code, out, _ = command(f"evaluate {exports}/digits/network.net --samples 20 --json")
    assert code == 0
    assert json.loads(out)["accuracy"] > 0.9


def test_the_data_of_a_recipe_that_is_changed(command, exports):
    code, out, _ = command(f"evaluate {exports}/digits/network.net --set data.max_test=7 --json")
    assert (code, json.loads(out)["samples"]) == (0, 7)


@pytest.fixture
def exports(request):
    return request.config.rootpath / "netx_exports"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("evaluate a.net", "does not say what it was trained on"),
        ("evaluate a.net --data nowhere.npz", "No such file"),
        ("evaluate a.net --data a.net", "is not an .npz archive"),
        ("evaluate a.net --data x.npz --set data.steps=6", "it has no use beside --data"),
        ("evaluate a.net --data x.npz --samples 0", "--samples must be at least 1"),
        ("evaluate a.net --data x.npz --check nothing", "unknown backend"),
        ("evaluate a.net --data only_x.npz", "arrays `x` and `labels`"),
        ("evaluate a.net --data single.npy", "is a .npy file with one array; an .npz archive"),
        ("evaluate a.net --data floats.npz", "x must hold integers"),
        ("evaluate a.net --data short.npz", "labels (n,)"),
        ("evaluate a.net --data wide.npz", "sample 0: input must have shape"),
    ],
)
def test_refusals(line, message, refused, bad_files):
    assert message in refused(line)


def test_a_changed_recipe_must_be_one(refused, exports):
    line = f"evaluate {exports}/digits/network.net --set data.steps="
    assert "data.steps: Input should be greater" in refused(line + "0")
    assert "8 steps" in refused(line + "5")
    assert "has no section 'training'; it has: data" in refused(line.replace("data.steps", "training.epochs") + "2")


@pytest.fixture
def bad_files(timed, data, tmp_path):
    x, labels = np.zeros((2, 6, 4), int), np.zeros(2, int)
    np.savez(tmp_path / "only_x.npz", x=x)
    np.save(tmp_path / "single.npy", x)
    np.savez(tmp_path / "floats.npz", x=x.astype(float), labels=labels)
    np.savez(tmp_path / "short.npz", x=x, labels=labels[:1])
    np.savez(tmp_path / "wide.npz", x=np.zeros((2, 6, 5), int), labels=labels)
