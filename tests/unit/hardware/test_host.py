"""Variables of the environment lead to a chip, or it is said why they do not."""

import pytest

from pumice.hardware.host import find_host

ETHERNET = {"NOSLURM": "1", "NXSDKHOST": "10.0.0.2", "HOST_BINARY": "nxcore/bin/nx_driver_server"}


@pytest.mark.parametrize(
    ("said", "way"),
    [
        ({"SLURM": "1", "PARTITION": "oheogulch", "LOIHI_GEN": "N3B3"}, "SLURM"),
        (ETHERNET, "Ethernet"),
        ({"NOSLURM": "1"}, "this machine"),
    ],
)
def test_each_way_is_found(said, way):
    found = find_host(said, has_slurm=True)
    assert (found.way, found.problems) == (way, ())
    assert all(f"{name}={value}" in found.description for name, value in said.items() if "SLURM" not in name)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({}, "set SLURM=1"),
        ({"SLURM": ""}, "set SLURM=1"),
        ({"SLURM": "1", "BOARD": "a", "PARTITION": "b"}, "BOARD and PARTITION are both set"),
        ({"SLURM": "1", **ETHERNET}, "SLURM and NOSLURM are both set"),
        ({"NXSDKHOST": "10.0.0.2"}, "HOST_BINARY is not set"),
        ({"NOSLURM": "1", "LOIHI_GEN": "N2"}, "got 'N2'"),
    ],
)
def test_what_is_wrong_is_said(said, words):
    (problem, *_) = find_host(said, has_slurm=True).problems
    assert words in problem


def test_slurm_without_its_programs():
    assert "no `sinfo`" in find_host({"SLURM": "1"}, has_slurm=False).problems[0]
