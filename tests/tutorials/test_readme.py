"""The code of the README and of the documentation runs, and what they name exists."""

import re
from pathlib import Path

import pytest

from pumice.cli import main

REPOSITORY = Path(__file__).parents[2]
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
BLOCKS = [
    (page, language, code)
    for page in PAGES
    for language, code in re.findall(r"^```(\{?[\w-]*\}?)[^\n]*\n(.*?)^```", page.read_text(), flags=re.M | re.S)
]
PYTHON = {
    page: [code for other, language, code in BLOCKS if other is page and language == "python"] for page in PAGES
}
README = PAGES[0].read_text()


@pytest.mark.lava
@pytest.mark.parametrize("page", [page for page, codes in PYTHON.items() if codes], ids=lambda page: page.stem)
def test_python_blocks_run(page, tmp_path, monkeypatch):
    """One after the other, as someone who reads the page would run them."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "netx_exports").symlink_to(REPOSITORY / "netx_exports")
    names = {"__name__": "page"}
    for code in PYTHON[page]:
        exec(compile(code, page.name, "exec"), names)


def test_every_block_is_either_run_or_known():
    known = {"python", "sh", "toml", "yaml", "json", "text", "", "{toctree}", "{include}"}
    assert {language for _, language, _ in BLOCKS} <= known
    assert sum(map(bool, PYTHON.values())) > 6


def test_the_readme_is_short_and_opens_with_the_two_commands():
    assert len(README.splitlines()) <= 90
    first = next(code for page, language, code in BLOCKS if page.name == "README.md" and language == "sh")
    assert re.findall(r"uv run (\S+(?: demo)?)", first) == ["pumice demo", "pytest"]


def test_the_commands_exist(capsys):
    named = {
        name for _, _, code in BLOCKS for name in re.findall(r"^(?:uv run )?pumice ([a-z][\w-]*)", code, flags=re.M)
    }
    named |= set(re.findall(r"`pumice ([a-z][\w-]*)", "".join(page.read_text() for page in PAGES)))
    assert main(["--help"]) == 0
    listed = capsys.readouterr().out
    assert len(named) > 8
    assert [name for name in sorted(named) if not re.search(rf"\b{name}\b", listed)] == []


def test_links_between_pages_lead_somewhere():
    broken = []
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+\.\w+)(?:#[\w-]+)?\)", page.read_text()):
            if not (page.parent / target).exists():
                broken.append(f"{page.name}: {target}")
    assert broken == []
