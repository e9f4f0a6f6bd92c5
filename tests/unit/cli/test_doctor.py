"""`pumice doctor` says what is there and what is missing, and how to get it."""

import json
from importlib.util import find_spec

import pytest

from pumice.cli import doctor, main
from pumice.hardware.host import HOST_VARIABLES


def report(capsys):
    assert main(["doctor", "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_what_is_installed_is_found(capsys):
    found = report(capsys)
    for name in ("read, check, simulate and plan .net files", "run on Lava's processes", "train and lower"):
        assert found["abilities"][name] == []
    assert found["packages"]["numpy"]
    assert found["cores"] >= 1


def test_the_chip_is_missing_here_and_the_text_says_what_to_do(capsys, monkeypatch):
    for name in HOST_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert main(["doctor"]) == 0
    text = capsys.readouterr().out
    assert "no   run on Loihi 2" in text
    assert "INRC" in text
    assert "lava.utils.loihi2_profiler" in text
    assert "a host with Loihi 2: none is set up" in text


@pytest.mark.parametrize(
    ("said", "line"),
    [
        (
            {"NXSDKHOST": "10.0.0.2", "HOST_BINARY": "nx", "LOIHI_GEN": "N3C1"},
            "Ethernet, LOIHI_GEN=N3C1, NXSDKHOST=10.0.0.2",
        ),
        ({"SLURM": "1", "LOIHI_GEN": "N9"}, "got 'N9'"),
        ({"NXSDKHOST": "10.0.0.2"}, "HOST_BINARY is not set"),
    ],
)
def test_the_way_to_a_chip_is_described(said, line, capsys, monkeypatch):
    for name in HOST_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    assert main(["doctor"]) == 0
    text = capsys.readouterr().out
    assert line in text
    assert ("once the extension is there" in text) == ("HOST_BINARY" in said)


@pytest.mark.parametrize("gone", ["h5py", "torch", "lava", "matplotlib"])
def test_a_missing_package_is_named_with_its_remedy(gone, capsys, monkeypatch):
    def find(name):
        if name.partition(".")[0] == gone:
            raise ModuleNotFoundError(name)
        return find_spec(name)

    monkeypatch.setattr(doctor.__globals__["sys"].modules[doctor.__module__], "find_spec", find)
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    (first, *_) = [line for line in lines if line.lstrip().startswith("missing:") and gone in line]
    assert "pip install" in first
