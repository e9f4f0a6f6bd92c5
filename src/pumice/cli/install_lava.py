"""`pumice install-lava`: the archived Lava stack, without the old packages that it claims to need."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from pumice.errors import InputError
from pumice.files.write import replace_atomically
from pumice.lava_compat import RELEASES

_TABLE = """
[[tool.uv.dependency-metadata]]
name = "{name}"
version = "{version}"
requires-dist = []
"""


def install_lava(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
) -> None:
    """Install lava-nc and lava-dl into this environment, or into the uv project around the current folder.

    Both are archived and claim to need Python 3.10, NumPy 1 and torch 2.3; what they do need comes with
    pumice[lava] and pumice[train]. In a folder below a uv.lock, the project's pyproject.toml gets two tables that
    tell uv so, and the packages become its dependencies.
    """
    project = uv_project(Path.cwd())
    table = "" if project is None else missing_tables((project / "pyproject.toml").read_text(encoding="utf-8"))
    command = command_to_install(project)
    if project is not None and table:
        print(f"{project / 'pyproject.toml'}: add{table}")
    print(" ".join(command))
    if dry_run:
        return
    if project is not None and table:
        path = project / "pyproject.toml"
        text = path.read_text(encoding="utf-8")
        with replace_atomically(path) as temporary:
            temporary.write_text(f"{text.rstrip()}\n{table}", encoding="utf-8")
    code = subprocess.run(command, check=False).returncode
    if code:
        raise InputError(f"{command[0]} ended with exit code {code}; its messages are above")


def uv_project(folder: Path) -> Path | None:
    """The nearest folder, this one or above, with a uv.lock beside its pyproject.toml."""
    for candidate in (folder, *folder.parents):
        if (candidate / "uv.lock").is_file() and (candidate / "pyproject.toml").is_file():
            return candidate
    return None


def missing_tables(text: str) -> str:
    """What a pyproject.toml lacks, to be written behind it.

    Raises:
        InputError: It has the key in another form, which text behind it would contradict.

    Example:
        >>> missing_tables("[project]").count("[[tool.uv.dependency-metadata]]")
        2
        >>> missing_tables(missing_tables("[project]"))
        ''
    """
    lines = [line.replace(" ", "").replace("'", '"') for line in text.splitlines()]
    if any(line.startswith(("dependency-metadata=", "tool.uv.dependency-metadata=")) for line in lines):
        raise InputError(
            "pyproject.toml: dependency-metadata is one array; write it as tables "
            "[[tool.uv.dependency-metadata]], or add lava-nc and lava-dl with requires-dist = [] to it"
        )
    begins = [i for i, line in enumerate(lines) if line.startswith("[[tool.uv.dependency-metadata]]")]
    described = {line for i in begins for line in lines[i + 1 : i + 4]}
    return "".join(
        _TABLE.format(name=name, version=version)
        for name, version in RELEASES.items()
        if f'name="{name}"' not in described
    )


def command_to_install(project: Path | None) -> list[str]:
    """Uv's or pip's.

    Raises:
        InputError: There is neither.
    """
    pins = [f"{name}=={version}" for name, version in RELEASES.items()]
    uv = shutil.which("uv")
    if project is not None:
        if uv is None:
            raise InputError(f"{project} is a project of uv, which is not on the PATH")
        return [uv, "add", "--project", str(project), *pins]
    if find_spec("pip") is not None:
        return [sys.executable, "-m", "pip", "install", "--no-deps", "--ignore-requires-python", *pins]
    if uv is not None:
        return [uv, "pip", "install", "--python", sys.executable, "--no-deps", *pins]
    raise InputError(f"neither pip nor uv is there to install {' '.join(pins)}; install pip: python -m ensurepip")
