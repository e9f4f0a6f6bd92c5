"""Every example in a docstring runs and gives what it shows."""

import doctest
import importlib
import pkgutil

import numpy as np
import pytest

import pumice

MODULES = [m.name for m in pkgutil.walk_packages(pumice.__path__, "pumice.")]


# Not pytest's --doctest-modules: it may import a module a second time, and then there are two of each class.
@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    module = importlib.import_module(name)
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    assert doctest.testmod(module, extraglobs={"np": np}, optionflags=options).failed == 0
