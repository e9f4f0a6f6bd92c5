"""Source and recorders that share arrays with the calling process: Lava's own read one value at a time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort, PyRefPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort, RefPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

Int32Array = npt.NDArray[np.int32]

MAX_STATES = 4
"""A sigma-delta neuron's: sigma, act, residue, error."""
MAX_PORTS = 64
"""Of one `SpikeRecorder`."""


def _port(index: int) -> str:
    return f"s_in{index or ''}"


class Source(AbstractProcess):
    """Sends ``x[k]`` in time step k + 1.

    Args:
        x: Shape (T, *shape); models are forked, so they see it without a copy.
    """

    def __init__(self, x: Int32Array) -> None:
        super().__init__(x=x)
        self.s_out = OutPort(shape=x.shape[1:])


@implements(proc=Source, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PySourceModel(PyLoihiProcessModel):
    """Sends one step's values."""

    s_out: Any = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def run_spk(self) -> None:
        """Send the values of this step."""
        self.s_out.send(self.proc_params["x"][self.time_step - 1])


class SpikeRecorder(AbstractProcess):
    """Writes what each of its in-ports receives in time step k + 1 to row k of the port's array.

    One for many out-ports, because Lava starts a process for each.

    Attributes:
        ins: The in-port of each array; the first is `s_in`, too.

    Args:
        steps_done: Shared memory, one integer: the number of steps received.
        *spikes: Shared memory, at most `MAX_PORTS` arrays of shape (T, *shape).
    """

    s_in: InPort

    def __init__(self, steps_done: npt.NDArray[np.int64], *spikes: Int32Array) -> None:
        super().__init__(spikes=spikes, steps_done=steps_done)
        for index in range(MAX_PORTS):  # Lava wants all that the model has; those too many stay unconnected
            setattr(self, _port(index), InPort(shape=spikes[index].shape[1:] if index < len(spikes) else (1,)))
        self.ins: list[InPort] = [getattr(self, _port(index)) for index in range(len(spikes))]


def record_spikes(recorded: Iterable[tuple[OutPort, Int32Array]], steps_done: npt.NDArray[np.int64]) -> None:
    """Have what leaves each out-port written to its array, by as few recorders as can be.

    Args:
        recorded: Out-ports, each with shared memory of shape (T, *shape).
        steps_done: As `SpikeRecorder`'s.
    """
    left = list(recorded)
    while left:
        now, left = left[:MAX_PORTS], left[MAX_PORTS:]
        recorder = SpikeRecorder(steps_done, *(array for _, array in now))
        for (out, _), port in zip(now, recorder.ins, strict=True):
            out.connect(port)


@implements(proc=SpikeRecorder, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PySpikeRecorderModel(PyLoihiProcessModel):
    """Receives one step's spikes."""

    def run_spk(self) -> None:
        """Write the spikes of this step."""
        for index, array in enumerate(self.proc_params["spikes"]):
            array[self.time_step - 1] = getattr(self, _port(index)).recv()
        self.proc_params["steps_done"][0] = self.time_step


for _index in range(MAX_PORTS):
    setattr(PySpikeRecorderModel, _port(_index), LavaPyType(PyInPort.VEC_DENSE, np.int32))


class StateRecorder(AbstractProcess):
    """Writes a population's states, and what left it, after time step k + 1 to ``trace[:, k]``.

    Args:
        trace: Shared memory, shape (1 + number of states, T, *shape); the first is what left the population.
        population: The neurons' process.
        states: Names of its variables, at most `MAX_STATES`.
        steps_done: Shared memory, one integer: the number of steps recorded.
    """

    def __init__(
        self,
        trace: Int32Array,
        population: AbstractProcess,
        states: tuple[str, ...],
        steps_done: npt.NDArray[np.int64],
    ) -> None:
        super().__init__(trace=trace, n_states=len(states), steps_done=steps_done)
        self.s_in = InPort(shape=trace.shape[2:])
        population.s_out.connect(self.s_in)
        for index in range(MAX_STATES):
            port = RefPort(shape=trace.shape[2:])
            setattr(self, f"state{index}", port)
            if index < len(states):
                port.connect_var(getattr(population, states[index]))


@implements(proc=StateRecorder, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyStateRecorderModel(PyLoihiProcessModel):
    """Receives spikes, and reads the states once the step is over."""

    s_in: Any = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    state0: Any = LavaPyType(PyRefPort.VEC_DENSE, np.int32)
    state1: Any = LavaPyType(PyRefPort.VEC_DENSE, np.int32)
    state2: Any = LavaPyType(PyRefPort.VEC_DENSE, np.int32)
    state3: Any = LavaPyType(PyRefPort.VEC_DENSE, np.int32)

    def run_spk(self) -> None:
        """Write what left the population in this step."""
        self.proc_params["trace"][0, self.time_step - 1] = self.s_in.recv()

    def post_guard(self) -> bool:
        """Ask for the management phase in every step: only there may another process's state be read."""
        return True

    def run_post_mgmt(self) -> None:
        """Write the states of this step."""
        for index in range(self.proc_params["n_states"]):
            self.proc_params["trace"][1 + index, self.time_step - 1] = getattr(self, f"state{index}").read()
        self.proc_params["steps_done"][0] = self.time_step
