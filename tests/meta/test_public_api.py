"""What is public is listed once, and importing pumice stays light."""

import inspect
import subprocess
import sys

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
