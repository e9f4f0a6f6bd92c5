"""Pages of the documentation and notebooks, made of tutorials/*.py, which are the one source of both.

Run: uv run python scripts/tutorial_pages.py FOLDER
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any, NamedTuple

TUTORIALS = Path(__file__).parents[1] / "tutorials"
MARK = "# %%"


class Cell(NamedTuple):
    """A piece of a tutorial: "markdown", or "code", and its text."""

    kind: str
    text: str


def sources() -> list[Path]:
    """All tutorials, in the order in which they are to be read."""
    return sorted(TUTORIALS.glob("[0-9]*.py"))


def cells(text: str) -> list[Cell]:
    """Split a file in the percent format; what is before the first mark is no cell."""
    found: list[Cell] = []
    for part in f"\n{text}".split(f"\n{MARK}")[1:]:
        head, _, body = part.partition("\n")
        lines = body.rstrip().splitlines()
        if "[markdown]" in head:
            lines = [line.removeprefix("#").removeprefix(" ") for line in lines]
            found.append(Cell("markdown", "\n".join(lines).strip()))
        else:
            found.append(Cell("code", "\n".join(lines).strip("\n")))
    return found


def title_of(found: list[Cell]) -> str:
    """The first heading."""
    return next(line.lstrip("# ") for cell in found for line in cell.text.splitlines() if line.startswith("# "))


def as_page(found: list[Cell], name: str) -> str:
    """Markdown for Sphinx, with links to the notebook and to the program behind the heading."""
    first, *others = found
    heading, _, rest = first.text.partition("\n")
    links = f"As a notebook: {{download}}`{name}.ipynb`; as a program: {{download}}`{name}.py`."
    shown = [heading, links, rest.strip()]
    shown += [f"```python\n{cell.text}\n```" if cell.kind == "code" else cell.text for cell in others]
    return "\n\n".join(shown) + "\n"


def as_notebook(found: list[Cell]) -> dict[str, Any]:
    """A notebook of Jupyter (nbformat 4.5), not run yet."""
    return {
        "cells": [
            {
                "cell_type": cell.kind,
                "id": f"cell-{number:02}",
                "metadata": {},
                "source": cell.text.splitlines(keepends=True),
                **({"execution_count": None, "outputs": []} if cell.kind == "code" else {}),
            }
            for number, cell in enumerate(found)
        ],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def write(folder: Path) -> None:
    """Write pages, notebooks, programs, figures and an index; a file whose content is the same stays as it is."""
    shutil.copytree(TUTORIALS / "figures", folder / "figures", dirs_exist_ok=True)
    index = ["# Tutorials", "", "Each is a page, a notebook, and a program in `tutorials/`.", ""]
    index += ["```{toctree}", ":maxdepth: 1", ""]
    for source in sources():
        found = cells(source.read_text(encoding="utf-8"))
        _put(folder / f"{source.stem}.md", as_page(found, source.stem))
        _put(folder / f"{source.stem}.ipynb", json.dumps(as_notebook(found), indent=1) + "\n")
        _put(folder / source.name, source.read_text(encoding="utf-8"))
        index.append(source.stem)
    _put(folder / "index.md", "\n".join([*index, "```", ""]))


def _put(path: Path, text: str) -> None:
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    write(Path(sys.argv[1]))
