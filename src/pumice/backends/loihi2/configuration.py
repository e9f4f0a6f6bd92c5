"""The run configuration for Loihi 2, which refuses what silently fell back to another machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lava.magma.core.model.model import AbstractProcessModel
from lava.magma.core.model.py.model import AbstractPyProcessModel
from lava.magma.core.model.sub.model import AbstractSubProcessModel
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.run_configs import Loihi2HwCfg

from pumice.backends.lava.processes.graph_process import GraphProcess
from pumice.backends.lava.processes.stream import Source, SpikeRecorder
from pumice.backends.loihi2.evidence import EVIDENCE
from pumice.backends.loihi2.extension import closed, require_extension
from pumice.errors import BackendError

ADAPTERS = "lava.proc.embedded_io"


class Loihi2Cfg(Loihi2HwCfg):
    """Lava's `Loihi2HwCfg`, with every model that it selects checked.

    Lava's own says nothing when a process has no model for the chip: it takes one for the CPU, without a tag the
    floating-point one. Here each neuron and synapse must get a model for neuro cores, and each adapter one that is
    not Python's. Processes of your own that are meant to run on the host are named in `host`.

    Attributes:
        selected: What was selected for each process, by its name and kind.

    Args:
        host: Kinds of processes that run in Python beside the chip.
        probes: Of `lava.utils.loihi2_profiler`; Lava calls them before and after the run.

    Raises:
        MissingExtensionError: The extension is not installed.

    Example:
        ::

            process = GraphProcess(for_chip(pumice.load("network.net")).graph)
            ...  # adapters between source, process.inp, process.out and sink
            process.run(condition=RunSteps(16), run_cfg=Loihi2Cfg(host=(source.RingBuffer, sink.RingBuffer)))
    """

    def __init__(self, host: Sequence[type[AbstractProcess]] = (), probes: Sequence[Any] = ()) -> None:
        require_extension()
        super().__init__(select_sub_proc_model=True, callback_fxs=list(probes))  # as lava-dl's tests on hardware
        self._host = (Source, SpikeRecorder, *host)
        self.selected: dict[str, str] = {}

    def select(
        self, process: AbstractProcess, proc_models: list[type[AbstractProcessModel]]
    ) -> type[AbstractProcessModel]:
        """What `Loihi2HwCfg` selects, if it is what the process needs.

        Raises:
            BackendError: It is a model for another machine.
        """
        selected: type[AbstractProcessModel] = super().select(process, proc_models)
        where = f"{type(process).__name__} {process.name!r}"
        reason = self._reason(process, selected)
        if reason is not None:
            raise BackendError(
                f"{where}: Lava selected {_described(selected)}, {reason}; nothing was run. The chip's models come "
                "with Intel's extension: update it, or use another kind of neuron or synapse"
            )
        self.selected[where] = f"{selected.__module__}.{selected.__qualname__}"
        return selected

    def _reason(self, process: AbstractProcess, selected: type[AbstractProcessModel]) -> str | None:
        """Why a selected model is the wrong one, or None."""
        is_python = issubclass(selected, AbstractPyProcessModel)
        if isinstance(process, self._host):
            return None if is_python else "where one in Python was expected"
        if type(process).__module__.startswith(ADAPTERS):
            return "which runs on the CPU: an adapter must reach the chip" if is_python else None
        if isinstance(process, GraphProcess):
            return None if issubclass(selected, AbstractSubProcessModel) else "which is one process on the CPU"
        if _is_for_neuro_cores(selected):
            return None
        known = type(process) in EVIDENCE
        return f"which is not for neuro cores{'' if known else ' (what belongs on the host is named in host=)'}"


def _is_for_neuro_cores(model: type[AbstractProcessModel]) -> bool:
    """Of a process of several, the parts are selected and checked on their own."""
    if issubclass(model, AbstractSubProcessModel):
        return True
    of_chip: type = closed("lava.magma.core.model.nc.model", "AbstractNcProcessModel")
    return issubclass(model, of_chip)


def _described(model: type[AbstractProcessModel]) -> str:
    tags = f", tags {', '.join(map(repr, model.tags))}" if getattr(model, "tags", None) else ""
    needs = ", ".join(sorted(r.__name__ for r in getattr(model, "required_resources", ())))
    return f"{model.__qualname__} (for {needs or 'nothing'}{tags})"
