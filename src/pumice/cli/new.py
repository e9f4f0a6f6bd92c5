"""`pumice new`: a folder to begin with."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Annotated

import typer

from pumice.errors import InputError
from pumice.files.folders import make_folder
from pumice.files.write import replace_atomically

TEMPLATE = Path(__file__).parent / "template"
FILES = ("recipe.toml", "network.py", "data.py", "test_network.py")


def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The folder, which must not exist or be empty.")],
) -> None:
    """Make the folder NAME with a recipe, a network, a data loader and a test, to be changed to your own."""
    folder = Path(name)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", folder.name):
        raise InputError(f"NAME must be letters, digits, '.', '_' and '-', got {name!r}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} exists and is not empty; choose another name")
    make_folder(folder)
    for file in FILES:
        text = (TEMPLATE / file).read_text(encoding="utf-8").replace("NAME", folder.name)
        with replace_atomically(folder / file) as temporary:
            temporary.write_text(text, encoding="utf-8")
    print(
        f"{folder}: {', '.join(FILES)}\n\n"
        f"cd {shlex.quote(str(folder))}\n"
        "pumice train recipe.toml\n"
        f"pumice lower runs/{folder.name}/checkpoint.pt -o {folder.name}.net\n"
        f"pumice verify {folder.name}.net"
    )
