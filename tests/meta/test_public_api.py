"""What is public is listed once, and importing pumice stays light."""

import ast
import importlib
import inspect
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import pumice
from pumice import errors


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


def documented_packages():
    root = Path(pumice.__file__).parents[2]
    pages = "".join(page.read_text() for page in (root / "docs/api").glob("*.md"))
    return set(re.findall(r"automodule:: (\S+)", pages))


def raised(function):
    """Names of the errors of pumice that a function raises itself."""
    for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(function)))):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            error = getattr(errors, ast.unparse(node.exc.func), None)
            if error is not None and issubclass(error, errors.UserError):
                yield error.__name__


@pytest.mark.parametrize("package", sorted(documented_packages()))
def test_functions_classes_and_properties_say_what_they_raise(package):
    module = importlib.import_module(package)
    silent = set()
    for name in getattr(module, "__all__", ()):
        of = getattr(module, name)
        if inspect.isclass(of):
            made = [
                vars(of)[part] for part in ("__init__", "__post_init__") if inspect.isfunction(vars(of).get(part))
            ]
            told = [(f, of.__doc__) for f in made]
            told += [(p.fget, p.__doc__) for p in vars(of).values() if isinstance(p, property)]
        else:
            told = [(of, of.__doc__)] if inspect.isfunction(of) else []
        silent |= {
            f"{name}: {error}"
            for function, text in told
            if function.__code__.co_filename != "<string>"  # a dataclass's own
            for error in raised(function)
            if not re.search(rf"{error}|PumiceError|Raises: see|: See ", text or "")
        }
    assert silent == set()


def test_the_reference_has_a_page_for_every_package_with_public_names():
    """A new package is in docs/api, or its names are those of a package that is."""
    root, documented = Path(pumice.__file__).parent, documented_packages()
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
