"""What the battery says of a backend."""

import pytest

from pumice.errors import BackendError
from pumice.testing import BackendBattery
from pumice.testing.battery import _group
from pumice.testing.battery_groups import GROUPS


def failures(battery, only="test_", about=""):
    """The tests that fail, with their messages: what pytest would report, without running pytest in pytest.

    `about` limits the groups to those with a case whose name starts so.
    """
    groups = {group for group in GROUPS if any(case.startswith(about) for case in _group(group)[0])}
    found = {}
    for name in dir(battery):
        if name.startswith(only):
            method = getattr(battery, name)
            marks = [m.args[1] for m in getattr(method, "pytestmark", ()) if m.name == "parametrize"]
            for arguments in [(v,) for v in marks[0] if v in groups or v not in GROUPS] if marks else [()]:
                try:
                    method(*arguments)
                except (AssertionError, BackendError, pytest.fail.Exception) as error:
                    found[" ".join((name, *arguments))] = str(error)
    return found


def battery_of(make, unsupported=()):
    class Battery(BackendBattery):
        def make_backend(self):
            return make()

    Battery.unsupported = frozenset(unsupported)
    return Battery()
