"""Rules about the repository itself."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEST_FILES = sorted((ROOT / "tests").rglob("test_*.py"))
TUTORIALS = sorted((ROOT / "tutorials").glob("[0-9]*.py"))


def tracked_files():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def bare_comparisons(tree):
    """Statements that compute a comparison and drop it: a test that cannot fail."""
    checks = {"array_equal", "allclose", "equal", "isclose", "all", "any", "first_difference"}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Expr):
            continue
        if isinstance(node.value, ast.Compare):
            yield node.lineno
        elif isinstance(node.value, ast.Call):
            function = node.value.func
            if getattr(function, "attr", getattr(function, "id", None)) in checks:
                yield node.lineno


@pytest.mark.parametrize("path", TEST_FILES, ids=lambda p: p.stem)
def test_no_comparison_is_dropped(path):
    assert not list(bare_comparisons(ast.parse(path.read_text())))


def test_the_rule_above_can_fail():
    tree = ast.parse("np.array_equal(a, b)\na == b\nassert a == b\ntorch.allclose(a, b)")
    assert list(bare_comparisons(tree)) == [1, 2, 4]


def test_paths_named_in_the_documents_exist():
    for document in ("README.md", "CONTRIBUTING.md", "src/pumice/netx/FORMAT.md"):
        text = (ROOT / document).read_text()
        for name in re.findall(r"`((?:src|tests|scripts|tutorials|netx_exports|benchmarks|\.ci)/[\w./-]*)`", text):
            assert (ROOT / name).exists(), f"{document} names {name}, which does not exist"


def test_identifiers_are_in_american_spelling():
    """As torch's are; what `nn/kernels` registers keeps its name, which exported programs call."""
    british = re.compile(r"quantis|normalis|regularis|optimis|initialis|summaris|equalis|serialis|colour|centre|grey")
    found = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())) if path.parent.name != "kernels" else ():
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                found.add(node.name)
            elif isinstance(node, ast.arg):
                found.add(node.arg)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                found.add(node.id)
    assert not [name for name in found if british.search(name.lower())]


def test_each_benchmark_and_script_is_named_where_it_is_looked_for():
    listed = (ROOT / "benchmarks/README.md").read_text()
    assert not [path.name for path in (ROOT / "benchmarks").glob("*.py") if f"`{path.name}`" not in listed]
    texts = {path: path.read_text() for path in tracked_files() if path.suffix in {".md", ".py", ".sh"}}
    for script in (ROOT / "scripts").iterdir():
        name = script.stem if script.suffix == ".py" else script.name  # modules are imported too
        assert script.is_dir() or any(name in text for path, text in texts.items() if path != script), script.name


def test_tutorials_show_the_figures_that_there_are():
    shown = [name for path in TUTORIALS for name in re.findall(r"!\[[^]]+\]\((.+?)\)", path.read_text())]
    assert sorted(shown) == sorted(f"figures/{path.name}" for path in (ROOT / "tutorials/figures").iterdir())


@pytest.mark.parametrize("path", TUTORIALS[1:], ids=lambda p: p.stem)
def test_a_tutorials_network_takes_at_most_30_lines(path):
    """The class, and what is built of it at once."""
    statements = ast.parse(path.read_text()).body
    network = [s for s in statements if ast.unparse(s).startswith(("class ", "model = "))]
    assert any(isinstance(s, ast.ClassDef) for s in network)
    assert sum(s.end_lineno - s.lineno + 1 for s in network) <= 30


def test_no_tracked_file_names_a_machine_or_a_registry():
    pattern = re.compile(rb"(?<![\w.])/(?:work|root|home/\w+)/|https?://[^ \"']+/simple\b")
    for path in tracked_files():
        if path.suffix in {".net", ".npz", ".png"} or path == Path(__file__):
            continue
        found = pattern.search(path.read_bytes())
        assert not found, f"{path.relative_to(ROOT)}: {found.group()}"


def test_no_lock_file_is_tracked():
    assert not [p for p in tracked_files() if p.name in {"uv.lock", "poetry.lock"}]
