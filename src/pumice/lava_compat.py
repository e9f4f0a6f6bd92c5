"""Lets the archived Lava stack (lava-nc 0.10.0, lava-dl 0.6.0) import, unmodified, where by itself it cannot.

Python >= 3.11: one module of Lava uses instances of its own dataclasses as field defaults, which Python >= 3.11
refuses, since a dataclass has no hash. So, while that one module executes, the decorator that it imports gives each
class a hash, which is taken away again once the module is complete: its classes end up exactly as on Python 3.10. No
file is changed and nothing outside the module is touched, so every other dataclass is left alone.

NumPy 2: six modules name what NumPy has renamed since (`reshape(newshape=)`, `trapz`), take an array of one element
for a number, or compute with parameters of a convolution as 8-bit integers, which overflow at 128 (NEP 50). As they
are loaded, these places are rewritten to mean what they meant under NumPy 1; NumPy itself is not touched.

Python >= 3.13: `unittest.mock` asks every attribute of an object whether it wraps another, and the collections of a
process (its ports and variables) answer such a question with an AssertionError, which ends it. What they raise is an
AttributeError, too, so that `hasattr` is False, on every Python.

After any use of multiprocessing (a torch DataLoader with workers, say): another module of Lava chooses a start method
when it is imported, which Python allows only once. The program's own choice is put aside while that module executes.

Quickly: lava imports an object-detection package (torchvision, OpenCV, torch's compiler), matplotlib, scipy.signal
and torch's C++ builder, which training and running spiking networks never touch. They wait for their first use.

Import pumice before lava. Where lava came first and failed ("mutable default ... is not allowed", "context has
already been set"), import pumice, then import lava again.
"""

from __future__ import annotations

import ast
import sys
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from threading import RLock
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import CodeType, ModuleType

__all__ = ["RELEASES", "install"]

RELEASES = {"lava-nc": "0.10.0", "lava-dl": "0.6.0"}
"""The releases that are mended here, the last there are."""


def install() -> None:
    """Make the next import of Lava work on this Python; cheap, and calling it twice changes nothing.

    Example:
        >>> install()
    """
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def hashable_dataclass(cls: type | None = None, **options: Any) -> type | Callable[[type], type]:
    """`dataclasses.dataclass`, except that instances have a hash until `_DataclassLoader` has finished the module."""
    import dataclasses  # slow to import, and needed only when Lava is

    def decorate(target: type) -> type:
        made: Any = dataclasses.dataclass(**options)(target)
        if made.__hash__ is None:
            made.__hash__ = _temporary_hash
        return cast("type", made)

    return decorate if cls is None else decorate(cls)


def _temporary_hash(self: object) -> int:
    return id(self)


class _Finder:
    """Finds the affected modules where Python's own finder does, and has them loaded by ours."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        loader = _LOADERS.get(fullname)
        if loader is None:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.origin is not None and type(spec.loader) is SourceFileLoader:
            spec.loader = loader(fullname, spec.origin)
        return spec


class Deferred:
    """Stands for a module, or for a name in it, which is imported when it is first used.

    Example:
        >>> Deferred("math").floor(2.5), Deferred("math", "floor")(2.5)
        (2, 2)
    """

    def __init__(self, module: str, name: str | None = None) -> None:
        self._module, self._name = module, name

    def _meant(self) -> Any:
        module = import_module(self._module)
        return module if self._name is None else getattr(module, self._name)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._meant(), name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call what is meant."""
        return self._meant()(*args, **kwargs)


class _RewritingLoader(SourceFileLoader):
    """Executes a module with some of its imports replaced; no file is changed."""

    def get_code(self, fullname: str) -> CodeType:
        """Compile what is rewritten; bypasses the bytecode cache, which processes without pumice share."""
        path = self.get_filename(fullname)
        tree = ast.parse(self.get_data(path), filename=path)
        tree.body = [new for node in tree.body for new in self.rewritten(node)]
        code: CodeType = compile(ast.fix_missing_locations(tree), path, "exec", dont_inherit=True)
        return code

    def rewritten(self, node: ast.stmt) -> list[ast.stmt]:
        """What takes the place of a statement of the module."""
        raise NotImplementedError


class _DeferringLoader(_RewritingLoader):
    """Executes a module with `Deferred` for what it imports from packages that are slow to import."""

    def rewritten(self, node: ast.stmt) -> list[ast.stmt]:
        """Assignments in place of imports."""
        meant: list[tuple[str, tuple[str, ...]]]
        match node:
            case ast.Import([ast.alias("matplotlib.pyplot" as module, str(local))]):
                meant = [(local, (module,))]
            case ast.ImportFrom("matplotlib" | "scipy" as package, names):
                meant = [(alias.asname or alias.name, (f"{package}.{alias.name}",)) for alias in names]
            case ast.ImportFrom("torch.utils.cpp_extension" as module, names):
                meant = [(alias.asname or alias.name, (module, alias.name)) for alias in names]
            case _:
                return [node]
        ours = ast.ImportFrom(__name__, [ast.alias(Deferred.__name__)], 0)
        made = [ast.parse(f"{local} = {Deferred.__name__}{call!r}").body[0] for local, call in meant]
        return [ast.copy_location(new, node) for new in (ours, *made)]


class _OnDemandLoader(SourceFileLoader):
    """Executes a module when one of its names is first asked for."""

    def exec_module(self, module: ModuleType) -> None:
        """Wait (PEP 562)."""
        execute, lock, begun = super().exec_module, RLock(), False

        def __getattr__(name: str) -> Any:  # noqa: N807
            nonlocal begun
            if not name.startswith("__"):
                with lock:
                    if not begun:
                        begun = True
                        execute(module)
                    if name in vars(module):
                        return vars(module)[name]
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")

        vars(module)["__getattr__"] = __getattr__


class _DataclassLoader(_RewritingLoader):
    """Executes a module with `hashable_dataclass` as its `dataclass`."""

    def rewritten(self, node: ast.stmt) -> list[ast.stmt]:
        """One import more."""
        if not (isinstance(node, ast.ImportFrom) and node.module == "dataclasses"):
            return [node]
        ours = ast.ImportFrom(__name__, [ast.alias(hashable_dataclass.__name__, "dataclass")], 0)
        return [node, ast.copy_location(ours, node)]

    def exec_module(self, module: ModuleType) -> None:
        """Execute, then leave the module as Python 3.10 would have."""
        from dataclasses import dataclass

        super().exec_module(module)
        module.dataclass = dataclass  # type: ignore[attr-defined]
        for value in vars(module).values():
            if isinstance(value, type) and vars(value).get("__hash__") is _temporary_hash:
                value.__hash__ = None  # type: ignore[assignment]


class NoSuchMemberError(AssertionError, AttributeError):
    """What Lava raises where a collection has no such member, and what Python expects.

    Example:
        >>> issubclass(NoSuchMemberError, AssertionError) and issubclass(NoSuchMemberError, AttributeError)
        True
    """


class _CollectionLoader(_RewritingLoader):
    """Executes a module whose class `Collection` raises `NoSuchMemberError` for AssertionError."""

    def rewritten(self, node: ast.stmt) -> list[ast.stmt]:
        """The class, after an import for it."""
        if not (isinstance(node, ast.ClassDef) and node.name == "Collection"):
            return [node]
        local = f"_pumice_{NoSuchMemberError.__name__}"
        for name in ast.walk(node):
            if isinstance(name, ast.Name) and name.id == AssertionError.__name__:
                name.id = local
        ours = ast.ImportFrom(__name__, [ast.alias(NoSuchMemberError.__name__, local)], 0)
        return [ast.copy_location(ours, node), node]


class _StartMethodLoader(SourceFileLoader):
    """Executes a module that chooses multiprocessing's start method, which may have been chosen before."""

    def exec_module(self, module: ModuleType) -> None:
        """Execute as if nothing had been chosen, then restore what had."""
        import multiprocessing

        chosen = multiprocessing.get_start_method(allow_none=True)
        if chosen is not None:
            multiprocessing.set_start_method(None, force=True)
        try:
            super().exec_module(module)
        finally:
            if chosen is not None:
                multiprocessing.set_start_method(chosen, force=True)


def integer(value: Any) -> int:
    """`int(value)`, also of an array of one element, as NumPy 1 had it.

    Example:
        >>> import numpy as np
        >>> integer(np.array([3])), integer("4")
        (3, 4)
    """
    return int(value.item() if getattr(value, "ndim", 0) else value)


def with_python_numbers(convolve: Callable[..., Any]) -> Callable[..., Any]:
    """A convolution whose parameters, what follows input and weight, are made Python's integers: they never overflow.

    Example:
        >>> import numpy as np
        >>> with_python_numbers(lambda x, weight, stride: 200 + stride[0])(None, None, np.array([100], np.int8))
        300
    """
    from functools import wraps

    @wraps(convolve)
    def call(input_: Any, weight: Any, *parameters: Any) -> Any:
        return convolve(input_, weight, *(getattr(p, "tolist", lambda p=p: p)() for p in parameters))

    return call


class _Numpy2(ast.NodeTransformer):
    """Writes the names of NumPy 2, and `integer` for `int`; notes which functions of this module that takes."""

    def __init__(self) -> None:
        self.ours: set[str] = set()

    def visit_keyword(self, node: ast.keyword) -> ast.AST:
        node.arg = "shape" if node.arg == "newshape" else node.arg
        return self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        node.attr = "trapezoid" if node.attr == "trapz" else node.attr
        return self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        if ast.unparse(node.targets[0]) == "alloc_signal[0]":
            node.value = ast.Call(ast.Name(self._of_ours(integer), ast.Load()), [node.value], [])
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if isinstance(node.func, ast.Name) and node.func.id == "int":
            node.func.id = self._of_ours(integer)
        return self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        if node.name == "conv":
            node.decorator_list.append(ast.Name(self._of_ours(with_python_numbers), ast.Load()))
        return self.generic_visit(node)

    def _of_ours(self, function: Callable[..., Any]) -> str:
        self.ours.add(function.__name__)
        return f"_pumice_{function.__name__}"


def _in_numpy2(node: ast.stmt) -> list[ast.stmt]:
    """The statement in the words of the NumPy that is there, after imports of what it takes."""
    import numpy as np

    if np.lib.NumpyVersion(np.__version__) < "2.1.0":  # the first to know `reshape(shape=)`
        return [node]
    numpy2 = _Numpy2()
    new: ast.stmt = numpy2.visit(node)
    names = [ast.alias(name, f"_pumice_{name}") for name in sorted(numpy2.ours)]
    ours = [ast.copy_location(ast.ImportFrom(__name__, names, 0), node)] if names else []
    return [*ours, new]


class _Numpy2Loader(_RewritingLoader):
    """Executes a module that was written for NumPy 1 on the NumPy that is there."""

    def rewritten(self, node: ast.stmt) -> list[ast.stmt]:
        """The statement in NumPy's present words."""
        return _in_numpy2(node)


class _ConvolutionLoader(_DeferringLoader):
    """Both for one module."""

    def rewritten(self, node: ast.stmt) -> list[ast.stmt]:
        """One after the other."""
        return [new for first in _in_numpy2(node) for new in super(_ConvolutionLoader, self).rewritten(first)]


# Found by importing every module of both packages, and by their own suites; they are archived: this will not change.
_LOADERS: dict[str, type[SourceFileLoader]] = {
    "lava.magma.runtime.message_infrastructure.multiprocessing": _StartMethodLoader,
    "lava.magma.core.process.process": _CollectionLoader,
    "lava.proc.conv.utils": _ConvolutionLoader,
    "lava.magma.core.process.ports.ports": _Numpy2Loader,
    "lava.proc.clp.nsm.models": _Numpy2Loader,
    "lava.proc.graded.models": _Numpy2Loader,
    "lava.lib.dl.netx.hdf5": _Numpy2Loader,
    "lava.lib.dl.slayer.object_detection.boundingbox.metrics": _Numpy2Loader,
    "lava.lib.dl.slayer.object_detection": _OnDemandLoader,
    **{
        f"lava.lib.dl.slayer.{name}": _DeferringLoader
        for name in (
            "io",
            "utils.stats",
            "utils.filter.conv",
            "utils.time.shift",
            "neuron.dynamics.leaky_integrator",
            "neuron.dynamics.adaptive_threshold",
            "neuron.dynamics.adaptive_phase_th",
            "neuron.dynamics.adaptive_resonator",
            "neuron.dynamics.resonator",
        )
    },
}
if sys.version_info >= (3, 11):
    _LOADERS["lava.magma.compiler.var_model"] = _DataclassLoader
