import numpy as np
import pytest

import pumice
from pumice.train import load_checkpoint

TINY = (
    " --set data.max_train=96 --set data.max_test=20 --set data.steps=4 --set training.epochs=1"
    " --set training.finetune_epochs=1 --set network.args.channels=[4] --set network.args.strides=[2]"
)


def test_train_then_lower(command, tmp_path):
    code, out, err = command("train digits" + TINY)
    assert code == 0, err
    assert out.startswith("runs/digits/checkpoint.pt: 2 epochs, test accuracy ")
    assert out.endswith("\npumice lower runs/digits/checkpoint.pt -o digits.net\n")
    assert "float 1: loss" in err

    code, out, err = command("lower runs/digits/checkpoint.pt -o a.net --plan")
    assert code == 0, err
    planned, _, out = out.rpartition("\na.net")
    assert planned.startswith("input 0..16\nlayer ")
    assert "a.net" + out == "a.net: 2 populations, 74 neurons, latency 2, period 4, with certificate\n"
    graph = pumice.load(tmp_path / "a.net")
    assert "chip" not in graph.info
    assert command("lower runs/digits/checkpoint.pt -o b.net --no-chip")[0] == 0
    assert pumice.load(tmp_path / "b.net").info["chip"].startswith("none: ")
    pumice.verify(graph)
    assert (
        graph.info["accuracy_deployed"]
        == f"{load_checkpoint('runs/digits/checkpoint.pt').history[-1].test_accuracy:.4f}"
    )


def test_a_recipe_file_and_its_name(command, tmp_path):
    (tmp_path / "mine.json").write_text('{"name": "mine", "seed": 3}')
    code, _, err = command("train mine.json" + TINY)
    assert code == 0, err
    assert load_checkpoint(tmp_path / "runs" / "mine" / "checkpoint.pt").recipe.seed == 3


def test_a_finished_run_is_kept_and_can_be_resumed(command, refused):
    assert command("train digits -o a.pt" + TINY)[0] == 0
    assert "--resume" in refused("train digits -o a.pt" + TINY)
    assert command("train digits -o a.pt --resume" + TINY)[0] == 0
    assert "training.lr differ" in refused("train digits -o a.pt --resume --set training.lr=1" + TINY)


def test_a_diverging_run_ends_with_code_2_and_no_checkpoint(command, tmp_path):
    code, out, err = command("train digits --set training.lr=1e10 -o a.pt" + TINY)
    assert (code, out) == (2, "")
    assert "pumice: error: training diverged: " in err
    assert " in float epoch 1, batch 2 of 2, step 2; use a smaller learning rate" in err
    assert not (tmp_path / "a.pt").exists()


@pytest.mark.parametrize(
    ("when", "message"),
    [
        ("batch", "interrupted; nothing is written yet\n"),
        (
            "epoch",
            "interrupted; the same with --resume goes on from runs/digits/checkpoint.pt\n",
        ),
    ],
)
def test_ctrl_c_says_how_to_go_on(command, monkeypatch, when, message):
    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(f"pumice.cli.progress.TrainingProgress.{when}", stop)
        code, out, err = command("train digits" + TINY)
    assert (code, out) == (2, "")
    assert err.endswith(message)
    assert command("train digits --resume" + TINY)[0] == 0


def test_resume_without_a_checkpoint_starts(command):
    assert command("train digits --resume" + TINY)[0] == 0


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("train nowhere.json", "unknown preset or file 'nowhere.json'; there are: "),
        ("train digits --set data.augment.Blur={} -o q/d.pt", "there is no 'Blur' for images"),
        ("train digits --set training.loss_args.speed=1 -o q/d.pt", "its arguments are"),
        ("lower nowhere.pt -o a.txt", "a.txt: the name of a network file must end in .net"),
        ("train digits --set training.epochs=0", "training.epochs"),
        ("train digits --set data.dataset=mnist", "--data-root"),
        ("train digits --set data.dataset=mnist --data-root nowhere", "no such folder"),
        ("train fsdd", "--data-root DIR with train.npz, test.npz"),
        ("train digits --set data.args.speaker=1", "takes no argument speaker"),
        ("train digits --set data.encoding=time", "is not for images, which digits holds"),
        ("train digits --set training.loss=hinge", "training.loss"),
        ("train digits --set compute.devices=2", "torchrun"),
        ("train digits --set data.folds=2 --set data.fold=2", "data.fold in 0..folds - 1"),
        ("train digits --set network.name=perceptron", "there are: convnet"),
        ("train", "RECIPE"),
        ("lower nowhere.pt -o a.net", "no such file"),
        ("lower nowhere.pt", "--output"),
    ],
)
def test_bad_input(refused, line, message):
    assert message in refused(line)


def test_a_file_that_is_no_checkpoint(refused, tmp_path):
    (tmp_path / "a.pt").write_bytes(b"nonsense")
    expected = "pumice: error: a.pt: is no checkpoint of `pumice train`, or is damaged"
    assert refused("lower a.pt -o a.net") == refused("train digits --resume -o a.pt") == f"{expected}\n"


def test_a_network_file_is_no_checkpoint(refused, net):
    assert refused("lower a.net -o b.net").endswith("a network that is lowered already is read by `pumice run`\n")


def test_events_from_a_folder(command, tmp_path, rng):
    for name, n in (("train", 20), ("test", 6)):
        counts = rng.integers(50, 100, n)
        events = {field: rng.integers(0, 34, counts.sum()).astype(np.uint8) for field in "xy"}
        events["p"] = rng.integers(0, 2, counts.sum()).astype(np.uint8)
        events["t"] = np.concatenate([np.sort(rng.integers(0, 300_000, count)) for count in counts])
        np.savez(tmp_path / f"{name}.npz", **events, offsets=np.cumsum([0, *counts]), label=np.arange(n) % 10)
    settings = ["data.steps=4", "training.epochs=1", "training.finetune_epochs=1", "network.args.layers=2c3s4"]
    line = f"train nmnist --data-root {tmp_path} " + " ".join(f"--set {setting}" for setting in settings)
    code, out, err = command(line)
    assert code == 0, err
    assert out.startswith("runs/nmnist/checkpoint.pt: 2 epochs, test accuracy ")
    assert sorted(p.name for p in (tmp_path / "runs" / "nmnist").iterdir()) == [
        "checkpoint.pt",
        "epochs.csv",
        "steps.csv",
    ]
    code, out, err = command("lower runs/nmnist/checkpoint.pt -o a.net")
    assert code == 0, err
    assert "a subset: 20 to train with, 6 held back" in pumice.load(tmp_path / "a.net").info["data"]


def test_only_the_first_process_prints(command, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    code, out, err = command("train digits" + TINY)
    assert (code, out, err) == (0, "", "")
