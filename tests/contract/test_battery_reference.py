"""The reference passes its own battery, and still answers what it answered when the digests were written."""

import json
from pathlib import Path

from pumice.backends import get_backend
from pumice.testing import BackendBattery
from pumice.testing.battery import digests

DIGESTS = Path(__file__).parents[1] / "golden/battery_digests.json"


class TestReference(BackendBattery):
    def make_backend(self):
        return get_backend("reference")


def test_the_definition_has_not_changed():
    """Written by scripts/write_battery_digests.py: run it only if the definition itself was wrong."""
    expected, found = json.loads(DIGESTS.read_text()), digests()
    assert [name for name in expected if found.get(name) != expected[name]] == []
    assert found.keys() == expected.keys()
