import json
import sys
from dataclasses import replace

import pytest

import pumice
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


@pytest.mark.lava
def test_a_difference_is_exit_code_1(command, tmp_path, monkeypatch):
    honest = LavaBackend._run

    def one_spike_more(self, graph, x, record):
        result = honest(self, graph, x, record)
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


def test_without_torch(refused, monkeypatch):
    for module in [m for m in sys.modules if m.startswith(("pumice.pipeline", "pumice.train", "pumice.nn"))]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "torchmetrics", None)
    assert "pumice[train]" in refused("demo")
    assert "pumice[train]" in refused("train digits")
    assert "pumice[train]" in refused("lower a.pt -o a.net")
