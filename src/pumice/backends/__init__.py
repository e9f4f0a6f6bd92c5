"""Backends: each runs a graph, and all give the same integers."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.backends.base import AbstractBackend, Record, RunResult
from pumice.errors import InputError, MissingExtraError
from pumice.ir import Graph

__all__ = ["BACKEND_NAMES", "AbstractBackend", "Record", "RunResult", "get_backend", "run"]

# name: (module, class, top-level packages it needs, extra that installs them)
_BACKENDS: dict[str, tuple[str, str, tuple[str, ...], str]] = {
    "reference": ("pumice.backends.reference", "ReferenceBackend", (), ""),
    "fast": ("pumice.backends.fast", "FastBackend", (), ""),
    "lava": ("pumice.backends.lava", "LavaBackend", ("lava", "scipy", "networkx"), "lava"),
}
BACKEND_NAMES = tuple(_BACKENDS)


def get_backend(name: str) -> AbstractBackend:
    """The backend called `name`.

    Raises:
        InputError: There is no such backend.
        MissingExtraError: Its optional dependency is not installed.

    Example:
        >>> get_backend("reference").name
        'reference'
    """
    if name not in _BACKENDS:
        raise InputError(f"unknown backend {name!r}; there are: {', '.join(BACKEND_NAMES)}")
    module, class_name, packages, extra = _BACKENDS[name]
    try:
        backend: AbstractBackend = getattr(import_module(module), class_name)()
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.partition(".")[0] in packages:
            raise MissingExtraError(error.name, extra, f"the {name} backend") from error
        raise
    return backend


def run(
    graph: Graph, x: npt.NDArray[np.integer[Any]], *, backend: str = "reference", record: bool = False
) -> RunResult:
    """Run `graph` from rest on the stream `x` with the backend of the given name; see `AbstractBackend.run`.

    Example:
        >>> from pumice.ir.builder import chain
        >>> run(chain((4,), [3, 2], seed=0), np.ones((5, 4), int)).spikes.shape
        (5, 2)
    """
    return get_backend(backend).run(graph, x, record=record)
