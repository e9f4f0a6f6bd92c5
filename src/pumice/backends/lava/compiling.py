"""Compile a network of Lava processes, looking once for each kind of process for the models that compute it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import lava.magma.compiler.compiler  # noqa: F401  # else each run's child would import it anew
from lava.magma.compiler.compiler_graphs import ProcGroupDiGraphs
from lava.magma.compiler.executable import Executable
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.run_configs import RunConfig


def import_convolutions() -> None:
    """Import what Lava's convolutions compute with: a second, which each run's child would take anew."""
    import_module("scipy.signal")


def compiled(process: AbstractProcess, run_cfg: RunConfig) -> Executable:
    """Compile `process` and everything connected to it.

    Lava executes every file beside a process's own to find its models, anew for each process. What it
    finds depends on the process's class only, so it is asked once for each class.

    Args:
        process: Any process of the network.
        run_cfg: Selects the models.
    """
    find = ProcGroupDiGraphs._find_proc_models
    found: dict[type, Any] = {}

    def find_once(proc: AbstractProcess) -> Any:
        if type(proc) not in found:
            found[type(proc)] = find(proc)
        return found[type(proc)]

    ProcGroupDiGraphs._find_proc_models = staticmethod(find_once)
    try:
        return process.compile(run_cfg)
    finally:
        ProcGroupDiGraphs._find_proc_models = staticmethod(find)
