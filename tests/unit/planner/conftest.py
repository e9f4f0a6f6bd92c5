import json
from pathlib import Path

import pytest

from pumice.hardware import load_constants


@pytest.fixture(scope="session")
def constants():
    return load_constants()


@pytest.fixture(scope="session")
def oracles():
    """Function: a file of what others printed."""
    return lambda name: json.loads((Path(__file__).parent / "oracles" / f"{name}.json").read_text())
