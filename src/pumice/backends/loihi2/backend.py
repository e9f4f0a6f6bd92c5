"""The Loihi 2 backend: a graph between adapters, run on a chip in a supervised process."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from lava.magma.core.run_conditions import RunSteps

from pumice.backends.base import AbstractBackend, RunResult
from pumice.backends.lava.processes.graph_process import GraphProcess
from pumice.backends.lava.supervise import Stall, supervise
from pumice.backends.loihi2.adapters import AbstractAdapters, ChipAdapters
from pumice.backends.loihi2.chip_graph import for_chip
from pumice.backends.loihi2.compiling import compiled_for_chip
from pumice.backends.loihi2.configuration import Loihi2Cfg
from pumice.backends.loihi2.extension import require_extension, require_host
from pumice.backends.loihi2.network import SENT, Recordings, build, reads_states, recordings
from pumice.backends.loihi2.profiling import check_probes, make_probes, means, raw_values
from pumice.backends.loihi2.readback import as_record, sign_extended
from pumice.backends.loihi2.refusals import check_for_chip, unseen
from pumice.errors import PumiceWarning
from pumice.hardware.profile import Profile, parse_core_table
from pumice.ir import Accumulator, Graph

Int32Array = npt.NDArray[np.int32]

STATE_READ_STEPS = 1
"""A state read after a step arrives with the next one. Assumed: no printed run shows it."""


class Loihi2Backend(AbstractBackend):
    """Runs a graph on Loihi 2, with Intel's closed extension of Lava (docs/hardware.md).

    Refuses, before anything is built, what the chip cannot hold; and, before anything runs, every process for which
    Lava has selected a model of another machine. What was selected, compiled and measured is in the result's
    `profile`. Values that come back have 24 bits, whose sign is extended. A direct input takes one step more on the
    chip, which the result does not show.

    No run on a chip was seen by the authors: what of this has been compared with silicon is in docs/hardware.md.

    Args:
        profile: What to measure: some of "power", "time", "memory", "activity"; nothing by default, as probes may
            slow a run down.
        adapters: Makes what carries values in and out.
        run_cfg: Makes the run configuration, from the probes.
        stall_timeout_s: Give up when no time step was completed for so long; compiling and booting count as one step.
        state_read_steps: So many steps late a population's state arrives.

    Raises:
        InputError: There is no probe of a name.
        MissingExtensionError: The extension is not installed.

    Example:
        ::

            result = Loihi2Backend(profile=("power", "time")).run(graph, x)
            print(result.profile.measured)
    """

    name = "loihi2"

    def __init__(
        self,
        profile: Iterable[str] = (),
        *,
        adapters: Callable[[], AbstractAdapters] = ChipAdapters,
        run_cfg: Callable[[Sequence[Any]], Loihi2Cfg] | None = None,
        stall_timeout_s: float = 1800.0,
        state_read_steps: int = STATE_READ_STEPS,
    ) -> None:
        self._probes = check_probes(profile)
        require_extension()
        self._adapters = adapters
        self._run_cfg = run_cfg
        self._stall_timeout_s = stall_timeout_s
        self._state_read_steps = state_read_steps

    def _run(self, graph: Graph, x: Int32Array, record: bool) -> RunResult:
        host = require_host()
        check_for_chip(graph)
        if found := unseen(graph):
            warnings.warn(
                f"no printed run on a Loihi 2 shows: {', '.join(found)}; compare this graph's first run with "
                "`pumice verify --backend loihi2`",
                PumiceWarning,
                stacklevel=4,
            )
        if not any(s.graded for s in graph.out_of(graph.input.name)):
            x = (x != 0).astype(np.int32)  # spikes, which is what the synapses would count
        graph = graph.replace(input=replace(graph.input, value_range=(int(x.min()), int(x.max()))))
        placed, extra = for_chip(graph)
        n_steps = len(x) + extra
        to = recordings(graph, n_steps + self._state_read_steps, record)
        n_run = n_steps + (self._state_read_steps if reads_states(to.arrays) else 0)
        stream = np.concatenate([x, np.zeros((n_run - len(x), *x.shape[1:]), np.int32)])
        adapters = self._adapters()
        name = graph.info.get("name", "network")

        def work() -> Profile:
            gc.freeze()
            process = build(placed, stream, adapters, to)
            profile = self._execute(process, n_run)
            return replace(profile, network=name, host=host, adapters=tuple(adapters.made))

        profile = supervise(work, Stall(to.steps_done, self._stall_timeout_s))
        return self._result(graph, to, slice(extra, n_steps), record, profile)

    def _execute(self, process: GraphProcess, n_steps: int) -> Profile:
        """In the supervised process: Lava's own runtime, as the extension expects it."""
        probes = make_probes(self._probes, n_steps)
        run_cfg = (self._run_cfg or _checked)(list(probes.values()))
        executable, printed = compiled_for_chip(process, run_cfg)
        process.create_runtime(run_cfg, executable)
        try:
            process.run(condition=RunSteps(n_steps))
        finally:
            process.stop()  # or a board stays taken
        raw = raw_values(probes)  # complete once the run has stopped
        return Profile(
            network="",
            steps=n_steps,
            models=run_cfg.selected,
            core_table=parse_core_table(printed),
            compiler_output=printed,
            measured=means(raw),
            raw=raw,
        )

    def _result(self, graph: Graph, to: Recordings, steps: slice, record: bool, profile: Profile) -> RunResult:
        late = slice(steps.start + self._state_read_steps, steps.stop + self._state_read_steps)
        outputs, records = {}, {}
        for p in graph.populations:
            found = {state: array for (name, state), array in to.arrays.items() if name == p.name}
            if not found:
                continue
            sent = found.pop(SENT)[steps] if SENT in found else None
            states = {state: array[late] for state, array in found.items()}
            if record:
                records[p.name] = as_record(p, sent, states)
            if p.name in graph.outputs:
                outputs[p.name] = sign_extended(states["v"] if isinstance(p, Accumulator) or sent is None else sent)
        return RunResult({name: outputs[name] for name in graph.outputs}, records, profile)


def _checked(probes: Sequence[Any]) -> Loihi2Cfg:
    return Loihi2Cfg(probes=probes)
