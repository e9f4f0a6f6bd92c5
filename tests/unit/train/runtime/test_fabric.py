"""Lightning Fabric as pumice wants it."""

import pytest

from pumice.train import Recipe
from pumice.train.runtime.fabric import make_fabric


def test_what_else_is_installed_has_no_part_in_a_training(monkeypatch):
    """Fabric looks for callbacks in the metadata of every package, which takes as long as a small training."""
    monkeypatch.setattr("lightning_fabric.utilities.registry.entry_points", lambda **_: pytest.fail("looked"))
    assert make_fabric(Recipe(), "float").world_size == 1
