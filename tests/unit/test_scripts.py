"""The scripts that make the tutorials' figures run."""

import importlib
import json
import runpy
import sys

import numpy as np
import pytest
import torch
from scipy.stats import rankdata

from pumice.data import load_digits
from pumice.train import train


@pytest.fixture
def script(request, monkeypatch):
    monkeypatch.setattr(torch, "set_num_threads", lambda n: None)  # would outlive the test
    monkeypatch.syspath_prepend(request.config.rootpath / "benchmarks")

    def run(name, *arguments):
        path = request.config.rootpath / name
        monkeypatch.setattr(sys, "argv", [str(path), *map(str, arguments)])
        runpy.run_path(str(path), run_name="__main__")

    return run


def test_a_trainings_curve(script, tiny_recipe, tmp_path):
    train(tiny_recipe, load_digits(), checkpoint_path=tmp_path / "checkpoint.pt")
    script("scripts/plot_training.py", tmp_path / "checkpoint.pt", "--output", tmp_path / "curve.svg")
    drawn = (tmp_path / "curve.svg").read_text()
    assert drawn.startswith("<?xml")
    script("scripts/plot_training.py", tmp_path / "checkpoint.pt", "--output", tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_gradients_reach_the_first_of_34_layers_better_with_tdbn(script, tmp_path, capsys):
    script("benchmarks/depth.py", "--layers", 34, "--samples", 64, "--epochs", 0, "--plot", tmp_path / "depth.svg")
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[2:]]
    assert [row[:2] for row in rows] == [["34", "tdBN"], ["34", "none"]]
    tdbn, none = (float(row[2]) for row in rows)
    assert 1 > tdbn > 2 * none > 0
    assert (tmp_path / "depth.svg").exists()


def test_the_gpu_script_runs_to_its_end_without_one(script, tmp_path, capsys):
    script("benchmarks/gpu.py", "--toy", "--systems", "pumice,STMixer T=4", "--out", tmp_path)
    told = capsys.readouterr().out
    assert told.count("samples/s, ") + told.count("samples/s\n") == 2
    assert told.count("float ") == 2
    assert "4 random graphs on the reference" in told
    assert "samples/s on torch and fast, every state of 2 equal" in told
    assert torch.cuda.is_available() or "not measured: no GPU" in told
    script("benchmarks/gpu.py", "--join", tmp_path)
    shapes = json.loads((tmp_path / "shapes.json").read_text())
    weights = torch.load(tmp_path / "weights.pt")
    assert {name: list(tensor.shape) for name, tensor in weights.items()} == shapes
    assert all(tensor.isfinite().all() for tensor in weights.values())
    assert sum(tensor.numel() for tensor in weights.values()) > 50_000


def test_the_gpu_script_writes_weights_in_parts(request, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(request.config.rootpath / "benchmarks")
    training = importlib.import_module("gpu_training")
    monkeypatch.setattr(training, "PART_BYTES", 400)
    model = torch.nn.Linear(30, 10)
    training.save(model, tmp_path)
    parts = [path.stat().st_size for path in tmp_path.glob("part*.npy")]
    assert (len(parts), max(parts)) == (5, 400)
    weights = torch.load(training.join(tmp_path))
    assert weights.keys() == model.state_dict().keys()
    assert all(torch.equal(weights[name], tensor) for name, tensor in model.state_dict().items())


@pytest.mark.filterwarnings("ignore::pumice.errors.PumiceWarning")  # untrained, layers are silent
def test_the_gpu_script_trains_other_presets(script, tmp_path, capsys):
    script("benchmarks/gpu.py", "--toy", "--only", "train", "--recipe", "cifar10-stmixer-256", "--out", tmp_path)
    assert capsys.readouterr().out.count("float ") == 2
    assert json.loads((tmp_path / "recipe.json").read_text())["name"] == "cifar10-stmixer-256"
    with pytest.raises(SystemExit, match="no size for digits; it takes presets for CIFAR-10 of resnet, stmixer"):
        script("benchmarks/gpu.py", "--toy", "--only", "train", "--recipe", "digits", "--out", tmp_path)
    with pytest.raises(SystemExit, match="train: unknown preset or file 'nope'"):
        script("benchmarks/gpu.py", "--toy", "--only", "train", "--recipe", "nope", "--out", tmp_path)
    with pytest.raises(SystemExit, match="there is no Jelly; there are: pumice, SpikingJelly, integers"):
        script("benchmarks/gpu.py", "--toy", "--only", "steps", "--systems", "pumice,Jelly", "--out", tmp_path)


def test_three_rules_on_the_same_network(script, tmp_path, capsys):
    few = ("data.max_train=96", "data.max_test=20", "training.epochs=1", "data.steps=6")
    settings = [part for setting in few for part in ("--set", setting)]
    script("scripts/compare_rules.py", "digits", *settings, "--plot", tmp_path / "rules.svg")
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    assert [row[:2] for row in rows] == [["digits", "SLAYER"], ["digits", "STBP"], ["digits", "HM2-BP"]]
    differ, milliseconds, spikes = ([float(row[column]) for row in rows] for column in (-4, -3, -2))
    assert differ == [0, 0, 0]
    assert min(milliseconds) > 0
    assert all(0 < n < 6 * 266 for n in spikes)
    assert len({row[2] for row in rows} | {row[-2] for row in rows}) > 2  # they are three trainings
    assert (tmp_path / "rules.svg").exists()


@pytest.mark.slow
@pytest.mark.lava
def test_ablations_of_a_mixer_are_exact(script, tmp_path, capsys):
    few = ("data.max_train=128", "data.max_test=20", "training.epochs=1", "training.finetune_epochs=1")
    settings = [part for setting in few for part in ("--set", setting)]
    script("scripts/ablate_stmixer.py", "digits-stmixer", *settings, "--plot", tmp_path / "ablation.svg")
    rows = capsys.readouterr().out.splitlines()[1:]
    assert len(rows) == 6
    assert all(row.split()[-2] == "0" for row in rows)
    assert (tmp_path / "ablation.svg").exists()


def test_self_normalizing_networks_are_ranked_among_the_others(script, capsys):
    few = ("--depths", 2, "--width", 16, "--folds", 2, "--steps", 15, "--data", "iris", "--jobs", 1)
    script("scripts/compare_selfnorm.py", *few)
    rows = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines() if line}
    accuracy, here, paper = (np.array(rows[name], float) for name in ("iris", "here", "paper"))
    assert len(accuracy) == len(paper) == 5
    assert 50 < accuracy.min() < accuracy.max() <= 100
    np.testing.assert_allclose(here, rankdata(-accuracy) - 3)
    np.testing.assert_allclose(np.array(rows["2"], float), accuracy)  # there is one depth only
    assert rows["20"][0] == "networks,"  # 5 methods, 2 folds, 2 learning rates


def test_chains_without_a_norm_begin_with_rates_where_moments_are_kept(script, capsys):
    script("scripts/compare_initializations.py", "--layers", 6, "--width", 48, "--steps", 2, "--epochs", 0)
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[2:]]
    last = {" ".join(row[1:-5]): float(row[-3]) for row in rows}
    assert list(last) == ["tdBN", "plain", "by data", "moments"]
    assert last["plain"] < 0.01
    assert all(0.05 < last[name] < 0.3 for name in ("tdBN", "by data", "moments")), last


def test_a_training_step_is_checked_before_it_is_timed(request, monkeypatch, capsys):
    monkeypatch.syspath_prepend(request.config.rootpath / "benchmarks")
    found = runpy.run_path(str(request.config.rootpath / "benchmarks/train_step.py"))

    def small(blocks):
        return torch.nn.Sequential(
            blocks.Dense(dict(found["LIF"]), 50, 20, weight_scale=3, delay_shift=False),
            blocks.Dense(dict(found["LIF"]), 20, 10, weight_scale=3, delay_shift=False),
        )

    def events():
        return (torch.rand(3, 50, 20) < 0.3).float()

    found["CASES"]["mlp"] = (small, events)
    for compare in ("compare", "compare_rules", "compare_delays"):
        found[compare]("mlp", 1)
    shown = capsys.readouterr().out
    assert shown.count("all equal") == 2
    assert "gradient against the double sum" in shown
    assert "double sum " in shown
