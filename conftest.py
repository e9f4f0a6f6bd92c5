"""What every test and doctest finds."""

import numpy as np
import pytest

import pumice  # noqa: F401  # before any test imports lava, which needs it on Python >= 3.11


@pytest.fixture(autouse=True)
def _doctest_names(doctest_namespace):
    doctest_namespace["np"] = np
