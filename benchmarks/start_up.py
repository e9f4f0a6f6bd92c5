"""How long users wait for the first result: fresh processes, in processor seconds and by the clock.

    python benchmarks/start_up.py [--rounds 3] [--against CHECKOUT]

"cold" is the first run after installing: nothing compiled by numba is kept; "warm" finds it. Python's own bytecode is
there in both, as pip writes it. Commands run on the exported network of digits. With `--against`, another checkout's
`src` takes turns with this one. A figure is the median of the rounds; the machine's load shows in the clock, less in
processor seconds.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
NET = str(ROOT / "netx_exports/digits/network.net")
RUN = ["-m", "pumice", "run", NET, "--input", "x.npy", "-o", "y.npz"]
EVALUATE = ["-m", "pumice", "evaluate", NET]
EVALUATE_ARRAYS = ["-m", "pumice", "evaluate", NET, "--data", "x.npz"]
FIRST_BATCH = """
import os
from pumice.data import load_digits
from pumice.train import find_recipe, train
train(find_recipe("digits"), load_digits(), on_batch=lambda: os._exit(0))
"""
CASES = {
    "import torch": (["-c", "import torch"], ("warm",)),
    "import pumice.nn": (["-c", "import pumice.nn"], ("warm",)),
    "pumice run": (RUN, ("cold", "warm")),
    "pumice evaluate --data": (EVALUATE_ARRAYS, ("cold", "warm")),
    "pumice evaluate": (EVALUATE, ("cold", "warm")),
    "first batch of training": (["-c", FIRST_BATCH], ("cold", "warm")),
}
"""Name -> arguments of Python, and in which states."""
INPUTS = """
import numpy as np
rng = np.random.default_rng(0)
x = (rng.random((64, 8, 8, 8, 1)) < 0.3).astype(int)
np.save("x.npy", x[0]); np.savez("x.npz", x=x, labels=np.arange(64) % 10)
"""


def measured(arguments: list[str], source: Path, folder: Path, cache: Path) -> tuple[float, float]:
    """Processor seconds and seconds of one process."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment |= {
        "PYTHONPATH": str(source),
        "PYTHONPYCACHEPREFIX": str(folder / "bytecode"),
        "NUMBA_CACHE_DIR": str(cache),
    }
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, *arguments], cwd=folder, env=environment, stdout=subprocess.DEVNULL, check=True)
    after, ended = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, ended - began


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--against", type=Path, metavar="CHECKOUT")
    options = parser.parse_args()
    sources = {"this": ROOT / "src"} | ({"other": options.against.resolve() / "src"} if options.against else {})
    print(f"{'':32}" + "".join(f"{name + ': CPU s':>16}{'wall s':>9}" for name in sources))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        subprocess.run([sys.executable, "-c", INPUTS], cwd=folder, check=True)
        for case, (arguments, states) in CASES.items():
            found: dict[tuple[str, str], list[tuple[float, float]]] = {}
            for source in sources.values():  # bytecode
                measured(arguments, source, folder, folder / "unused")
            for turn in range(options.rounds):
                for name, source in sources.items():
                    for state in ("cold", "warm"):
                        if state in states:
                            cache = folder / f"{name}-{case.replace(' ', '-')}-{turn}"
                            found.setdefault((state, name), []).append(measured(arguments, source, folder, cache))
            for state in states:
                figures = [[statistics.median(c) for c in zip(*found[state, name], strict=True)] for name in sources]
                line = "".join(f"{cpu:16.2f}{wall:9.2f}" for cpu, wall in figures)
                print(f"{case + (', ' + state if len(states) > 1 else ''):32}{line}", flush=True)


if __name__ == "__main__":
    main()
