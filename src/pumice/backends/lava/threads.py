"""Run a network of Lava processes in threads of this process: Lava's compiler and models, other channels.

Lava's runtime starts one process for each of the network's, and two threads for each channel between them; for
many small processes that takes longer than all their steps together. Here each model has a thread, and channels are
queues. Models wait for what they receive, so their order within a step needs no runtime either.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Mapping
from queue import SimpleQueue
from typing import Any

import numpy as np
import numpy.typing as npt
from lava.magma.core.process.ports.ports import create_port_id
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.run_configs import Loihi2SimCfg

from pumice.backends.lava.compiling import compiled
from pumice.errors import BackendError

AfterStep = Callable[[Any], None]
Array = npt.NDArray[Any]


def execute_in_threads(
    process: AbstractProcess, n_steps: int, after_step: Mapping[AbstractProcess, AfterStep]
) -> None:
    """Compile and run `process` and everything connected to it.

    Args:
        process: Any process of the network; models may only have a spiking phase, as neurons and synapses do.
        n_steps: Time steps.
        after_step: For some processes, what is called with their model after each of its steps.

    Raises:
        BackendError: A model raised; names the process, with its traceback.
    """
    executable = compiled(process, Loihi2SimCfg(select_tag="fixed_pt"))
    channels = _connect(executable)
    failures: list[str] = []

    def run(proc: AbstractProcess, model: Any) -> None:
        np.seterr(**errors)  # NumPy keeps this for each thread
        watch = after_step.get(proc)
        try:
            for t in range(1, n_steps + 1):
                model.time_step = t
                model.run_spk()
                if watch is not None:
                    watch(model)
        except _ClosedError:
            pass
        except Exception:
            failures.append(f"in Lava, {type(proc).__name__} {proc.name!r} raised:\n{traceback.format_exc()}")
            for channel in channels:
                channel.close()

    errors = np.geterr()
    models = {proc: builder.build() for proc, builder in executable.proc_builders.items()}
    threads = [threading.Thread(target=run, args=item, daemon=True) for item in models.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise BackendError(failures[0])


def _connect(executable: Any) -> list[_Channel]:
    """As Lava's `Runtime._build_channels` does."""
    watchdogs = executable.watchdog_manager_builder.build()
    channels = []
    for builder in executable.channel_builders:
        channel = builder.build(_Infrastructure, watchdogs)
        source, target = (executable.proc_builders[p] for p in (builder.src_process, builder.dst_process))
        source.set_csp_ports([channel.src_port])
        target.set_csp_ports([channel.dst_port])
        port_id = create_port_id(builder.src_process.id, builder.src_port_initializer.name)
        target.add_csp_port_mapping(port_id, channel.dst_port)
        channels.append(channel)
    return channels


class _ClosedError(Exception):
    """Another model has failed."""


class _Channel:
    """One of Lava's channels, and its two ends, which it asks for their names."""

    def __init__(
        self, _: Any, src_name: str, dst_name: str, shape: tuple[int, ...], dtype: Any, *_size_and_watchdogs: Any
    ) -> None:
        self._queue: SimpleQueue[Array | None] = SimpleQueue()
        self.src_port = _SendPort(self._queue, src_name, shape, np.dtype(dtype))
        self.dst_port = _RecvPort(self._queue, dst_name)

    def close(self) -> None:
        self._queue.put(None)


class _SendPort:
    def __init__(self, queue: SimpleQueue[Array | None], name: str, shape: tuple[int, ...], dtype: Any) -> None:
        self._queue, self.name, self._shape, self._dtype = queue, name, shape, dtype

    def send(self, data: Array) -> None:
        if data.shape != self._shape:
            raise AssertionError(f"{data.shape} is sent where {self._shape} is expected")
        self._queue.put(data.astype(self._dtype))  # a copy, cast as Lava's shared memory casts it


class _RecvPort:
    def __init__(self, queue: SimpleQueue[Array | None], name: str) -> None:
        self._queue, self.name = queue, name

    def recv(self) -> Array:
        data = self._queue.get()
        if data is None:
            raise _ClosedError
        return data


class _Infrastructure:
    @staticmethod
    def channel_class(channel_type: Any) -> type[_Channel]:
        return _Channel
