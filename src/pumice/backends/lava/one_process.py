"""A second model of `GraphProcess`: the whole graph in one Lava process, with the kernels of the fast backend.

Not in the folder of `GraphProcess`, where Lava would find it as well and take it by default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.model import AbstractProcessModel
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from pumice.backends.fast import Program, Simulator
from pumice.backends.lava.processes.graph_process import GraphProcess
from pumice.errors import BackendError

IntArray = npt.NDArray[np.integer[Any]]

TAG = "one_process"
STEPS_AT_HAND = 4
"""The simulator moves its history to the front once in so many steps."""


class OneProcessCfg(Loihi2SimCfg):
    """Runs every `GraphProcess` as one process; all others as ``Loihi2SimCfg(select_tag="fixed_pt")`` does.

    Spikes leave its ports at the same steps as those of the many processes, also in loops through processes outside:
    what does not depend on a step's input is sent before that input is waited for. States have no variables that a
    monitor could probe.

    Args:
        traces: By population: shared memory, shape (1 + number of states, T, *shape), for what leaves it and its
            states.
        steps_done: Shared memory, one integer: the number of steps completed.

    Example:
        ::

            process = GraphProcess(pumice.load("network.net"))
            source.s_out.connect(process.inp)
            process.out.connect(sink.a_in)
            process.run(condition=RunSteps(16), run_cfg=OneProcessCfg())
    """

    def __init__(self, traces: Mapping[str, IntArray] | None = None, steps_done: IntArray | None = None) -> None:
        super().__init__(select_tag="fixed_pt")
        self._traces = traces or {}
        self._steps_done = np.zeros(1, np.int64) if steps_done is None else steps_done

    def select(
        self, process: AbstractProcess, proc_models: list[type[AbstractProcessModel]]
    ) -> type[AbstractProcessModel]:
        """The model tagged "one_process" for a graph, the one tagged "fixed_pt" for anything else.

        Raises:
            BackendError: The graph's inner processes are in use.
        """
        if not isinstance(process, GraphProcess):
            selected: type[AbstractProcessModel] = super().select(process, proc_models)
            return selected
        if process.populations.are_built:
            raise BackendError(
                "the populations' own processes are in use (one of `GraphProcess.populations` was looked up, maybe "
                "for a monitor), and one process has none; "
                'run it under Loihi2SimCfg(select_tag="fixed_pt") instead'
            )
        return _model(process, self._traces, self._steps_done)


class _OneProcessModel(PyLoihiProcessModel):
    """Takes one step of the simulator in each step of Lava's."""

    inp: Any = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    traces: Mapping[str, IntArray]
    steps_done: IntArray
    port_of: Mapping[str, str]

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        graph = proc_params["graph"]
        # Other processes may send anything, so no sum may be computed in fewer bits because of a promised range.
        graph = graph.replace(input=replace(graph.input, value_range=None))
        self._graph = graph
        self._simulator = Simulator(Program(graph), batch=1, chunk_steps=STEPS_AT_HAND, record=bool(self.traces))
        direct = {s.target for s in graph.synapses if s.hop_steps == 0}
        self._early = {name: port for name, port in self.port_of.items() if name not in direct}
        self._late = {name: port for name, port in self.port_of.items() if name in direct}

    def run_spk(self) -> None:
        """Send what is settled, receive, send the rest."""
        self._simulator.begin_step()
        self._send(self._early)
        self._simulator.finish_step(self.inp.recv()[None, None])
        self._send(self._late)
        self._record()

    def _send(self, ports: Mapping[str, str]) -> None:
        for name, port in ports.items():
            shape = self._graph.population(name).shape
            getattr(self, port).send(self._simulator.sent(name)[0, 0].reshape(shape).astype(np.int32))

    def _record(self) -> None:
        step = self.time_step - 1
        for name, trace in self.traces.items():
            population = self._graph.population(name)
            trace[0, step] = self._simulator.sent(name)[0, 0].reshape(population.shape)
            for index, state in enumerate(self._simulator.states(name).values()):
                trace[1 + index, step] = state[0, 0].reshape(population.shape)
        self.steps_done[0] = self.time_step


def _model(process: GraphProcess, traces: Mapping[str, IntArray], steps_done: IntArray) -> type[AbstractProcessModel]:
    """The model class for a process: Lava wants a class attribute for each of its ports, and none more."""
    ports = {name: port.name for name, port in process.outs.items()}
    types = {port: LavaPyType(PyOutPort.VEC_DENSE, np.int32) for port in ports.values()}
    body = {"traces": traces, "steps_done": steps_done, "port_of": ports, **types}
    model = type("OneProcessModel", (_OneProcessModel,), body)
    selected: type[AbstractProcessModel] = implements(proc=GraphProcess, protocol=LoihiProtocol)(
        requires(CPU)(tag(TAG)(model))
    )
    return selected
