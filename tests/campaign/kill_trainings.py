"""Train once, then again and again, killed and resumed: run by `test_trainings`, since torch's threads do not fork.

python kill_trainings.py FOLDER SEED KILLS: prints an outcome for each kill, as JSON.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

import lightning_fabric  # noqa: F401 -- once, here, not in each child
import numpy as np
import tonic  # noqa: F401

from pumice.data import load_digits
from pumice.train import PRESETS, load_checkpoint, train

SETTINGS = ["data.max_train=104", "data.max_test=20", "data.steps=4", "network.name=feedforward",
            'network.args={"layers": "4c3s2-16", "dropout": 0.3}', "training.epochs=3", "training.finetune_epochs=2",
            "training.batch_size=8", "training.checkpoint_every_steps=1"]  # fmt: skip
ATTEMPTS = 5


def forked(path, recipe, digits, delay=None):
    """Whether it was killed."""
    pid = os.fork()
    if not pid:
        code = 1
        try:
            train(recipe, digits, checkpoint_path=path, resume_from=load_checkpoint(path) if path.exists() else None)
            code = 0
        finally:
            os._exit(code)
    if delay is not None:
        time.sleep(delay)
        os.kill(pid, signal.SIGKILL)
    status = os.waitpid(pid, 0)[1]
    if status and delay is None:
        raise SystemExit(f"a training that was not killed ended with status {status}")
    return os.WIFSIGNALED(status)


def compare(read):
    """In a child: loading makes threads of torch's, which this process must not have when it forks again."""
    told, tell = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            os.write(tell, repr(hash(read())).encode())
        finally:
            os._exit(0)
    os.close(tell)
    with open(told, "rb") as answer:
        found = answer.read()
    os.waitpid(pid, 0)
    return found


def content(path):
    checkpoint = load_checkpoint(path)
    logs = tuple((path.parent / name).read_text() for name in ("steps.csv", "epochs.csv"))
    weights = tuple((name, tensor.numpy().tobytes()) for name, tensor in sorted(checkpoint.model_state.items()))
    return str(checkpoint.history), logs, weights, tuple(sorted(p.name for p in path.parent.iterdir()))


def main():
    folder, rng, kills = Path(sys.argv[1]), np.random.default_rng(int(sys.argv[2])), int(sys.argv[3])
    recipe, digits = PRESETS["digits"].overridden(SETTINGS), load_digits()
    began = time.monotonic()
    forked(folder / "whole/checkpoint.pt", recipe, digits)
    seconds, expected = time.monotonic() - began, compare(lambda: content(folder / "whole/checkpoint.pt"))
    outcomes = []
    while len(outcomes) < kills:
        path = folder / f"run{len(outcomes)}/checkpoint.pt"
        delays = rng.uniform(0.02, seconds, min(ATTEMPTS, kills - len(outcomes)))
        killed = sum(forked(path, recipe, digits, float(delay)) for delay in delays)
        forked(path, recipe, digits)
        same = compare(lambda: content(path)) == expected != b""  # noqa: B023
        outcomes += ["correct" if same else "changed"] * killed
    print(json.dumps(outcomes))


if __name__ == "__main__":
    main()
