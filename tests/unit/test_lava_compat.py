"""The archived Lava stack imports, and nobody else's dataclasses notice."""

import ast
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from pumice import lava_compat

NEEDS_COMPAT = sys.version_info >= (3, 11)
VAR_MODEL = "lava.magma.compiler.var_model"


def python(script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_pumice_first_then_lava():
    out = python(f"""
        import pumice
        import {VAR_MODEL} as var_model
        print(var_model.CoreEncoder().x == var_model.ByteEncoder())
    """)
    assert out == "True"


def test_module_is_left_as_python_310_would_leave_it():
    out = python(f"""
        import dataclasses, sys
        before = dict(vars(dataclasses))
        import pumice
        import {VAR_MODEL} as var_model
        assert var_model.dataclass is dataclasses.dataclass
        assert var_model.ByteEncoder.__hash__ is None
        assert dict(vars(dataclasses)) == before
        ours = pumice.lava_compat._temporary_hash
        print([n for n, c in vars(var_model).items() if getattr(c, "__hash__", None) is ours])
    """)
    assert out == "[]"


@pytest.mark.skipif(not NEEDS_COMPAT, reason="Lava imports by itself on Python 3.10")
def test_lava_first_fails_and_importing_pumice_mends_it():
    out = python(f"""
        try:
            import {VAR_MODEL}
        except ValueError as error:
            print("mutable default" in str(error))
        import pumice
        import {VAR_MODEL}
    """)
    assert out == "True"


@pytest.mark.skipif(not NEEDS_COMPAT, reason="Python 3.10 allows such defaults")
def test_dataclasses_of_others_are_untouched_while_lava_imports(tmp_path):
    """A user's module imported in the middle of Lava's import, and one in another thread, see Python's own rules."""
    (tmp_path / "users_module.py").write_text(
        textwrap.dedent("""
        from dataclasses import dataclass

        @dataclass
        class Point:
            x: int = 0

        assert Point.__hash__ is None
        try:
            @dataclass
            class Line:
                start: Point = Point()
        except ValueError:
            refused = True
        else:
            refused = False
        """)
    )
    out = python(f"""
        import sys, threading
        sys.path.insert(0, {str(tmp_path)!r})
        import pumice, pumice.lava_compat as compat

        own = compat.hashable_dataclass
        def during_import(cls=None, **options):
            import users_module  # runs while var_model executes
            def elsewhere():
                from dataclasses import dataclass
                global hash_elsewhere
                hash_elsewhere = dataclass(type("Other", (), {{"__annotations__": {{"x": int}}}})).__hash__
            thread = threading.Thread(target=elsewhere)
            thread.start()
            thread.join()
            return own(cls, **options)
        during_import.__name__ = own.__name__
        compat.hashable_dataclass = during_import

        import {VAR_MODEL}
        import users_module
        print(users_module.refused, hash_elsewhere, users_module.Point.__hash__)
    """)
    assert out == "True None None"


def test_lava_imports_after_a_start_method_was_chosen():
    """As by a DataLoader with workers; Lava alone fails with "context has already been set"."""
    out = python("""
        import multiprocessing
        multiprocessing.set_start_method("spawn")
        import pumice
        import lava.magma.core.process.process
        print(multiprocessing.get_start_method())
    """)
    assert out == "spawn"


def test_a_collection_says_that_it_has_no_such_member_as_python_expects():
    """Its AssertionError, which Lava's users may catch, ended `hasattr`, and on Python 3.13 unittest.mock."""
    out = python("""
        from unittest.mock import Mock
        import pumice
        from lava.magma.core.process.process import AbstractProcess
        from lava.magma.core.process.variable import Var
        class Process(AbstractProcess):
            def __init__(self):
                super().__init__()
                self.v = Var((1,))
        variables = Process().vars
        Mock(spec_set=Process())
        print(hasattr(variables, "v"), hasattr(variables, "w"))
        try:
            variables.w
        except AssertionError as error:
            print(error)
    """)
    assert out.splitlines() == [
        "True False",
        "'w' is not a member of 'Var' collection of process 'Process_0::Process'",
    ]


def test_install_is_idempotent():
    lava_compat.install()
    before = list(sys.meta_path)
    lava_compat.install()
    assert sys.meta_path == before
    assert sum(isinstance(finder, lava_compat._Finder) for finder in before) == 1


def test_installing_imports_neither_lava_nor_dataclasses():
    out = python("""
        import sys, runpy
        import importlib.util
        spec = importlib.util.find_spec("pumice")
        path = spec.submodule_search_locations[0] + "/lava_compat.py"
        heavy = {"dataclasses", "lava", "numpy"}
        before = heavy & set(sys.modules)
        runpy.run_path(path)["install"]()
        print((heavy & set(sys.modules)) - before)
    """)
    assert out == "set()"


def test_other_modules_are_not_ours_to_find():
    finder = lava_compat._Finder()
    assert finder.find_spec("lava.proc.lif.process", None) is None
    assert finder.find_spec("dataclasses", None) is None


def test_hashable_dataclass_keeps_an_own_hash():
    @lava_compat.hashable_dataclass(frozen=True)
    class Frozen:
        x: int = 0

    @lava_compat.hashable_dataclass
    class Plain:
        x: int = 0

    assert hash(Frozen(1)) == hash(Frozen(1))
    assert hash(Plain(1)) != hash(Plain(1))
    assert Plain(1) == Plain(1)


def test_what_lava_imports_for_nothing_is_imported_when_it_is_used():
    """The whole stack imports, without what is slow; the builder of kernels, too, is found when it is called."""
    out = python("""
        import sys
        import pumice.nn, pumice.backends.lava
        import lava.lib.dl.netx
        from lava.lib.dl import slayer
        from lava.proc.conv import utils
        slow = {"torchvision", "cv2", "matplotlib.pyplot", "torch._dynamo", "setuptools", "scipy.signal"}
        print(sorted(slow & set(sys.modules)))
        figure = slayer.utils.stats.plt.figure()
        print(slayer.io.animation.FuncAnimation.__name__, figure.number, utils.signal.fftconvolve([1.0, 2.0], [3.0]))
        from lava.lib.dl.slayer.neuron.dynamics import leaky_integrator
        import torch.utils.cpp_extension as real
        real.load = lambda *args, **kwargs: (args, kwargs)
        print(leaky_integrator.load("name", sources=[]))
    """)
    assert out.splitlines() == ["[]", "FuncAnimation 1 [3. 6.]", "(('name',), {'sources': []})"]


@pytest.mark.slow
def test_lava_dls_object_detection_is_imported_when_it_is_used():
    out = python("""
        import sys
        import pumice.nn
        from lava.lib.dl import slayer
        print("torchvision" in sys.modules, hasattr(slayer.obd, "no_such_name"), "torchvision" in sys.modules)
        from lava.lib.dl.slayer.object_detection.boundingbox import metrics
        print(slayer.obd.YOLOLoss.__name__, metrics.APstats.__name__)
    """)
    lines = out.splitlines()  # some are what the package itself prints
    assert "False False True" in lines
    assert lines[-1] == "YOLOLoss APstats"


def test_names_of_numpy_1_are_rewritten():
    lines = ["a = int(b[0]) + np.trapz(c)", "d = partial(np.reshape, newshape=e)", "alloc_signal[0] = f"]
    tree = ast.parse("\n".join([*lines, "def conv(x, w, s): return s"]))
    numpy2 = lava_compat._Numpy2()
    assert ast.unparse(numpy2.visit(tree)).splitlines() == [
        "a = _pumice_integer(b[0]) + np.trapezoid(c)",
        "d = partial(np.reshape, shape=e)",
        "alloc_signal[0] = _pumice_integer(f)",
        "",
        "@_pumice_with_python_numbers",
        "def conv(x, w, s):",
        "    return s",
    ]
    assert numpy2.ours == {"integer", "with_python_numbers"}


@pytest.fixture(scope="module")
def in_lava(tmp_path_factory):
    """What is printed by one process about the user's NumPy, then about Lava's computations."""
    folder = tmp_path_factory.mktemp("users")
    (folder / "users.py").write_text("import numpy as np\ndef conv(x, w, s): return int(s)\n")
    return (
        python(f"""
        import sys
        import numpy as np
        sys.path.insert(0, {str(folder)!r})
        np.lib  # some of NumPy loads its parts when they are first asked for
        def names(): return {{n: id(v) for n, v in vars(np).items() if not n.startswith("__")}}
        before, reshape = names(), np.reshape
        import pumice
        from lava.lib.dl.netx import hdf5
        from lava.proc.conv import utils
        from lava.lib.dl.slayer.object_detection.boundingbox import metrics
        import users
        changed = {{n for n, v in before.items() if names().get(n) != v}}
        def outcome(call):
            try:
                return call()
            except (TypeError, AttributeError, OverflowError) as error:
                return type(error).__name__
        print("user:", changed, np.reshape is reshape, users.conv.__module__, hasattr(users, "_pumice_integer"))
        print(outcome(lambda: np.reshape([1, 2], newshape=(2, 1)).shape), hasattr(np, "trapz"))

        from lava.magma.core.process.ports.ports import ReshapePort
        port = ReshapePort((2, 3), (6,))
        print(port.get_transform_func_fwd()(np.arange(6)).shape, port.get_transform_func_bwd()(np.ones((2, 3))).shape)
        neuron = {{"type": "CUBA", "vThMant": 5, "iDecay": 0, "vDecay": 0}}
        config = {{"shape": np.array([4]), "neuron": neuron, "weight": np.array([3]), "bias": np.array([-2])}}
        print(hdf5.Network.create_input(config)[0].transform)

        # Wider than 127 and of more than 128 channels; parameters of 8 bits, as Lava's models hold them.
        x, weight = np.ones((200, 3, 130)), np.ones((2, 3, 1, 65), np.int32)
        parameters = [np.array(v, np.int8) for v in ((3, 1), (2, 1), (1, 0), (2, 1), 2)]
        y = utils.conv(x, weight, *parameters)
        print(y.shape, y.sum(), y.dtype)
        from types import SimpleNamespace
        from lava.proc.clp.nsm.models import PyAllocatorModel
        allocator = PyAllocatorModel({{}})
        allocator.trigger_in = SimpleNamespace(recv=lambda: np.array([1]))
        allocator.allocate_out = SimpleNamespace(shape=(2,), send=print)
        allocator.next_alloc_id = np.array([3])
        allocator.run_spk()
        from lava.proc.graded.models import inv_sqrt
        print("inverse square root", inv_sqrt(np.array([1 << 20])))
        print(round(float(metrics.compute_ap(np.array([0.5, 1.0]), np.array([1.0, 0.5]))), 3))
    """)
        .partition("user: ")[2]
        .splitlines()
    )


def test_lava_computes_on_this_numpy_as_on_numpy_1(in_lava):
    lines = in_lava[2:]
    assert lines[:2] == ["(2, 3) (6,)", "{'weight': 3, 'bias': -2}"]
    assert lines[2] == "(99, 3, 2) 115440 int32"
    assert "[3 0]" in lines
    assert "inverse square root 255" in lines
    assert lines[-1] == "0.515"


def test_the_users_numpy_is_untouched(in_lava):
    first, second = in_lava[:2]
    assert first == "set() True users False"
    has_old_names = np.lib.NumpyVersion(np.__version__) < "2.4.0"
    assert second == ("(2, 1) True" if has_old_names else "TypeError False")
