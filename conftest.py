"""Before any test imports torch or lava: what they read when they are loaded."""

import os

# pytest's workers share the cores: OpenMP's threads must not keep one busy while they wait.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import pumice  # noqa: F401 -- lava needs it on Python >= 3.11
