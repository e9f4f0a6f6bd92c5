"""The cache of compiled code: whatever happens to it, the code runs."""

import os
import runpy
import subprocess
import sys

import numba
import pytest

from pumice import jit
from pumice.errors import InputError

PROGRAM = """
from pumice.jit import njit

@njit(nogil=True, cache=True)
def tripled(n):
    return 3 * n

result = tripled(14), sum(tripled.stats.cache_hits.values())
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Function: run the program, its cache in `cache`; gives its result, and how often that had the code."""
    (tmp_path / "program.py").write_text(PROGRAM)
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    return lambda: runpy.run_path(str(tmp_path / "program.py"))["result"]


def test_compiled_code_is_found_again(run):
    assert run() == (42, 0)
    assert run() == (42, 1)


@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
def test_a_damaged_cache_is_renewed(run, tmp_path, suffix):
    run()
    [file] = (tmp_path / "cache").rglob(f"*.{suffix}")
    for content in (b"", file.read_bytes()[:20]):
        file.write_bytes(content)
        assert run() == (42, 0)
        assert run() == (42, 1)


LATER = """
import sys
import numba
import numpy as np
import program
from program import result

@numba.njit
def product(a, b):
    return np.dot(a, b)

print(result, program.filled(3), "numba.np.arraymath" in sys.modules)
try:
    program.checked(-1)
except ValueError as error:
    print(error)
print(product(np.ones((2, 2)), np.ones((2, 2))).sum(), program.filled(2.0))
"""
MORE = """
import numpy as np

@njit(cache=True)
def filled(n):
    return np.full(3, n)

@njit(cache=True)
def checked(n):
    if n < 0:
        raise ValueError("negative", n)
    return n

filled(3), checked(1)
"""


def test_compiled_code_is_found_without_numbas_compiler(tmp_path):
    """Which is there when something has to be compiled, a user's function or another type."""
    (tmp_path / "program.py").write_text(PROGRAM + MORE)
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    shown = [
        subprocess.check_output([sys.executable, "-c", LATER], cwd=tmp_path, env=environment, text=True)
        for _ in range(2)
    ]
    rest = "('negative', -1)\n8.0 [2. 2. 2.]\n"
    assert shown == [f"(42, 0) [3 3 3] True\n{rest}", f"(42, 1) [3 3 3] False\n{rest}"]


def test_code_that_calls_what_has_changed_is_compiled_anew(tmp_path):
    """As after an upgrade, in a file that stayed as it was."""
    (tmp_path / "program.py").write_text("from helper import factor\n" + PROGRAM.replace("3 * n", "factor() * n"))
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONDONTWRITEBYTECODE": "1"}
    shown = []
    for factor in (3, 3, 4, 4):
        helper = f"from pumice.jit import njit\n\n@njit(cache=True)\ndef factor():\n    return {factor}\n"
        (tmp_path / "helper.py").write_text(helper)
        code = "import program; print(program.result)"
        shown.append(subprocess.check_output([sys.executable, "-c", code], cwd=tmp_path, env=environment, text=True))
    assert shown == ["(42, 0)\n", "(42, 1)\n", "(56, 0)\n", "(56, 1)\n"]


def test_a_full_disk(run, tmp_path):
    run()
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))"
    code = f"{limit}; import runpy; print(runpy.run_path('program.py')['result'])"
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "other")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("(42, 0)\n", "")


def test_nowhere_to_write(monkeypatch):
    """numba raises RuntimeError, when a function is decorated, if it finds no folder that can be written to."""

    def refuses(_):
        raise RuntimeError("cannot cache function 'f': no locator available for file 'f.py'")

    monkeypatch.setattr(jit, "ForgivingCache", refuses)

    @jit.njit(cache=True)
    def doubled(n):
        return 2 * n

    assert doubled(21) == 42


def test_without_a_compiler_there_is_one_clear_error(run, monkeypatch):
    """As Python the loops would mix NumPy's types; it was an AttributeError of ours."""
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    with pytest.raises(InputError, match="unset NUMBA_DISABLE_JIT"):
        run()
