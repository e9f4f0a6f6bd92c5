"""Two processes that share each batch train the network that one process trains, up to rounding."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pumice.data import load_digits
from pumice.errors import InputError
from pumice.train import PRESETS, load_checkpoint, train

# float32 sums are taken in another order; no spike flips over these few steps, and weights differ by 1e-8.
TOLERANCE = 1e-5
SETTINGS = [
    "data.max_train=96",
    "data.max_test=21",
    "data.steps=4",
    "data.validation=0.2",
    'data.augment={"RandomCrop": {"size": 8, "padding": 1}}',
    "network.args.channels=[4]",
    "network.args.strides=[2]",
    "training.epochs=2",
    "training.finetune_epochs=1",
    "training.batch_size=25",  # 19 samples a batch: one process has 10, the other 9
    "training.accumulate=2",
    "training.clip_norm=1.0",
    "training.lr=1e-3",
    "training.sample_boosting=0.5",
    "training.ema=0.8",
    "training.class_weights=[1, 5, 0.2, 2, 1, 1, 0.5, 3, 1, 1]",
    'training.regularizers={"synaptic_events": {}}',
]
SCRIPT = Path(__file__).with_name("two_processes.py")


def launch_two(*tasks):
    """Have two processes do what `two_processes.py` calls so."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(SCRIPT)]
    return subprocess.run([*command, json.dumps(tasks)], capture_output=True, text=True, check=False, timeout=300)


def free_port():
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return free.getsockname()[1]


FORK_TWO = """
import os, runpy, sys, torch
torch.set_num_threads(1)
children = []
for rank in "01":
    children.append(os.fork())
    if not children[-1]:
        os.environ |= {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
        runpy.run_path(sys.argv.pop(1), run_name="__main__")
        sys.exit()
sys.exit(any([os.waitpid(child, 0)[1] for child in children]))
"""


def fork_two(run_warm, folder, *tasks):
    """As `launch_two`, with what torchrun tells its processes, but not torchrun: nothing is imported anew."""
    where = {"MASTER_ADDR": "localhost", "MASTER_PORT": str(free_port())}
    return run_warm(FORK_TWO, str(SCRIPT), json.dumps(tasks), folder=folder, timeout=300, **where)


def launch_two_nodes(*tasks):
    """The same with a process on each of two nodes, each of which has its own torchrun and stands for a machine."""
    endpoint = f"localhost:{free_port()}"
    rendezvous = ["--nnodes", "2", "--rdzv-backend", "c10d", "--rdzv-endpoint", endpoint, "--rdzv-id", "pumice"]
    command = [sys.executable, "-m", "torch.distributed.run", *rendezvous, "--nproc-per-node", "1", str(SCRIPT)]
    nodes = [
        subprocess.Popen([*command, json.dumps(tasks)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    return [(*node.communicate(timeout=300), node.returncode) for node in nodes]


def training(path, defect="none", settings=SETTINGS, devices=2):
    return "train", defect, str(path), [*settings, f"compute.devices={devices}"]


def train_with_two(path, defect="none", settings=SETTINGS):
    done = launch_two(training(path, defect, settings))
    assert done.returncode == 0, done.stderr
    return load_checkpoint(path)


@pytest.fixture(scope="module")
def two(tmp_path_factory, run_warm):
    """The folder of the training of two processes, and what the two did: all tests ask this one launch."""
    folder = tmp_path_factory.mktemp("two")
    again = training(folder / "again" / "checkpoint.pt", settings=[*SETTINGS, "compute.checkpointing=true"])
    resumed = ("resume", *training(folder / "resumed" / "checkpoint.pt")[1:])
    finished = training(folder / "unlike" / "finished.pt")
    unlike = ("unlike", *training(folder / "unlike" / "checkpoint.pt")[1:])
    first = training(folder / "checkpoint.pt")
    tasks = (first, ("norms", "none"), ("loop", "none"), again, resumed, finished, unlike)
    return folder, fork_two(run_warm, folder, *tasks)


def assert_both_did(task, done, times=1):
    assert done.stdout.count(f"done: {task}") == 2 * times, done.stderr


def largest_difference(a, b):
    assert a.model_state.keys() == b.model_state.keys()
    return max(float((a.model_state[k].double() - b.model_state[k].double()).abs().max()) for k in a.model_state)


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    path = tmp_path_factory.mktemp("one") / "checkpoint.pt"
    train(PRESETS["digits"].overridden(SETTINGS), load_digits(), checkpoint_path=path)
    return load_checkpoint(path)


def test_two_processes_give_the_network_of_one(one, two):
    folder, done = two
    assert_both_did("train", done, times=3)
    two = load_checkpoint(folder / "checkpoint.pt")
    assert largest_difference(one, two) < TOLERANCE
    for mine, theirs in zip(one.history, two.history, strict=True):
        assert (mine.train_accuracy, mine.test_accuracy) == (theirs.train_accuracy, theirs.test_accuracy)
        assert mine.loss == pytest.approx(theirs.loss, rel=TOLERANCE)
        assert mine.firing_rates == pytest.approx(theirs.firing_rates, rel=TOLERANCE)
    assert (one.position.samples.weights > 1).any()
    assert torch.equal(one.position.samples.weights, two.position.samples.weights)
    log = (folder / "steps.csv").read_text().splitlines()
    assert len(log) == 1 + two.position.steps  # written by one process


def test_so_they_do_where_activations_are_computed_again(one, two):
    """The norms bring their statistics together twice, and note them once."""
    again = load_checkpoint(two[0] / "again" / "checkpoint.pt")
    assert largest_difference(one, again) < TOLERANCE
    assert again.history[0].firing_rates == pytest.approx(one.history[0].firing_rates, rel=TOLERANCE)


def test_two_processes_that_stopped_within_an_epoch_go_on_bit_for_bit(two):
    folder, done = two
    assert_both_did("resume", done)
    whole, resumed = (load_checkpoint(folder / name / "checkpoint.pt") for name in (".", "resumed"))
    assert largest_difference(whole, resumed) == 0
    assert resumed.history == whole.history
    assert (folder / "resumed" / "steps.csv").read_bytes() == (folder / "steps.csv").read_bytes()


def test_two_processes_that_begin_with_something_else_are_refused(two):
    """Torch had averaged the gradients of two trainings, or had waited for ever."""
    assert_both_did("unlike", two[1])


@pytest.mark.slow  # what differs is how processes find each other, which is torch's
def test_two_nodes_of_one_process_each_give_the_network_of_one(one, tmp_path):
    path = tmp_path / "checkpoint.pt"
    done = launch_two_nodes(training(path, devices=1), ("norms", "none"))
    for output, errors, code in done:
        assert code == 0, errors
        assert "done: train" in output
        assert "done: norms" in output
    two = load_checkpoint(path)
    assert largest_difference(one, two) < TOLERANCE
    assert torch.equal(one.position.samples.weights, two.position.samples.weights)


@pytest.mark.slow  # the planted defect of the first test
def test_statistics_of_each_process_alone_would_be_seen(one, tmp_path):
    two = train_with_two(tmp_path / "checkpoint.pt", defect="own statistics")
    assert largest_difference(one, two) > 10 * TOLERANCE


def test_the_processes_must_be_those_of_the_recipe():
    recipe = PRESETS["digits"].overridden([*SETTINGS, "compute.devices=2"])
    with pytest.raises(InputError, match=r"compute\.devices=2, but 1 process\(es\) were started.*torchrun"):
        train(recipe, load_digits())


def test_norms_of_two_processes_are_those_of_one(two):
    """TDBN with both variances and the bias-free norm: values, gradients and running estimates; and two defects."""
    assert_both_did("norms", two[1])


MIXER = [
    *SETTINGS[:4],
    "network.name=stmixer",
    'network.args={"embed_dim": 16, "depth": 2, "heads": 2, "bias": false, "short_path": false, "surrogates": true}',
    "neuron.threshold=1.0",
    "neuron.voltage_decay=0.5",
    "training.epochs=2",
    "training.finetune_epochs=1",
    "training.batch_size=25",
    "training.lr=1e-4",
    "training.loss=surrogate_module",
]


@pytest.mark.slow
def test_a_mixer_with_surrogate_modules_is_shared_too(tmp_path):
    """Surrogate modules answer in each process, and stand aside while the integers are fine-tuned."""
    path = tmp_path / "one.pt"
    train(PRESETS["digits"].overridden(MIXER), load_digits(), checkpoint_path=path)
    one, two = load_checkpoint(path), train_with_two(tmp_path / "two.pt", settings=MIXER)
    assert two.history[0].loss == pytest.approx(one.history[0].loss, rel=1e-3)
    assert two.is_deployed


def test_a_loop_of_ones_own_with_torchs_defaults(two):
    """Buffers are sent from process to process in each step: none may hold what belongs to a batch."""
    assert_both_did("loop", two[1])
    assert two[1].returncode == 0, two[1].stderr


@pytest.mark.slow  # the planted defect of the test above
def test_norms_of_each_process_alone_would_be_seen():
    done = launch_two(("loop", "norms apart"))
    assert done.returncode != 0
    assert "not what one process gives" in done.stderr
