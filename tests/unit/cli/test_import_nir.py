"""`pumice import`."""

import h5py
import numpy as np
import pytest

import pumice
from pumice.cli import main


@pytest.fixture
def nir(tmp_path):
    path = tmp_path / "a.nir"
    with h5py.File(path, "w") as file:
        node = file.create_group("node")
        node["type"] = "NIRGraph"
        edges = [("in", "fc"), ("fc", "if"), ("if", "out")]
        node.create_dataset("edges", data=np.array(edges, dtype=h5py.string_dtype()))
        nodes = {
            "in": {"type": "Input", "shape": [4]},
            "fc": {"type": "Linear", "weight": np.full((2, 4), 0.375)},
            "if": {"type": "IF", "r": np.ones(2), "v_threshold": np.ones(2)},
            "out": {"type": "Output", "shape": [2]},
        }
        for name, fields in nodes.items():
            for key, value in fields.items():
                node[f"nodes/{name}/{key}"] = value
    return path


def test_a_file_is_imported_reported_and_verified(nir, tmp_path, capsys, x):
    out = tmp_path / "a.net"
    assert main(["import", str(nir), "-o", str(out), "--calibrate", str(tmp_path / "x.npy")]) == 0
    printed = capsys.readouterr().out
    assert "Read as hard reset" in printed
    assert "if: 0 of 18 differ" in printed
    assert main(["verify", str(out), "--backend", "reference", "--backend", "fast"]) == 0
    assert pumice.load(out).info["nir_report"] in printed


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["--reset", "subtract"], "cannot subtract"),
        (["--dt", "-1"], "dt must be"),
        (["--weights", "2"], "8bit, split"),
    ],
)
def test_what_cannot_be_is_one_line(nir, tmp_path, capsys, arguments, match):
    assert main(["import", str(nir), "-o", str(tmp_path / "a.net"), *arguments]) == 2
    error = capsys.readouterr().err
    assert match in error
    assert len(error.splitlines()) == 1
