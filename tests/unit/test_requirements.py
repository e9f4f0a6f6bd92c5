import subprocess
import sys
from importlib import metadata

import pytest

from pumice import requirements
from pumice.errors import MissingExtraError, PumiceWarning
from pumice.lava_compat import RELEASES

REQUIRED = [
    "numpy>=1.26",
    "networkx>=3.2; extra == 'lava'",
    "pumice[lava]; extra == 'train'",
    "torch>=2.10; extra == 'train'",
    'pillow>=11.3; extra == "train"',
    "tomli>=2; (python_version < '3.11') and extra == 'train'",
    "matplotlib>=3.8; extra == 'plot'",
]
HELD = {"torch": "2.10.1+cpu", "pillow": "12", "networkx": "3.10", "matplotlib": "1.0", **RELEASES}


@pytest.fixture
def environment(monkeypatch):
    """Function: make an environment hold what `HELD` says, but for these."""

    def make(**other):
        held = HELD | {name.replace("_", "-"): version for name, version in other.items()}

        def version(name):
            if name not in held:
                raise metadata.PackageNotFoundError(name)
            return held[name]

        monkeypatch.setattr(metadata, "requires", lambda name: REQUIRED)
        monkeypatch.setattr(metadata, "version", version)

    return make


def test_nothing_is_said_of_a_right_environment(environment):
    environment()
    assert requirements.wrong_packages("train", "lava") == []


@pytest.mark.parametrize(
    ("held", "told"),
    [
        ({"torch": "2.3.1"}, "torch 2.3.1 where at least 2.10 is needed"),
        ({"torch": "2.9"}, "torch 2.9 where at least 2.10 is needed"),
        ({"networkx": "2.8.7"}, "networkx 2.8.7 where at least 3.2 is needed"),
        ({"lava_dl": "0.5.0"}, "lava-dl 0.5.0 where 0.6.0 is needed"),
    ],
)
def test_a_package_that_is_too_old_is_announced(environment, held, told):
    environment(**held)
    with pytest.warns(PumiceWarning, match=told) as warned:
        requirements.check_packages("train", "lava", needs="sys", purpose="pumice.nn")
    assert "pumice install-lava" in str(warned[0].message)


def test_only_the_extras_that_are_asked_for_count(environment):
    environment(torch="2.3.1")
    assert requirements.wrong_packages("lava") == []


@pytest.mark.parametrize("module", ["no_such_package.part", "lava_of_nobody"])
def test_without_lava_the_command_is_named(module):
    with pytest.raises(MissingExtraError, match=r"pumice\.nn needs the package 'lava', .* run: pumice install-lava"):
        requirements.check_packages("train", needs=module, purpose="pumice.nn")


@pytest.mark.parametrize("module", ["pumice.nn", "pumice.backends.lava"])
def test_it_is_announced_at_import(module):
    script = f"from pumice.lava_compat import RELEASES\nRELEASES['lava-nc'] = '9.9'\nimport {module}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "PumiceWarning: this environment holds lava-nc 0.10.0 where 9.9 is needed" in done.stderr
    assert done.stdout == ""
