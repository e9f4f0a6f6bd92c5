"""The code of the README and of the documentation runs, and what they name exists."""

import re
import shlex
from pathlib import Path

import pytest

from pumice.cli import main
from pumice.data import load_digits
from pumice.files.limits import COMPRESSION, EXPANSION, LARGE_BYTES, SMALL_BYTES
from pumice.fixedpoint.formats import DELAY_STEPS
from pumice.hardware import load_constants
from pumice.netx.long_delays import LONGEST
from pumice.sweep import parse_space
from pumice.train import find_recipe
from pumice.train.build import build_network

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


@pytest.mark.parametrize("page", [*PAGES, *sorted((REPOSITORY / "tutorials").glob("*.py"))], ids=lambda p: p.stem)
def test_no_name_of_old_is_shown(page):
    old = re.findall(r'^ +"(\w+)": "pumice', (REPOSITORY / "src/pumice/nn/__init__.py").read_text(), flags=re.M)
    assert "deploy" in old
    shown = re.findall(r"`(?:nn\.)?(\w+)(?:\(\))?`", page.read_text())
    assert {*shown} & ({*old} - {"from_nir"}) == set()


def test_limits_are_those_of_the_code():
    pages = {page.name: page.read_text() for page in PAGES}
    pages["FORMAT.md"] = (REPOSITORY / "src/pumice/netx/FORMAT.md").read_text()
    words = load_constants().words
    stated = {
        "FORMAT.md": f"| `delay` | steps | 0..{LONGEST}; beyond {DELAY_STEPS.high},",
        "limits.md": f"delays of {DELAY_STEPS.high + 1} to {LONGEST} are read",
        "plan.md": f"share a pool of {words('pool_words'):,}; {words('state_words'):,} words of neuron states",
        "security.md": f"{SMALL_BYTES >> 20} MiB whatever its size, for {COMPRESSION} times its size up to "
        f"{LARGE_BYTES >> 30} GiB, and for {EXPANSION} times its size beyond",
    }
    assert [name for name, text in stated.items() if text not in " ".join(pages[name].split())] == []


def test_the_sweep_that_is_shown_has_networks():
    shown = next(code for page, language, code in BLOCKS if page.stem == "sweep" and language == "sh")
    words = shlex.split(shown.replace("\\\n", " ").splitlines()[-1])
    recipe = find_recipe(words[2]).overridden([words[words.index("--set") + 1]])
    space = parse_space(words[words.index("--over") + 1 :])
    assert len(space) == 3
    for key, value in ((key, value) for key, values in space.items() for value in values.examples()):
        assert build_network(recipe.overridden([f"{key}={value}"]), load_digits()) is not None


def test_links_between_pages_lead_somewhere():
    broken = []
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+\.\w+)(?:#[\w-]+)?\)", page.read_text()):
            if not (page.parent / target).exists():
                broken.append(f"{page.name}: {target}")
    assert broken == []
