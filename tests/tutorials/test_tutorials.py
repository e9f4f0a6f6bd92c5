"""Each tutorial runs as the notebook that is made of it, at reduced size, in a process of its own."""

import importlib.util
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TUTORIALS = sorted((ROOT / "tutorials").glob("[0-9]*.py"))
RUN_CELLS = """
import json, sys
names = {"__name__": "__main__"}
for number, cell in enumerate(json.load(open(sys.argv[1], encoding="utf-8"))["cells"]):
    if cell["cell_type"] == "code":
        exec(compile("".join(cell["source"]), f"cell {number}", "exec"), names)
"""


@pytest.fixture(scope="module")
def pages():
    """The script, as a module."""
    spec = importlib.util.spec_from_file_location("tutorial_pages", ROOT / "scripts" / "tutorial_pages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def written(pages, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    pages.write(folder)
    return folder


def test_there_are_tutorials():
    assert TUTORIALS


def test_cells_are_split_at_their_marks(pages):
    text = "# %% [markdown]\n# # Title\n#\n# text\n\n# %%\nx = 1  # %% no mark\n\n\ny = 2\n"
    assert pages.cells(text) == [("markdown", "# Title\n\ntext"), ("code", "x = 1  # %% no mark\n\n\ny = 2")]


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda p: p.stem)
def test_a_notebook_holds_all_of_its_program(written, path):
    notebook = json.loads((written / f"{path.stem}.ipynb").read_text())
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    texts = ["".join(cell["source"]) for cell in notebook["cells"]]
    kinds = [cell["cell_type"] for cell in notebook["cells"]]
    as_program = [
        line
        for kind, text in zip(kinds, texts, strict=True)
        for line in (text.splitlines() if kind == "code" else [f"# {line}".rstrip() for line in text.splitlines()])
    ]
    expected = [line for line in path.read_text().splitlines() if not line.startswith("# %%")]
    assert [line for line in as_program if line] == [line for line in expected if line]
    assert len({cell["id"] for cell in notebook["cells"]}) == len(texts) > 5


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda p: p.stem)
def test_a_page_shows_what_there_is(written, path):
    page = (written / f"{path.stem}.md").read_text()
    assert page.startswith("# ")
    assert page.count("```python") == path.read_text().count("\n# %%\n")
    for line in page.splitlines():
        if line.startswith("!["):
            assert (written / line.partition("](")[2].rstrip(")")).exists()
    assert path.stem in (written / "index.md").read_text()


@pytest.mark.lava
@pytest.mark.parametrize("path", TUTORIALS, ids=lambda p: p.stem)
def test_it_runs(written, path, tmp_path, run_warm):
    notebook = str(written / f"{path.stem}.ipynb")
    done = run_warm(RUN_CELLS, notebook, folder=tmp_path, timeout=300, PUMICE_TUTORIAL_SMALL="1")
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.iterdir())
