"""Run a network of Lava processes for some steps, noticing at once when one of its models fails."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from functools import cached_property
from selectors import EVENT_READ, DefaultSelector
from typing import Any, Generic, TypeVar

from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg, RunConfig
from lava.magma.runtime.mgmt_token_enums import MGMT_RESPONSE, enum_equal

from pumice.backends.lava.compiling import compiled
from pumice.backends.lava.exit_codes import manner_of_death
from pumice.backends.lava.runtime import ForkedRuntime
from pumice.errors import BackendError

POLL_S = 0.005
DEATH_S = 5.0

Result = TypeVar("Result")


def execute(
    process: AbstractProcess,
    n_steps: int,
    run_cfg: RunConfig | None = None,
    read: Callable[[], Result] | None = None,
) -> Result | None:
    """Compile and run `process` and everything connected to it.

    Lava's own blocking run waits for ever when a model raises in a step, since the others wait for its spikes.
    So the run is started without blocking, models and runtime are watched, and all of it is killed in the end:
    Lava's orderly stop would wait for each model's answer.

    Args:
        process: Any process of the network.
        n_steps: Time steps.
        run_cfg: Selects the models; by default the bit-accurate ones of each process.
        read: Called after the last step, while variables can be read; its value is returned.

    Raises:
        BackendError: A model raised or died; names the process, with its traceback.
    """
    executable = compiled(process, run_cfg or Loihi2SimCfg(select_tag="fixed_pt"))
    runtime = _WatchedRuntime(executable)
    executable.assign_runtime_to_all_processes(runtime)
    try:
        runtime.initialize()
        runtime.start(RunSteps(n_steps, blocking=False))
        runtime.await_steps()
        return None if read is None else runtime.await_reading(read)
    finally:
        runtime.kill()


class _WatchedRuntime(ForkedRuntime):
    """Each wait ends as well when an actor (a process of Lava's) does."""

    def __init__(self, executable: Any) -> None:
        super().__init__(executable)
        self._parent = os.getppid()

    def initialize(self, node_cfg_idx: int = 0) -> None:
        """Raises what a model raised while it was built, with the process's name."""
        try:
            super().initialize(node_cfg_idx)
        except BackendError:
            raise
        except Exception:
            if self._actors():
                self._raise_if_ended(DEATH_S)
            raise

    def _start_ports(self) -> None:
        """The last step before Lava waits for each model to be built."""
        super()._start_ports()
        while any(queue.empty() for queue in self.exception_q):
            self._raise_if_ended(POLL_S)

    def await_steps(self) -> None:
        while not all(port.probe() for port in self.service_to_runtime):
            self._raise_if_ended(POLL_S)
        for port in self.service_to_runtime:
            if not enum_equal(response := port.recv(), MGMT_RESPONSE.DONE):
                self._raise_if_ended(DEATH_S)  # a model that raises tells its service first, then ends
                raise BackendError(f"Lava's runtime service answered {response} instead of 'done'")
        self._is_running = False

    def await_reading(self, read: Callable[[], Result]) -> Result:
        reading = _Reading(read)
        reading.start()
        while reading.is_alive():
            self._raise_if_ended(POLL_S)
        return reading.result()

    def kill(self) -> None:
        self._is_started = False  # or its destructor would stop it once more, and wait
        actors = getattr(self._messaging_infrastructure, "actors", [])
        for actor in actors:
            actor.kill()
        for actor in actors:
            actor.join()

    def _actors(self) -> dict[str, Any]:
        """Lava starts one actor for each process, in this order, then the runtime services."""
        names = [f"{type(p).__name__} {p.name!r}" for p in self._executable.proc_builders]
        actors = self._messaging_infrastructure.actors
        return dict(zip([*names, *(f"runtime service {i}" for i in range(len(actors)))], actors, strict=False))

    @cached_property
    def _ends(self) -> DefaultSelector:
        """Tells of the end of any actor; asked for when all are started, or one of them has failed."""
        selector = DefaultSelector()
        for name, actor in self._actors().items():
            for end in (actor._pconn, actor.sentinel):
                selector.register(end, EVENT_READ, name)
        return selector

    def _raise_if_ended(self, timeout_s: float) -> None:
        """No actor ends before the run does, unless one of them failed."""
        if os.getppid() != self._parent:
            raise BackendError("the process that asked for this run is gone")
        for key, _ in self._ends.select(timeout_s):
            raise BackendError("in Lava, " + _failure(key.data, self._actors()))


class _Reading(threading.Thread, Generic[Result]):
    """Reads variables, which waits for answers of models, maybe for ever."""

    def __init__(self, read: Callable[[], Result]) -> None:
        super().__init__(name="reading", daemon=True)
        self._read = read
        self._found: list[Result] = []
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            self._found.append(self._read())
        except Exception as error:
            self._error = error

    def result(self) -> Result:
        if self._error is not None:
            raise self._error
        return self._found[0]


def _failure(noticed: str, actors: dict[str, Any]) -> str:
    """What went wrong, given that something did.

    When a model raises, others end in order, with neither exit code nor exception, maybe before it does.
    """
    deadline = time.monotonic() + DEATH_S
    failed: str | None = None
    while failed is None and time.monotonic() < deadline:
        time.sleep(POLL_S)
        failed = next((name for name, actor in actors.items() if actor.exitcode or actor.exception), None)
    name = failed or noticed
    if actors[name].exception is None:
        return f"{name} {manner_of_death(actors[name].exitcode)}"
    error, trace = actors[name].exception
    return f"{name} {'ran out of memory' if isinstance(error, MemoryError) else 'raised'}:\n{trace}"
