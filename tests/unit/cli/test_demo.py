import json
import subprocess
import sys
from dataclasses import replace

import pytest

import pumice
from pumice.backends import get_backend
from pumice.backends.lava import LavaBackend

TINY = (
    " --lava-samples 2 --set data.max_train=96 --set data.max_test=20 --set data.steps=4 --set training.epochs=1"
    " --set training.finetune_epochs=1 --set network.args.channels=[4] --set network.args.strides=[2]"
)


@pytest.mark.lava
def test_json_is_one_object_and_nothing_else(command, tmp_path):
    code, out, err = command("demo --json --report out" + TINY)
    assert code == 0, err
    found = json.loads(out)
    assert out.count("\n") == 1
    assert found["differing_spikes"] == found["differing_states"] == 0
    assert (found["test_samples"], found["lava_samples"]) == (20, 2)
    assert {"accuracy_float", "accuracy_deployed", "seconds"} <= found.keys()
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["network.net", "report.html"]
    assert len(pumice.load(tmp_path / "out" / "network.net").populations) == 2
    assert "training" not in out
    assert "finetune 1: loss" in err


@pytest.mark.slow
@pytest.mark.lava
def test_the_whole_demo_keeps_its_promises(command):
    code, out, err = command("demo --json")
    found = json.loads(out)
    assert code == 0, err
    assert (found["test_samples"], found["lava_samples"]) == (360, 100)
    assert found["differing_spikes"] == found["differing_states"] == 0
    assert found["accuracy_deployed"] >= 0.96
    assert found["accuracy_float"] - found["accuracy_deployed"] <= 0.01


def test_a_difference_is_exit_code_1(command, tmp_path, monkeypatch):
    """In place of Lava's runtime, a backend that is fast and wrong."""

    def one_spike_more(self, graph, x, record):
        result = get_backend("fast")._run(graph, x, record)
        name, last = list(result.records.items())[-1]
        spikes = last.s.copy()
        spikes[3, 0] ^= 1
        return replace(result, records={**result.records, name: replace(last, s=spikes)})

    monkeypatch.setattr(LavaBackend, "_run", one_spike_more)
    code, out, err = command("demo" + TINY)
    assert code == 1
    assert "1 spikes and 0 states differ" in err
    assert (tmp_path / "report" / "report.html").exists()
    assert "accuracy on 20 held-back digits" in out


def test_settings_and_folders_that_do_not_fit(refused, tmp_path):
    assert "no such key" in refused("demo --set training.speed=1")
    assert "no section" in refused("demo --set nothing.at=1")
    (tmp_path / "file").write_text("")
    assert "cannot be made a folder" in refused("demo --report file")


def test_without_torch(tmp_path):
    lines = ["demo", "train digits", "lower a.pt -o a.net"]
    program = (
        "import sys\nsys.modules['torch'] = None\nfrom pumice.cli import main\n"
        "for line in sys.argv[1:]: assert main(line.split()) == 2"
    )
    command = [sys.executable, "-c", program, *lines]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    refused = "'torch', which is not installed; install pumice with its extra: pumice[train]"
    assert [refused in printed for printed in done.stderr.splitlines()] == [True] * len(lines)
    assert not list(tmp_path.iterdir())
