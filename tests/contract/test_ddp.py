"""Two processes that share each batch train the network that one process trains, up to rounding."""

import json
import subprocess
import sys

import pytest

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
    'training.regularisers={"synaptic_events": {}}',
]
SCRIPT = """
import json, sys
from pumice.data import load_digits
from pumice.train import PRESETS, load_checkpoint, loop, train
path, settings, defect = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3]
if defect == "own statistics":
    loop.synchronise_norms = lambda model: None
recipe = PRESETS["digits"].overridden(settings)
train(recipe, load_digits(), checkpoint_path=path)
"""


def train_with_two(path, defect="none", settings=SETTINGS):
    script = path.parent / "train_two.py"
    script.write_text(SCRIPT)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    command += [str(path), json.dumps([*settings, "compute.devices=2"]), defect]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return load_checkpoint(path)


def largest_difference(a, b):
    assert a.model_state.keys() == b.model_state.keys()
    return max(float((a.model_state[k].double() - b.model_state[k].double()).abs().max()) for k in a.model_state)


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    path = tmp_path_factory.mktemp("one") / "checkpoint.pt"
    train(PRESETS["digits"].overridden(SETTINGS), load_digits(), checkpoint_path=path)
    return load_checkpoint(path)


def test_two_processes_give_the_network_of_one(one, tmp_path):
    two = train_with_two(tmp_path / "checkpoint.pt")
    assert largest_difference(one, two) < TOLERANCE
    for mine, theirs in zip(one.history, two.history, strict=True):
        assert (mine.train_accuracy, mine.test_accuracy) == (theirs.train_accuracy, theirs.test_accuracy)
        assert mine.loss == pytest.approx(theirs.loss, rel=TOLERANCE)
        assert mine.firing_rates == pytest.approx(theirs.firing_rates, rel=TOLERANCE)
    log = (tmp_path / "steps.csv").read_text().splitlines()
    assert len(log) == 1 + two.position.steps  # written by one process


def test_statistics_of_each_process_alone_would_be_seen(one, tmp_path):
    two = train_with_two(tmp_path / "checkpoint.pt", defect="own statistics")
    assert largest_difference(one, two) > 10 * TOLERANCE


def test_the_processes_must_be_those_of_the_recipe():
    recipe = PRESETS["digits"].overridden([*SETTINGS, "compute.devices=2"])
    with pytest.raises(InputError, match=r"compute\.devices=2, but 1 process\(es\) were started.*torchrun"):
        train(recipe, load_digits())
