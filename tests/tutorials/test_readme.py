"""The README's code runs, and what it names exists."""

import re
from pathlib import Path

import pytest

from pumice.cli import main

REPOSITORY = Path(__file__).parents[2]
README = (REPOSITORY / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, flags=re.M | re.S)


@pytest.mark.lava
@pytest.mark.parametrize("code", [code for language, code in BLOCKS if language == "python"])
def test_python_blocks_run(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "netx_exports").symlink_to(REPOSITORY / "netx_exports")
    exec(compile(code, "README.md", "exec"), {})


def test_every_block_is_either_run_or_known():
    assert [language for language, _ in BLOCKS] == ["sh", "python", "python", "sh", "sh", "", "python"]


def test_it_opens_with_the_two_commands():
    first = next(code for _, code in BLOCKS)
    assert re.findall(r"uv run (\S+(?: demo)?)", first) == ["pumice demo", "pytest"]


def test_the_commands_exist(capsys):
    (usage,) = (code for language, code in BLOCKS if not language)
    named = re.findall(r"^pumice (\w+)", usage, flags=re.M)
    assert main(["--help"]) == 0
    listed = capsys.readouterr().out
    assert all(re.search(rf"\b{name}\b", listed) for name in named), named
