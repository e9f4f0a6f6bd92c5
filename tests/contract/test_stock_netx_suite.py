"""lava-dl's own netx tests, as its wheel ships them, pass in our environment."""

import re
import subprocess
import sys
from importlib.metadata import files

import pytest

RUN = "import sys, pumice, pytest; sys.exit(pytest.main(sys.argv[1:]))"


@pytest.mark.slow
@pytest.mark.lava
def test_lava_dls_netx_suite(tmp_path):
    """Stock Python 3.10 gives 19 passed, 5 skipped (they want a chip)."""
    shipped = next(f for f in files("lava-dl") if str(f) == "tests/lava/lib/dl/netx/test_hdf5.py")
    folder = shipped.locate().parent
    options = ["-q", "-c", "/dev/null", "--rootdir", str(folder), "-p", "no:cacheprovider", "-p", "no:xdist"]
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(folder), *options],
        cwd=tmp_path,  # the tests leave files behind
        check=False,
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    counts = {word: int(n) for n, word in re.findall(r"(\d+) (passed|skipped|failed|error)", done.stdout)}
    assert counts["passed"] >= 19
    assert counts["skipped"] <= 5
