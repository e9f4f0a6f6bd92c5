"""Before any test imports torch or lava: what they read when they are loaded. And the options of the campaign."""

import os
import sys
from pathlib import Path

if sys.dont_write_bytecode:
    # Containers often say so. Then each worker, and each process that a test starts, compiles all that it imports.
    sys.dont_write_bytecode = False
    sys.pycache_prefix = str(Path(__file__).parent / ".pytest_cache" / "bytecode")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix

# pytest's workers share the cores: OpenMP's threads must not keep one busy while they wait.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import pumice  # noqa: F401 -- lava needs it on Python >= 3.11


def pytest_addoption(parser):
    group = parser.getgroup("campaign", "how much `pytest -m campaign` tries (docs/campaign.md)")
    group.addoption("--campaign-seed", type=int, default=0, help="repeats a campaign")
    group.addoption("--campaign-files", type=int, default=1000, help="mutated files of each kind")
    group.addoption("--campaign-kills", type=int, default=10, help="kills of a training, and full disks of each kind")
    group.addoption("--campaign-runs", type=int, default=100, help="Lava runs; a fifth in threads, a tenth killed")
