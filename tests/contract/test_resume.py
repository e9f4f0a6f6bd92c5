"""A run that is killed, wherever that is, ends as if it had never been: same weights, same optimiser, same logs."""

import dataclasses
import errno
import json
import random
from pathlib import Path

import pytest
import torch

from pumice.data import load_digits
from pumice.errors import InputError
from pumice.train import PRESETS, load_checkpoint, train

# All that draws on chance or needs a place within the epoch: noise, augmentation, dropout, accumulation, momenta.
SETTINGS = [
    "name=killed",
    "data.max_train=104",
    "data.max_test=20",
    "data.steps=4",
    'data.augment={"RandomCrop": {"size": 8, "padding": 1}}',
    "data.validation=0.2",
    "network.name=feedforward",
    'network.args={"layers": "4c3s2-16", "dropout": 0.3, "delay": true}',
    "training.epochs=2",
    "training.finetune_epochs=1",
    "training.batch_size=8",
    "training.accumulate=2",
    "training.clip_norm=1.0",
    'training.regularizers={"activity": {}, "synaptic_events": {}}',
    "training.checkpoint_every_steps=1",
    "training.ema=0.8",
    "training.mixup=0.5",
    "training.cutmix=1.0",
    "training.mixing_until=0.5",
    "training.no_augment_epochs=1",
]

# Forks a child for each attempt, kills it some checkpoints and moments later; the last one finishes. Then the same
# from the command line, killed at its first checkpoint.
KILLER = """
import json, os, signal, sys, time
from pathlib import Path
from pumice.cli import entry_point
from pumice.data import load_digits
from pumice.train import PRESETS, load_checkpoint, train
settings, kills = json.loads(sys.argv[2]), json.loads(sys.argv[3])

def forked(work):
    child = os.fork()
    if not child:
        work()
        os._exit(0)
    return child

def attempt(path, work, checkpoints, moment):
    child = forked(work)
    seen, before, status = 0, path.stat().st_ino if path.exists() else 0, (0, 0)
    while checkpoints is not None and seen < checkpoints and not status[0]:
        now = path.stat().st_ino if path.exists() else 0
        seen, before, status = seen + (now != before), now, os.waitpid(child, os.WNOHANG)
        time.sleep(0.001)
    if checkpoints is not None and not status[0]:
        time.sleep(moment)
        os.kill(child, signal.SIGKILL)
    return (status if status[0] else os.waitpid(child, 0))[1]

path = Path(sys.argv[1]) / "run" / "checkpoint.pt"
recipe, digits = PRESETS["digits"].overridden(settings), load_digits()

def resume():
    train(recipe, digits, checkpoint_path=path, resume_from=load_checkpoint(path) if path.exists() else None)

killed = sum(os.WIFSIGNALED(attempt(path, resume, *kill)) for kill in [*kills, (None, None)])

by_command = Path(sys.argv[1]) / "command" / "checkpoint.pt"
command = ["pumice", "train", "digits", "--resume", "-o", str(by_command)]

def call():
    sys.argv = command + [word for setting in settings for word in ("--set", setting)]
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    entry_point()

first = attempt(by_command, call, 1, 0)
steps = forked(lambda: os._exit(min(255, load_checkpoint(by_command).position.steps)))
steps = os.waitstatus_to_exitcode(os.waitpid(steps, 0)[1])
second = attempt(by_command, call, None, None)
print(json.dumps({"killed": killed, "steps": steps, "first": os.WIFSIGNALED(first), "second": second}))
"""


@pytest.fixture(scope="module")
def recipe():
    return PRESETS["digits"].overridden(SETTINGS)


@pytest.fixture(scope="module")
def digits():
    return load_digits()


@pytest.fixture(scope="module")
def uninterrupted(recipe, digits, tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "checkpoint.pt"
    train(recipe, digits, checkpoint_path=path)
    return path


def assert_same_run(path, expected):
    got, want = load_checkpoint(path), load_checkpoint(expected)
    assert got.history == want.history
    assert got.position.steps == want.position.steps
    assert_same_bits(got.model_state, want.model_state)
    assert_same_bits(got.optimizer_state, want.optimizer_state)
    for log in ("steps.csv", "epochs.csv"):
        assert (path.parent / log).read_bytes() == (expected.parent / log).read_bytes()


def assert_same_bits(got, want):
    if isinstance(want, torch.Tensor):
        assert torch.equal(got, want)
    elif isinstance(want, dict):
        assert got.keys() == want.keys()
        for key in want:
            assert_same_bits(got[key], want[key])
    elif isinstance(want, list):
        assert len(got) == len(want)
        for a, b in zip(got, want, strict=True):
            assert_same_bits(a, b)
    else:
        assert got == want


@pytest.fixture(scope="module")
def killer(tmp_path_factory, run_warm):
    """The folder of the runs that were killed, and what `KILLER` says about them."""
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed of the times: {seed}")
    times = random.Random(seed)
    kills = [(times.randint(1, 8), times.uniform(0, 0.05)) for _ in range(5)]
    folder = tmp_path_factory.mktemp("killed")
    done = run_warm(KILLER, str(folder), json.dumps(SETTINGS), json.dumps(kills), folder=folder, timeout=600)
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout.splitlines()[-1])


def test_killed_at_random_times(uninterrupted, killer):
    folder, seen = killer
    assert seen["killed"] >= 1, "every attempt finished before it was killed"
    assert_same_run(folder / "run/checkpoint.pt", uninterrupted)
    assert sorted(p.name for p in (folder / "run").iterdir()) == ["checkpoint.pt", "epochs.csv", "steps.csv"]


def test_the_command_line_resumes(uninterrupted, killer):
    folder, seen = killer
    assert seen["first"]
    assert seen["second"] == 0
    assert 0 < seen["steps"] < load_checkpoint(uninterrupted).position.steps
    assert_same_run(folder / "command/checkpoint.pt", uninterrupted)


def test_how_often_checkpoints_are_written_changes_nothing(recipe, uninterrupted, digits, tmp_path):
    path = tmp_path / "checkpoint.pt"
    train(recipe.overridden(["training.checkpoint_every_steps=null"]), digits, checkpoint_path=path)
    assert_same_run(path, uninterrupted)


def test_workers_change_nothing(recipe, uninterrupted, digits, tmp_path):
    path = tmp_path / "checkpoint.pt"
    train(recipe.overridden(["data.workers=2"]), digits, checkpoint_path=path)
    assert_same_run(path, uninterrupted)


@pytest.mark.parametrize("lost", ["torch_rng", "learning", "steps"])
def test_a_planted_defect_is_seen(recipe, uninterrupted, digits, tmp_path, lost):
    """The comparison fails if only dropout's generator, the weights that learn, or the average's age are lost."""
    path = tmp_path / "checkpoint.pt"

    class StopError(Exception):
        pass

    calls = []

    def stop():
        calls.append(1)
        if len(calls) == 6:
            raise StopError

    with pytest.raises(StopError):
        train(recipe, digits, checkpoint_path=path, on_batch=stop)
    checkpoint = load_checkpoint(path)
    assert checkpoint.position.batches > 0
    if lost == "torch_rng":
        checkpoint.position.torch_rng = None
    else:
        assert checkpoint.learning.steps == checkpoint.position.steps
        learning = None if lost == "learning" else checkpoint.learning._replace(steps=0)
        checkpoint = dataclasses.replace(checkpoint, learning=learning)
    train(recipe, digits, checkpoint_path=path, resume_from=checkpoint)
    with pytest.raises(AssertionError):
        assert_same_run(path, uninterrupted)


@pytest.mark.parametrize("victim", ["checkpoint.pt", "epochs.csv", "steps.csv"])
def test_a_full_disk_leaves_the_last_checkpoint(  # noqa: PLR0917
    recipe, uninterrupted, digits, tmp_path, monkeypatch, victim
):
    path = tmp_path / "checkpoint.pt"
    write_bytes, write_text, opened = Path.write_bytes, Path.write_text, Path.open
    writes = []

    def is_full(file):
        if victim in file.name:
            writes.append(file)
        return victim in file.name and len(writes) > 2

    def full_write(original):
        def write(file, data, *args, **kwargs):
            if is_full(file):
                original(file, data[: len(data) // 2], *args, **kwargs)
                raise OSError(errno.ENOSPC, "No space left on device")
            return original(file, data, *args, **kwargs)

        return write

    def full_open(file, mode="r", *args, **kwargs):
        if mode == "ab" and is_full(file):
            raise OSError(errno.ENOSPC, "No space left on device")
        return opened(file, mode, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full_write(write_bytes))
        patch.setattr(Path, "write_text", full_write(write_text))
        patch.setattr(Path, "open", full_open)
        with pytest.raises(InputError, match=rf"{victim}: cannot be written \(No space left on device\)"):
            train(recipe, digits, checkpoint_path=path)
    checkpoint = load_checkpoint(path)
    assert checkpoint.position.steps > 0
    train(recipe, digits, checkpoint_path=path, resume_from=checkpoint)  # there is room again
    assert_same_run(path, uninterrupted)


def test_a_loss_that_is_not_finite_leaves_the_last_checkpoint(recipe, uninterrupted, digits, tmp_path, monkeypatch):
    path = tmp_path / "checkpoint.pt"
    from pumice.train import losses

    forward, calls = losses.SpikeCountCrossEntropyLoss.forward, []

    def diverge(self, spikes, labels):
        calls.append(1)  # twice for each batch: for both labels of a mixed image
        return forward(self, spikes, labels) * (float("nan") if len(calls) == 15 else 1.0)

    with monkeypatch.context() as patch:
        patch.setattr(losses.SpikeCountCrossEntropyLoss, "forward", diverge)
        with pytest.raises(InputError, match=r"training diverged: the loss is nan .* in float epoch 1, batch 8"):
            train(recipe, digits, checkpoint_path=path)
    checkpoint = load_checkpoint(path)
    assert all(torch.isfinite(value).all() for value in checkpoint.model_state.values())
    train(recipe, digits, checkpoint_path=path, resume_from=checkpoint)
    assert_same_run(path, uninterrupted)


def test_a_log_that_was_lost_begins_anew(recipe, uninterrupted, digits, tmp_path):
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(uninterrupted.read_bytes())
    checkpoint = load_checkpoint(path)
    checkpoint = type(checkpoint)(
        checkpoint.recipe, checkpoint.excerpt, checkpoint.history[:-1], checkpoint.model_state,
        checkpoint.optimizer_state, checkpoint.position,
    )  # fmt: skip
    with pytest.warns(UserWarning, match=r"steps\.csv: is not the log"):
        train(recipe, digits, checkpoint_path=path, resume_from=checkpoint)
    assert (tmp_path / "steps.csv").read_text().startswith("step,phase,epoch,batch,lr,loss,accuracy\n")
