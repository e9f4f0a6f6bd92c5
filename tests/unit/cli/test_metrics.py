"""`pumice metrics`."""

import json

import numpy as np

import pumice
from pumice.cli import main
from pumice.ir import Timing
from pumice.ir.builder import chain


def test_figures_of_recorded_and_of_given_samples(tmp_path, capsys):
    graph = chain((4,), [3, 2], seed=0).replace(timing=Timing(5, 8))
    x = np.random.default_rng(0).integers(0, 2, (2 * 8 + graph.latency, 4))
    pumice.save(pumice.certify(graph, x), tmp_path / "a.net")
    np.savez(tmp_path / "x.npz", x=x[None, :5], labels=np.zeros(1, int))
    assert main(["metrics", str(tmp_path / "a.net"), "--json"]) == 0
    recorded = json.loads(capsys.readouterr().out)
    assert recorded["samples"] == 2
    assert recorded["SynapticOperations"]["Dense"] == 90
    assert main(["metrics", str(tmp_path / "a.net"), "--data", str(tmp_path / "x.npz"), "--json"]) == 0
    given = json.loads(capsys.readouterr().out)
    assert given == pumice.metrics(graph, [(x[:5], 0)]).as_dict() | {"samples": 1}
    assert main(["metrics", str(tmp_path / "a.net")]) == 0
    text = capsys.readouterr().out
    assert f"footprint             {recorded['Footprint']} bytes" in text
    assert "measured on           2 samples" in text


def test_a_file_without_samples_says_how_to_give_some(tmp_path, capsys):
    pumice.save(chain((4,), [3, 2], seed=0), tmp_path / "a.net")
    assert main(["metrics", str(tmp_path / "a.net")]) == 0
    assert "--data X.npz" in capsys.readouterr().out
