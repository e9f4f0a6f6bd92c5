"""The processes that torchrun has started for one command."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pumice.errors import InputError

_LONGEST_WAIT = timedelta(days=30)
"""For the slowest process; torchrun itself ends all of them when one fails."""
_LOST = re.compile("gloo.*(connect|read error|write error|timed out|broken pipe)", re.IGNORECASE)
"""What gloo's errors have in common, which have no class of their own."""


@dataclass(frozen=True)
class Ranks:
    """Which of how many processes this is.

    Attributes:
        rank: Among all, from 0.
        world: How many there are.
        local_rank: Among those of this machine.
        local_world: How many there are on this machine.
    """

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    local_world: int = 1

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] | None = None) -> Ranks:
        """As torchrun's variables say; one process where there are none.

        Raises:
            InputError: They do not fit each other.

        Example:
            >>> Ranks.of_environment({"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"})
            Ranks(rank=3, world=4, local_rank=1, local_world=2)
        """
        given = os.environ if environment is None else environment
        names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
        if not {"RANK", "WORLD_SIZE"} <= given.keys():
            return cls()
        texts = [given.get(name, default) for name, default in zip(names, ("", "", "0", "1"), strict=True)]
        try:
            rank, world, local_rank, local_world = map(int, texts)
        except ValueError:
            rank, world, local_rank, local_world = -1, 0, 0, 0
        if not (0 <= rank < world and 0 <= local_rank < local_world <= world):
            listed = ", ".join(f"{name}={text!r}" for name, text in zip(names, texts, strict=True))
            raise InputError(
                f"the environment says {listed}: which torchrun never sets; start with it, or unset them"
            )
        return cls(rank, world, local_rank, local_world)

    def meeting(self) -> Callable[[Any], list[Any]]:
        """A function that each process calls once, in the end: it gives what all have called it with, by rank.

        It waits for all. Torchrun has said where they meet.

        Raises:
            InputError: It has not.

        Example:
            >>> Ranks().meeting()("mine")
            ['mine']
        """
        missing = [name for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]
        if self.world > 1 and missing:
            raise InputError(f"there are {self.world} processes, but no {missing[0]}; start them with torchrun")
        return self._met

    def _met(self, mine: Any) -> list[Any]:
        if self.world == 1:
            return [mine]
        from torch import distributed

        with lost_processes_told():
            distributed.init_process_group("gloo", timeout=_LONGEST_WAIT)
            try:
                found: list[Any] = [None] * self.world
                distributed.all_gather_object(found, mine)
                return found
            finally:
                distributed.destroy_process_group()


@contextmanager
def lost_processes_told() -> Iterator[None]:
    """Say in one error that another process has ended: torch's has a traceback, below which the other's is not seen.

    Raises:
        InputError: In place of what gloo, NCCL or the store of torchrun raises.

    Example:
        >>> with lost_processes_told():
        ...     raise RuntimeError("[gloo/transport/tcp/pair.cc:545] Connection closed by peer. This is ...")
        Traceback (most recent call last):
        ...
        pumice.errors.InputError: another process of this run has ended, or cannot be reached ([gloo/...
    """
    try:
        yield
    except RuntimeError as error:
        reason = str(error).partition("\n")[0].partition(". This is typically")[0]
        if type(error).__module__ != "torch.distributed" and not _LOST.search(reason):
            raise
        if "failed to listen" in reason:
            raise InputError(f"this process cannot listen for the others: {reason}; choose another port") from error
        raise InputError(
            f"another process of this run has ended, or cannot be reached ({reason}); its own message says why: mend "
            "that, and start all of them again"
        ) from error
