import json
import time

import pytest

pytest.importorskip("optuna")

from pumice.cli.sweep import _without_submit
from pumice.sweep import Trial

SMALL = (
    "--set data.max_train=200 --set data.max_test=10 --set data.validation=0.5 --set data.steps=2 "
    "--set training.epochs=1 --set training.finetune_epochs=0 -o out"
)
OVER = "--over training.lr=1e-3..1e-1 neuron.threshold=0.5,1.0"


def test_a_sweep_prints_a_table_and_goes_on(command, tmp_path):
    code, out, err = command(f"sweep digits {OVER} --trials 1 {SMALL}")
    assert code == 0
    assert "(best)" in out
    assert "pumice lower out/trial-0000/checkpoint.pt" in out
    assert err.startswith("trial 0: 0.")
    assert (tmp_path / "out" / "sweep.svg").exists()
    code, out, _ = command(f"sweep digits {OVER} --trials 1 {SMALL} --json")
    assert (code, len(json.loads(out)["trials"]), json.loads(out)["best"]) == (0, 1, 0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--over training.lr", "expected KEY="),
        (f"{OVER} --trials 0", "--trials must be at least 1"),
        (f"{OVER} --submit 1 --submit-option x", "expected NAME=VALUE"),
    ],
)
def test_bad_options(options, words, command):
    code, _, err = command(f"sweep digits {options} {SMALL}")
    assert (code, words in err) == (2, True)


def test_a_sweep_of_which_nothing_comes_says_so(command, tmp_path):
    wanted = "--set training.loss=count_margin --set training.loss_args.false_count=0"  # no sample has 50 spikes
    code, out, err = command(f"sweep digits --over training.loss_args.true_count=50,60 {wanted} --trials 2 {SMALL}")
    assert (code, out.count("spikes do not fit")) == (2, 2)
    assert err.endswith("no trial could be trained; what each ended in is said above, and in out\n")


def test_a_process_for_which_nothing_is_left_is_no_failure(command, monkeypatch):
    """Others may still train."""
    monkeypatch.setattr("pumice.sweep.Sweep._next", lambda self, n: None)
    monkeypatch.setattr("pumice.sweep.Sweep.trials", lambda self: [Trial(0, {"training.lr": 0.1}, None)])
    code, _, err = command(f"sweep digits {OVER} --trials 1 {SMALL}")
    assert (code, err) == (0, "")


def test_jobs_run_the_command_without_submitting():
    given = [
        "sweep",
        "a",
        "--submit",
        "2",
        "--over",
        "x=1,2",
        "--submit-option=timeout_min=3",
        "--submit-option",
        "b=c",
    ]
    assert _without_submit(given) == ["sweep", "a", "--over", "x=1,2"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
def test_a_job_of_submitit_works_on_the_sweep(command, tmp_path, monkeypatch):
    pytest.importorskip("submitit")
    arguments = f"sweep digits {OVER} --trials 1 {SMALL} --submit 1 --submit-option cluster=local"
    monkeypatch.setattr("sys.argv", ["pumice", *arguments.split()])
    code, out, _ = command(arguments)
    assert (code, out.startswith("submitted ")) == (0, True)
    while not [*(tmp_path / "out" / "jobs").glob("*_result.pkl")]:
        time.sleep(0.2)
    assert (tmp_path / "out" / "sweep.svg").exists()
