import json
import os
import subprocess
import sys
import threading
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import pumice
from pumice.cli.run import _with_resets as with_stock_resets
from pumice.netx import load

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def wheel():
    """lava-dl's own networks and vectors, shipped in its wheel."""
    spec = find_spec("lava")
    places = (
        [] if spec is None else [Path(p).parent / "tests/lava/lib/dl/netx" for p in spec.submodule_search_locations]
    )
    for place in places:
        if place.is_dir():
            return place
    pytest.skip("lava-dl's tests are not installed beside it")


@pytest.fixture(scope="session")
def shared():
    """More of lava-dl's vectors, not part of this repository."""
    root = Path(os.environ.get("PUMICE_SHARED", REPOSITORY.parent / "shared")) / "data/lava_dl_vectors"
    if not root.is_dir():
        pytest.skip(f"no {root}: set PUMICE_SHARED to a folder with data/lava_dl_vectors")
    return root


class Stock:
    """A process that runs stock netx: started once, since what it imports takes longer than what it runs."""

    def __init__(self, folder):
        self._printed = folder / "stderr.txt"
        with self._printed.open("w") as printed:
            self._process = subprocess.Popen(
                [sys.executable, str(Path(__file__).parent / "stock_run.py")],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=printed, text=True,
            )  # fmt: skip

    def run(self, jobs, timeout):
        """What it printed about these jobs; it is killed if it takes too long."""
        lines, alarm = [], threading.Timer(timeout, self._process.kill)
        alarm.start()
        try:
            self._process.stdin.write(f"{jobs}\n")
            self._process.stdin.flush()
            while (line := self._process.stdout.readline()) != "done\n":
                assert line, self._printed.read_text()
                lines.append(line)
        finally:
            alarm.cancel()
        return lines

    def close(self):
        self._process.communicate()


@pytest.fixture(scope="session")
def stock(tmp_path_factory):
    process = Stock(tmp_path_factory.mktemp("stock"))
    yield process
    process.close()


@pytest.fixture
def run_stock(stock, tmp_path):
    """Function: run stock netx on [(network path, stream, arguments)], give each output, or the error's text.

    In threads, unless it is told to use Lava's runtime, which takes longer to start than all steps together.
    """

    def run(cases, timeout=900, runtime=False):
        jobs = []
        for index, (net, x, arguments) in enumerate(cases):
            paths = {"input": str(tmp_path / f"x{index}.npy"), "output": str(tmp_path / f"y{index}.npy")}
            np.save(paths["input"], np.asarray(x))
            jobs.append({"net": str(net), "arguments": arguments, "runtime": runtime, **paths})
        (tmp_path / "jobs.json").write_text(json.dumps(jobs))
        printed = stock.run(tmp_path / "jobs.json", timeout)
        errors = {e["net"]: e["error"] for e in map(json.loads, filter(lambda t: t[:1] == "{", printed))}
        return [
            np.load(job["output"]) if Path(job["output"]).exists() else errors.get(job["net"], "".join(printed))
            for job in jobs
        ]

    return run


@pytest.fixture
def compare(run_stock):
    """Function: hold pumice equal to stock netx on cases, name -> (path, stream, stock arguments, load arguments)."""

    def check(cases, runtime=False):
        outputs = run_stock([(path, x, arguments) for path, x, arguments, _ in cases.values()], runtime=runtime)
        for (name, (path, x, arguments, options)), expected in zip(cases.items(), outputs, strict=True):
            assert not isinstance(expected, str), f"{name}: {expected}"
            assert expected.any(), f"{name} stays silent"
            graph = load(path, **options)
            graph = with_stock_resets(graph, arguments.get("reset_interval"), arguments.get("reset_offset"))
            np.testing.assert_array_equal(pumice.run(graph, x, backend="reference").spikes, expected, err_msg=name)

    return check
