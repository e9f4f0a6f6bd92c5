"""Files of which bits were flipped, pieces cut off, overwritten, doubled: an error of ours, or what was written."""

import io

import numpy as np
import pytest
import torch

import pumice
from pumice.data import load_digits
from pumice.files.arrays import read_npz
from pumice.files.seal import SEAL_BYTES
from pumice.ir.builder import chain
from pumice.ir.digest import graph_digests
from pumice.testing.strategies import cases, example
from pumice.train import PRESETS, load_checkpoint, train

pytestmark = pytest.mark.campaign


def mutant(rng, whole):
    """One of five kinds of damage."""
    data = bytearray(whole)
    place, size = int(rng.integers(len(data))), int(rng.integers(1, 65))
    match int(rng.integers(5)):
        case 0:
            del data[place:]
        case 1:
            data[place : place + size] = rng.integers(0, 256, len(data[place : place + size]), np.uint8).tobytes()
        case 2:
            data[place:place] = data[place : place + size]
        case 3:
            data[place : place + size] = bytes([int(rng.choice([0, 255]))]) * len(data[place : place + size])
        case _:
            for at in rng.integers(len(data), size=rng.integers(1, 12)):
                data[at] ^= 1 << int(rng.integers(8))
    return bytes(data)


@pytest.fixture
def try_mutants(request, isolated, tally, rng):
    """Function: damage a file, read it, and compare with what it held.

    Without its digest nobody can tell what it held: then the reader alone must do, and may read anything.
    """

    def run(path, read, *, digest=True):
        whole, expected, n = path.read_bytes(), read(path), request.config.getoption("--campaign-files")
        whole = whole if digest else whole[:-SEAL_BYTES]

        def is_right(seed):
            path.write_bytes(mutant(np.random.default_rng(seed), whole))
            return read(path) == expected or not digest

        isolated(is_right, [int(seed) for seed in rng.integers(1 << 62, size=n)])
        tally.check(n)

    return run


DIGEST = pytest.mark.parametrize("digest", [True, False], ids=["digest", "no digest"])


@DIGEST
@pytest.mark.parametrize("kind", ["chain", "graph"])
def test_net_files(try_mutants, tmp_path, kind, digest):
    plain = pumice.certify(chain((2, 2, 1), [3, 2], seed=1), np.ones((6, 2, 2, 1), int))
    graph = plain if kind == "chain" else example(cases(n_steps=4), 3)[0]
    path = tmp_path / "a.net"
    pumice.save(graph, path)
    try_mutants(path, lambda p: graph_digests(pumice.load(p)), digest=digest)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / "checkpoint.pt"
    settings = ["data.max_train=40", "data.max_test=20", "data.steps=2", "training.epochs=1",
                "training.finetune_epochs=0", "network.args.channels=[2]", "network.args.strides=[2]"]  # fmt: skip
    train(PRESETS["digits"].overridden(settings), load_digits(), checkpoint_path=path)
    return path


def stored(path):
    """Everything that a checkpoint holds, as bytes."""
    checkpoint, file = load_checkpoint(path), io.BytesIO()
    torch.save([checkpoint.model_state, checkpoint.optimizer_state], file)
    return hash((file.getvalue(), str(checkpoint.history), str(checkpoint.recipe)))


@DIGEST
def test_checkpoints(try_mutants, tmp_path, checkpoint, digest):
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(checkpoint.read_bytes())
    try_mutants(path, stored, digest=digest)


def arrays(path):
    return tuple(array.tobytes() for array in read_npz(path, ("x", "labels")))


def test_npz_files(try_mutants, tmp_path):
    path = tmp_path / "train.npz"
    np.savez(path, x=np.arange(600, dtype=np.uint8).reshape(10, 60), labels=np.arange(10))
    try_mutants(path, arrays)
