"""Run a network of Lava processes for some steps, noticing at once when one of its models fails."""

from __future__ import annotations

import os
import time
from multiprocessing.connection import wait
from typing import Any

from lava.magma.core.process.message_interface_enum import ActorType
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg, RunConfig
from lava.magma.runtime.mgmt_token_enums import MGMT_RESPONSE, enum_equal
from lava.magma.runtime.runtime import Runtime

from pumice.backends.lava.compiling import compiled
from pumice.errors import BackendError

POLL_S = 0.005
DEATH_S = 10.0


def execute(process: AbstractProcess, n_steps: int, run_cfg: RunConfig | None = None) -> None:
    """Compile and run `process` and everything connected to it.

    Lava's own blocking run waits for ever when a model raises in a step, since the others wait for its spikes.
    So the run is started without blocking, models and runtime are watched, and all of it is killed in the end:
    Lava's orderly stop would wait for each model's answer.

    Args:
        process: Any process of the network.
        n_steps: Time steps.
        run_cfg: Selects the models; by default the bit-accurate ones of each process.

    Raises:
        BackendError: A model raised or died; names the process, with its traceback.
    """
    executable = compiled(process, run_cfg or Loihi2SimCfg(select_tag="fixed_pt"))
    runtime = Runtime(executable, ActorType.MultiProcessing)
    executable.assign_runtime_to_all_processes(runtime)
    try:
        runtime.initialize()
        runtime.start(RunSteps(n_steps, blocking=False))
        _watch(runtime, _actors(runtime))
    finally:
        _kill(runtime)


def _actors(runtime: Runtime) -> dict[str, Any]:
    """Lava starts one actor for each process, in this order, then the runtime services."""
    names = [f"{type(p).__name__} {p.name!r}" for p in runtime._executable.proc_builders]
    actors = runtime._messaging_infrastructure.actors
    return dict(zip([*names, *(f"runtime service {i}" for i in range(len(actors)))], actors, strict=False))


def _watch(runtime: Runtime, actors: dict[str, Any]) -> None:
    parent = os.getppid()
    ends = {end: name for name, actor in actors.items() for end in (actor._pconn, actor.sentinel)}
    while not all(port.probe() for port in runtime.service_to_runtime):
        _raise_if_ended(ends, actors, timeout_s=POLL_S)
        if os.getppid() != parent:
            raise BackendError("the process that asked for this run is gone")
    for port in runtime.service_to_runtime:
        if not enum_equal(response := port.recv(), MGMT_RESPONSE.DONE):
            _raise_if_ended(ends, actors, timeout_s=DEATH_S)  # a model that raises tells its service first, then ends
            raise BackendError(f"Lava's runtime service answered {response} instead of 'done'")


def _raise_if_ended(ends: dict[Any, str], actors: dict[str, Any], timeout_s: float) -> None:
    """No model ends before the run does, unless one of them failed."""
    for end in wait(list(ends), timeout=timeout_s):
        raise BackendError("in Lava, " + _failure(ends[end], actors))


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
        return f"{name} died with exit code {actors[name].exitcode}"
    _, trace = actors[name].exception
    return f"{name} raised:\n{trace}"


def _kill(runtime: Runtime) -> None:
    runtime._is_started = False  # or its destructor would stop it once more, and wait
    infrastructure = runtime._messaging_infrastructure
    if infrastructure is None:
        return
    for actor in infrastructure.actors:
        actor.kill()
    for actor in infrastructure.actors:
        actor.join()
    infrastructure.smm.shutdown()
