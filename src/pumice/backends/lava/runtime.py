"""Lava's runtime without shared memory that has names."""

from __future__ import annotations

from typing import Any

from lava.magma.core.process.message_interface_enum import ActorType
from lava.magma.runtime.message_infrastructure.multiprocessing import MultiProcessing
from lava.magma.runtime.runtime import Runtime

from pumice.backends.lava.memory import anonymous

__all__ = ["ForkedRuntime"]


class _ForkedMemory:
    """Blocks for channels, which are all made before the processes that use them are forked.

    Lava's own manager is a process more, and its segments have names: they stay when the manager is killed, and
    every one is registered with multiprocessing's resource tracker, under a lock that a fork may copy while another
    thread holds it.
    """

    def create_shared_memory(self, size: int) -> _Segment:
        return _Segment(size)

    def shutdown(self) -> None:
        """Nothing to do: memory without a name goes with its processes."""


class _Segment:
    """What Lava's channels ask of a `multiprocessing.shared_memory.SharedMemory`."""

    def __init__(self, size: int) -> None:
        self.buf = memoryview(anonymous(size))


class _ForkedProcesses(MultiProcessing):
    """Lava's processes, forked as ever."""

    def start(self) -> None:
        self._smm: Any = _ForkedMemory()


class ForkedRuntime(Runtime):
    """Lava's runtime, on `_ForkedProcesses`.

    Args:
        executable: Of Lava's compiler.
    """

    def __init__(self, executable: Any) -> None:
        super().__init__(executable, ActorType.MultiProcessing)

    def _build_message_infrastructure(self) -> None:
        self._messaging_infrastructure = _ForkedProcesses()
        self._messaging_infrastructure.start()
