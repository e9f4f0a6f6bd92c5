"""No package that pumice's extras bring is under the GPL, but those of the extra `tonic`."""

import runpy
import sys
from importlib import import_module
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = runpy.run_path(str(ROOT / "scripts/licenses.py"))
closure, is_gpl, license_of = SCRIPT["closure"], SCRIPT["is_gpl"], SCRIPT["license_of"]

pytestmark = pytest.mark.skipif(sys.version_info < (3, 11), reason="tomllib")


def project():
    return import_module("tomllib").loads((ROOT / "pyproject.toml").read_text())["project"]


def under_the_gpl(requirements):
    return {name for name in closure(requirements) if is_gpl(license_of(name))}


def test_no_extra_brings_the_gpl():
    extras = {name: lines for name, lines in project()["optional-dependencies"].items() if name != "tonic"}
    needed = [*project()["dependencies"], *chain.from_iterable(extras.values()), *SCRIPT["ARCHIVED"]]
    assert len(closure(needed)) > 40
    assert under_the_gpl(needed) == set()


@pytest.mark.skipif(find_spec("tonic") is None, reason="needs the extra tonic")
def test_the_rule_above_can_fail():
    assert under_the_gpl(project()["optional-dependencies"]["tonic"]) >= {"tonic"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("GPL-3.0-only", True),
        ("GNU General Public License v3 (GPLv3)", True),
        ("AGPL-3.0", True),
        ("LGPL-2.1-or-later", False),
        ("GNU Lesser General Public License v2 or later (LGPLv2+)", False),
        ("BSD-3-Clause", False),
    ],
)
def test_what_is_the_gpl(text, found):
    assert is_gpl(text) is found
