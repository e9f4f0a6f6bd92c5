import shutil
import sys
from importlib import import_module

import pytest

from pumice.errors import InputError
from pumice.lava_compat import RELEASES

install_lava = import_module("pumice.cli.install_lava")  # the package gives the command of this name
PINS = [f"{name}=={version}" for name, version in RELEASES.items()]


@pytest.fixture
def ran(monkeypatch, tmp_path):
    """Commands that would have been run, in an empty folder."""
    commands = []

    class Done:
        returncode = 0

    def run(command, check):
        commands.append(command)
        return Done()

    monkeypatch.setattr(install_lava.subprocess, "run", run)
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(install_lava, "find_spec", lambda name: None)
    monkeypatch.chdir(tmp_path)
    return commands


def test_with_pip_nothing_else_comes_along(ran, command, monkeypatch):
    monkeypatch.setattr(install_lava, "find_spec", lambda name: name == "pip" or None)
    assert command("install-lava")[0] == 0
    assert ran == [[sys.executable, "-m", "pip", "install", "--no-deps", "--ignore-requires-python", *PINS]]


def test_without_pip_uv_does_it(ran, command):
    assert command("install-lava")[0] == 0
    assert ran == [["/bin/uv", "pip", "install", "--python", sys.executable, "--no-deps", *PINS]]


def test_with_neither(ran, refused, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert "neither pip nor uv" in refused("install-lava")
    assert ran == []


def test_a_project_of_uv_is_told_what_both_need(ran, command, tmp_path, monkeypatch):
    text = '[project]\nname = "mine"\n\n[tool.uv]\nconstraint-dependencies = ["torch<3"]'
    (tmp_path / "pyproject.toml").write_text(text)
    (tmp_path / "uv.lock").write_text("")
    (tmp_path / "inner").mkdir()
    monkeypatch.chdir(tmp_path / "inner")
    assert command("install-lava --dry-run")[0] == 0
    assert (tmp_path / "pyproject.toml").read_text() == text
    assert ran == []
    for _ in range(2):
        assert command("install-lava")[0] == 0
    assert ran == 2 * [["/bin/uv", "add", "--project", str(tmp_path), *PINS]]
    written = (tmp_path / "pyproject.toml").read_text()
    assert written.startswith(text)
    tomllib = pytest.importorskip("tomllib" if sys.version_info >= (3, 11) else "tomli")
    tables = tomllib.loads(written)["tool"]["uv"]["dependency-metadata"]
    assert tables == [{"name": n, "version": v, "requires-dist": []} for n, v in RELEASES.items()]


def test_this_projects_own_tables_are_those(request):
    assert install_lava.missing_tables((request.config.rootpath / "pyproject.toml").read_text()) == ""


def test_an_array_of_the_users_is_not_broken():
    with pytest.raises(InputError, match="dependency-metadata is one array"):
        install_lava.missing_tables("[tool.uv]\ndependency-metadata = []\n")


def test_a_failed_installation_is_said(ran, command, monkeypatch):
    class Failed:
        returncode = 3

    monkeypatch.setattr(install_lava.subprocess, "run", lambda command, check: Failed())
    code, _, err = command("install-lava")
    assert (code, "exit code 3" in err) == (2, True)
