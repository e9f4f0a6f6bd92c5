"""Backends: each runs a graph, and all give the same integers."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from pumice import names
from pumice.backends.base import AbstractBackend, Record, RunResult
from pumice.backends.samples import Layout, has_torch_layout, run_samples
from pumice.errors import InputError, MissingExtraError
from pumice.ir import Graph
from pumice.ir.verify import checked_graph

__all__ = ["BACKEND_NAMES", "AbstractBackend", "Record", "RunResult", "get_backend", "run"]

# name: (module, class, top-level packages it needs, extra that installs them)
_LAVA = ("lava", "scipy", "networkx")
_BACKENDS: dict[str, tuple[str, str, tuple[str, ...], str]] = {
    "reference": ("pumice.backends.reference", "ReferenceBackend", (), ""),
    "fast": ("pumice.backends.fast", "FastBackend", (), ""),
    "lava": ("pumice.backends.lava", "LavaBackend", _LAVA, "lava"),
    "lava-one-process": ("pumice.backends.lava", "LavaOneProcessBackend", _LAVA, "lava"),
    "lava-in-threads": ("pumice.backends.lava", "LavaInThreadsBackend", _LAVA, "lava"),
    "torch": ("pumice.backends.torch", "TorchBackend", ("torch",), "train"),
    "loihi2": ("pumice.backends.loihi2", "Loihi2Backend", _LAVA, "lava"),
}
BACKEND_NAMES = tuple(_BACKENDS)
SIMULATORS = tuple(name for name in BACKEND_NAMES if name not in {"loihi2", "lava-in-threads"})
"""Backends that need no chip, Lava's models once: `pumice verify` runs all that are installed."""
BACKENDS_HELP = f'{", ".join(BACKEND_NAMES)}, or "package.module:Class" of your own'
DEFAULT = "fast"
AnyBackend = str | AbstractBackend | type[AbstractBackend]
"""A backend's name, itself, or its class."""


def get_backend(backend: AnyBackend) -> AbstractBackend:
    """A backend: by name, of a class, or itself.

    Args:
        backend: One of `BACKEND_NAMES`; "package.module:Class" of your own; a subclass of `AbstractBackend`, or an
            instance of one.

    Raises:
        InputError: There is no such backend.
        MissingExtraError: Its optional dependency is not installed.
        MissingExtensionError: Intel's extension, which the loihi2 backend needs, is not.

    Example:
        >>> get_backend("reference").name
        'reference'
    """
    if isinstance(backend, str):
        backend = _by_name(backend)
    if names.is_class(backend, AbstractBackend):
        backend = names.call(backend, f"backend {backend.__name__}", {})
    if not isinstance(backend, AbstractBackend):
        raise InputError(
            f'a backend is a name ({", ".join(BACKEND_NAMES)}), "package.module:Class", or an AbstractBackend; '
            f"got {backend!r}"
        )
    if not isinstance(getattr(backend, "name", None), str):
        raise InputError(f'backend {type(backend).__name__} has no name; write name = "..." into its class')
    return backend


def _by_name(name: str) -> Any:
    if name not in _BACKENDS:
        return names.find(name, _BACKENDS, "backend")
    module, class_name, packages, extra = _BACKENDS[name]
    try:
        return getattr(import_module(module), class_name)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.partition(".")[0] in packages:
            raise MissingExtraError(error.name, extra, f"the {name} backend") from error
        raise


def run(
    graph: Graph,
    x: Any,
    *,
    backend: AnyBackend = DEFAULT,
    record: bool = False,
    layout: Layout | None = None,
) -> RunResult:
    """Run a graph from rest on a stream, or on samples as PyTorch lays them out.

    Args:
        graph: A graph; for samples, one that states its timing, as lowered ones do.
        x: A stream of integers, (time, *input shape), in Lava's order; see `AbstractBackend.run`. Or samples, (batch,
            channel, height, width, time) or (batch, n, time), which follow each other through the graph.
        backend: See `get_backend`. All of them give the same integers.
        record: Also return every state of every population.
        layout: "lava" for a stream, "torch" for samples; if not given, a tensor holds samples and an array a stream.

    Returns:
        Outputs in the layout of `x`, without the graph's latency for samples: float32 tensors for a tensor, so that
        they equal the deployed network's own output; integers else.

    Raises:
        PumiceError: See `get_backend` and `AbstractBackend.run`.

    Example:
        >>> from pumice.ir import Timing
        >>> from pumice.ir.builder import chain
        >>> graph = chain((4,), [3, 2], seed=0).replace(timing=Timing(sample_steps=5, period_steps=8))
        >>> run(graph, np.ones((5, 4), int)).spikes.shape, run(graph, np.ones((1, 4, 5)), layout="torch").spikes.shape
        ((5, 2), (1, 2, 5))
    """
    chosen = get_backend(backend)
    checked_graph(graph)
    if has_torch_layout(x, layout):
        return run_samples(chosen, graph, x, record=record)
    return chosen.run(graph, x, record=record)
