"""What importing costs: processor seconds and memory of fresh processes, beside what they import anyway.

    python benchmarks/import_time.py [--rounds 5] [MODULE ...]

Each round starts one process per module, in turns; a figure is the median of the rounds. `torch` alone is the
yardstick of everything that trains, `numpy` of what only reads and simulates.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys

MODULES = ("numpy", "pumice", "torch", "pumice.nn", "pumice.train")
MEASURE = """
import importlib, resource
importlib.import_module({module!r})
used = resource.getrusage(resource.RUSAGE_SELF)
print(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
"""


def measured(module: str) -> tuple[float, float]:
    """Processor seconds, and MiB at most."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE.format(module=module)], capture_output=True, text=True, check=True
    )
    seconds, memory = map(float, done.stdout.split()[-2:])
    return seconds, memory


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", default=MODULES, metavar="MODULE")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    found: dict[str, list[tuple[float, float]]] = {module: [] for module in options.modules}
    for _ in range(options.rounds):
        for module, figures in found.items():
            figures.append(measured(module))
    print(f"{'module':14} processor seconds    MiB")
    for module, figures in found.items():
        seconds, memory = (statistics.median(column) for column in zip(*figures, strict=True))
        print(f"{module:14} {seconds:17.2f} {memory:6.0f}")


if __name__ == "__main__":
    main()
