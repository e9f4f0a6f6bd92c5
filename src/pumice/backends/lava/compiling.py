"""Compile a network of Lava processes: its processes found in linear time, each kind's models looked up once."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, TypeAlias

from lava.magma.compiler import compiler, compiler_graphs  # noqa: F401  # else each run's child would import them
from lava.magma.compiler.compiler_graphs import ProcGroupDiGraphs
from lava.magma.compiler.executable import Executable
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.run_configs import RunConfig

from pumice.backends.lava.processes.graph_process import refuse_floating_point

Models: TypeAlias = dict[type[AbstractProcess], list[type]]

_known: Models = {}


def import_convolutions() -> None:
    """Import what Lava's convolutions compute with: a second, which each run's child would take anew."""
    import_module("scipy.signal")


def known_models() -> Models:
    """The models of the kinds of processes that were compiled here, of Lava's and pumice's own kinds only.

    A run's child returns them to its parent, whose next child need not look for them: files of others may change,
    and may do anything when they are imported.
    """
    return _known


def remember_models(found: Mapping[type[AbstractProcess], list[type]]) -> None:
    """What `known_models` gave in another process.

    Args:
        found: For each kind, the models that compute it.
    """
    _known.update(found)


def connected(process: AbstractProcess) -> list[AbstractProcess]:
    """Every process that ports join to `process`, which is the first.

    As Lava's `find_processes`, which compares all processes with all, and calls itself once for each of a chain.

    Args:
        process: Any process of a network.

    Example:
        >>> from lava.proc.lif.process import LIF
        >>> a, b = LIF(shape=(1,)), LIF(shape=(1,))
        >>> a.s_out.connect(b.a_in)
        >>> connected(b) == [b, a]
        True
    """
    found, ahead = {process: None}, [process]
    while ahead:
        here = ahead.pop()
        for ports in (here.in_ports, here.out_ports, here.var_ports, here.ref_ports):
            for port in ports.members:
                for other in (*port.get_src_ports(), *port.get_dst_ports()):
                    if other.process not in found:
                        found[other.process] = None
                        ahead.append(other.process)
    return list(found)


def compiled(process: AbstractProcess, run_cfg: RunConfig) -> Executable:
    """Compile `process` and everything connected to it.

    Lava executes every file beside a process's own to find its models, anew for each process. What it
    finds depends on the process's class only, so it is asked once for each class.

    Args:
        process: Any process of the network.
        run_cfg: Selects the models.

    Raises:
        BackendError: It selects floating-point models for a graph.
    """
    find_models, find_processes = ProcGroupDiGraphs._find_proc_models, compiler_graphs.find_processes
    of_others: Models = {}

    def find_once(proc: AbstractProcess) -> Any:
        kind = type(proc)
        found = _known if kind.__module__.startswith(("lava.", "pumice.")) else of_others
        if kind not in found:
            found[kind] = find_models(proc)
        return found[kind]

    ProcGroupDiGraphs._find_proc_models = staticmethod(find_once)
    compiler_graphs.find_processes = connected
    try:
        executable = process.compile(run_cfg)
    finally:
        ProcGroupDiGraphs._find_proc_models = staticmethod(find_models)
        compiler_graphs.find_processes = find_processes
    refuse_floating_point(executable)
    return executable
