import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import pumice
from pumice.backends import parts
from pumice.backends.fast import FastBackend
from pumice.backends.parts import evaluate_in_parts
from pumice.backends.ranks import Ranks
from pumice.errors import InputError
from pumice.ir import Timing, with_reset_schedule
from pumice.ir.builder import chain

STEPS, N = 6, 11
GRAPH = with_reset_schedule(chain((4,), [5, 3], seed=0).replace(timing=Timing(STEPS, STEPS)), STEPS, 1)
SAMPLES = [*zip(np.random.default_rng(0).integers(0, 2, (N, STEPS, 4)), [0, 1, 2] * 4, [6, 3] * 6, strict=False)]


SAID = {}


class Alone(Ranks):
    """A rank that does not wait for the others, but knows what those before it said."""

    def meeting(self):
        return lambda mine: SAID.update({self.rank: mine}) or [SAID[rank] for rank in sorted(SAID)]


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch):
    monkeypatch.setattr(parts, "PART_SAMPLES", 4)
    SAID.clear()


def figures(result):
    of_samples = [result.labels, result.predictions, result.lengths, *result.spikes.values()]
    of_neurons = result.neuron_spikes
    arrays = (*of_samples, *result.synaptic_events.values(), *of_neurons.values())
    return [array.tolist() for array in arrays], [*result.spikes], [*of_neurons]


def in_parts(folder, rank=0, world=1, samples=SAMPLES, graph=GRAPH, **options):
    return evaluate_in_parts(graph, samples, len(samples), folder, ranks=Alone(rank, world), **options)


def test_ranks_together_give_the_whole(tmp_path):
    assert in_parts(tmp_path, 1, 2) is None
    assert [p.name for p in tmp_path.iterdir()] == ["part-00001-of-00003.npz"]
    found = in_parts(tmp_path, 0, 2, check={"reference": 5})
    whole = pumice.evaluate(GRAPH, SAMPLES, check={"reference": 5})
    assert figures(found) == figures(whole)
    assert dict(found.checked) == dict(whole.checked)


class RefusingBackend(FastBackend):
    def counter(self, *_):
        raise InputError("this backend was asked")


def test_parts_of_one_backend_are_no_answers_of_another(tmp_path):
    in_parts(tmp_path)
    with pytest.raises(InputError, match="this backend was asked"):
        in_parts(tmp_path, backend=RefusingBackend())


class Choosing:
    """Makes those samples only that it is asked for."""

    def __init__(self):
        self.made = []

    def __len__(self):
        return N

    def samples_at(self, indices):
        for index in indices:
            self.made.append(index)
            yield SAMPLES[index]


def test_a_rank_makes_the_samples_of_its_parts_only(tmp_path):
    theirs, mine = Choosing(), Choosing()
    assert in_parts(tmp_path, 1, 2, samples=theirs) is None
    found = in_parts(tmp_path, 0, 2, samples=mine, check={"reference": 6})
    assert (theirs.made, mine.made) == ([4, 5, 6, 7], [0, 1, 2, 3, 4, 5, 8, 9, 10])
    whole = pumice.evaluate(GRAPH, SAMPLES, check={"reference": 6})
    assert (figures(found), dict(found.checked)) == (figures(whole), dict(whole.checked))


@pytest.mark.parametrize("what", ["graph", "sample", "label", "number", "version"])
def test_ranks_of_different_evaluations_are_told(what, tmp_path, monkeypatch):
    """Before, each was only held to what it said itself."""
    stream, label, length = SAMPLES[4]
    samples = {"sample": (1 - stream, label, length), "label": (stream, 1 - label, length)}
    theirs = [*SAMPLES[:4], samples.get(what, SAMPLES[4]), *SAMPLES[5 : N - (what == "number")]]
    graph = chain((4,), [5, 3], seed=1).replace(timing=Timing(STEPS, STEPS)) if what == "graph" else GRAPH
    with monkeypatch.context() as there:
        if what == "version":
            there.setattr(parts, "installed", lambda name: "0.0.1")
        assert in_parts(tmp_path, 1, 2, samples=theirs, graph=graph) is None
    with pytest.raises(InputError, match="rank 1 evaluates another network, other samples, or with another version"):
        in_parts(tmp_path, 0, 2)


def test_a_dataset_that_gives_fewer_than_asked_for(tmp_path):
    class Short(Choosing):
        def samples_at(self, indices):
            return super().samples_at(indices[:-1])

    with pytest.raises(InputError, match="samples_at gives fewer than asked for"):
        in_parts(tmp_path, samples=Short())


def test_fewer_parts_than_ranks(tmp_path):
    for rank in (4, 3, 2, 1):
        assert in_parts(tmp_path, rank, 5) is None
    assert figures(in_parts(tmp_path, 0, 5)) == figures(pumice.evaluate(GRAPH, SAMPLES))


def count_runs(monkeypatch):
    runs = []
    call = parts.Evaluator.__call__
    monkeypatch.setattr(
        parts.Evaluator, "__call__", lambda self, samples, **o: runs.append(len(samples)) or call(self, samples, **o)
    )
    return runs


def test_what_is_done_is_not_run_again(tmp_path, monkeypatch):
    runs = count_runs(monkeypatch)
    first = in_parts(tmp_path)
    (tmp_path / "part-00001-of-00003.npz").write_bytes(b"cut off")
    assert figures(in_parts(tmp_path)) == figures(first)
    assert runs == [4, 4, 3, 4]


@pytest.mark.parametrize("what", ["sample", "label", "length", "graph", "readout", "version"])
def test_parts_of_something_else_are_run_again(what, tmp_path, monkeypatch):
    in_parts(tmp_path)
    stream, label, length = SAMPLES[5]
    other = {"sample": (1 - stream, label, length), "label": (stream, 1, length), "length": (stream, label, 4)}
    samples = [*SAMPLES[:5], other.get(what, SAMPLES[5]), *SAMPLES[6:]]
    graph = chain((4,), [5, 3], seed=1).replace(timing=Timing(STEPS, STEPS)) if what == "graph" else GRAPH
    options = {"readout": "v"} if what == "readout" else {}
    if what == "version":
        monkeypatch.setattr(parts, "installed", lambda name: "0.0.1")
    runs = count_runs(monkeypatch)
    found = in_parts(tmp_path, samples=samples, graph=graph, **options)
    assert runs == ([4] if what in other else [4, 4, 3])
    assert figures(found) == figures(pumice.evaluate(graph, samples, **options))


def test_a_part_of_another_evaluation_is_not_added_up(tmp_path, monkeypatch):
    other = chain((4,), [5, 3], seed=1).replace(timing=Timing(STEPS, STEPS))
    part = parts._Runner.part

    def replaced_meanwhile(self, path, samples, first):
        digest = part(self, path, samples, first)
        if self._graph is GRAPH and first == 4:
            part(parts._Runner(other, None, {}), path, samples, first)
        return digest

    monkeypatch.setattr(parts._Runner, "part", replaced_meanwhile)
    with pytest.raises(InputError, match="is of another evaluation"):
        in_parts(tmp_path)


@pytest.mark.parametrize("check", [["reference"], {"reference": 0}, {"abacus": 1}])
def test_a_check_that_is_none_is_refused_before_the_work(check, tmp_path):
    with pytest.raises(InputError):
        in_parts(tmp_path / "new", check=check)
    assert not (tmp_path / "new").exists()


def test_what_differs_in_kind_is_something_else(tmp_path):
    runner = parts._Runner(GRAPH, None, {})
    x = SAMPLES[0][0]
    kinds = [(x, 1), (x, [1.0]), (x + 0.4, 1), (x, 1, 6), (x, [[1.0]])]
    assert len({runner.digest([sample]) for sample in kinds}) == len(kinds)
    assert runner.digest([(x, 1)]) == runner.digest([(x.astype(bool), np.int64(1))])
    assert runner.digest([([[1], [1, 2]], 1)]) == ""


def test_bad_samples_are_named_by_their_number(tmp_path):
    samples = [*SAMPLES[:9], (SAMPLES[9][0], 7, 6), *SAMPLES[10:]]
    with pytest.raises(InputError, match=r"sample 9: its label must lie in 0\.\.2"):
        in_parts(tmp_path, samples=samples)
    with pytest.raises(InputError, match="holds 11 samples, not 12"):
        evaluate_in_parts(GRAPH, SAMPLES, 12, tmp_path, ranks=Alone())


WORKER = """
import os, sys, time
from pathlib import Path
from pumice.backends import parts
parts.PART_SAMPLES = 2
run = parts._Runner.part
def slow(self, path, samples, first):
    if os.environ["RANK"] == "1" and first > 4 and not Path("killed").exists():
        Path("waiting").write_text(str(os.getpid()))
        time.sleep(600)
    return run(self, path, samples, first)
parts._Runner.part = slow
from pumice.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_torchrun_with_a_killed_rank_prints_what_one_process_prints(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pumice.save(GRAPH, "a.net")
    x, labels = np.stack([s for s, _, _ in SAMPLES]), np.array([label for _, label, _ in SAMPLES])
    np.savez("x.npz", x=x, labels=labels)
    (tmp_path / "worker.py").write_text(WORKER)
    arguments = ["evaluate", "a.net", "--data", "x.npz", "--json", "--check", "reference"]
    alone = subprocess.run([sys.executable, "-m", "pumice", *arguments], capture_output=True, text=True, check=True)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*launcher, "--max-restarts", "1", "worker.py", *arguments, "--parts", "done"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        while not ((tmp_path / "waiting").exists() and (tmp_path / "waiting").read_text()):
            assert process.poll() is None
            time.sleep(0.1)
        before = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "done").glob("part-0000[13]*")}
        (tmp_path / "killed").touch()
        os.kill(int((tmp_path / "waiting").read_text()), signal.SIGKILL)
        out, _ = process.communicate()
    assert process.returncode == 0
    assert len(before) == 1
    assert all((tmp_path / "done" / name).stat().st_mtime_ns == at for name, at in before.items())
    assert json.loads(out)["samples"] == N
    assert out == alone.stdout
