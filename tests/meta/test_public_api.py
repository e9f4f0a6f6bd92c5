"""What is public is listed once, and importing pumice stays light."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pumice


def test_every_public_name_resolves():
    for name in pumice.__all__:
        assert getattr(pumice, name) is not None
    assert dir(pumice) == pumice.__all__


def test_an_unknown_name_is_an_attribute_error():
    assert not hasattr(pumice, "no_such_name")


def imported_by(code):
    program = f"import sys\n{code}\nprint(sorted({{m.partition('.')[0] for m in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout


def test_importing_pumice_loads_neither_torch_nor_lava():
    assert not {"'torch'", "'lava'", "'h5py'"} & set(imported_by("import pumice").strip("[]\n").split(", "))


def test_the_deployment_side_needs_neither_torch_nor_lava():
    code = "import pumice, pumice.netx, pumice.backends.reference, pumice.backends.verify, pumice.cli\npumice.load"
    assert not {"'torch'", "'lava'"} & set(imported_by(code).strip("[]\n").split(", "))


def test_lower_is_a_plain_function():
    import pumice.lowering  # as any other submodule may be

    assert pumice.lower is pumice.lower is pumice.lowering.lower
    assert list(inspect.signature(pumice.lower).parameters)[:2] == ["model", "example_input"]


def test_the_reference_has_a_page_for_every_package_with_public_names():
    """A new package is in docs/api, or its names are those of a package that is."""
    root = Path(pumice.__file__).parent
    pages = "".join(page.read_text() for page in (root.parents[1] / "docs/api").glob("*.md"))
    documented = set(re.findall(r"automodule:: (\S+)", pages))
    inner = (
        "pumice.lowering",
        "pumice.backends.reference",
        "pumice.backends.fast.",
        "pumice.nn.",
        "pumice.ir.",
        "pumice.netx.",
    )
    # Of these the parent gives the names on that are for users.
    missing = []
    for file in sorted(root.rglob("__init__.py")):
        name = ".".join(("pumice", *file.parent.relative_to(root).parts))
        if "\n__all__ = [" in file.read_text() and name not in documented and not name.startswith(inner):
            missing.append(name)
    assert missing == []
