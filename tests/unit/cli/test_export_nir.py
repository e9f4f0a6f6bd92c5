"""`pumice export`."""

import subprocess
import sys

import pytest

import pumice
from pumice.cli import main
from pumice.ir import Delta, graph_digests
from pumice.ir.builder import chain


@pytest.fixture
def net(tmp_path):
    path = tmp_path / "a.net"
    pumice.save(chain((4,), [3, 2], seed=0), path)
    return path


def test_a_file_goes_out_and_comes_back(net, tmp_path, capsys):
    nir, back = tmp_path / "a.nir", tmp_path / "b.net"
    assert main(["export", str(net), "-o", str(nir), "--dt", "0.001"]) == 0
    assert "2 populations, dt = 0.001" in capsys.readouterr().out
    assert main(["import", str(nir), "-o", str(back)]) == 0
    assert "written by pumice" in capsys.readouterr().out
    assert graph_digests(pumice.load(back)) == graph_digests(pumice.load(net))
    assert main(["verify", str(back), "--backend", "reference"]) == 0


@pytest.mark.parametrize(
    ("options", "match"), [(["-o", "a.net"], "must end in .nir"), (["-o", "a.nir", "--dt", "0"], "dt must be")]
)
def test_what_cannot_be_is_one_line(net, capsys, options, match):
    assert main(["export", str(net), *options]) == 2
    error = capsys.readouterr().err
    assert match in error
    assert len(error.splitlines()) == 1


def test_a_population_that_nir_lacks_is_named(net, tmp_path, capsys):
    graph = pumice.load(net)
    populations = (Delta("dense0", (3,), vth=1), graph.populations[1])
    pumice.save(graph.replace(populations=populations), net)
    assert main(["export", str(net), "-o", str(tmp_path / "a.nir")]) == 2
    assert "population 'dense0': NIR has no Delta neurons" in capsys.readouterr().err


def test_it_needs_no_torch(net, tmp_path):
    arguments = ["export", str(net), "-o", str(tmp_path / "a.nir")]
    program = f"import sys\nfrom pumice.cli import main\nmain({arguments})\nsys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
