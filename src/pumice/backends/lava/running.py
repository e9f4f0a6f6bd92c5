"""Run any network of Lava processes under supervision: a user's own, with graphs of ours among them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import numpy as np
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.run_configs import RunConfig

from pumice.backends.lava.execute import execute
from pumice.backends.lava.supervise import Deadline, check_seconds, supervise
from pumice.errors import InputError

Result = TypeVar("Result")


def supervised_run(
    process: AbstractProcess,
    steps: int,
    run_cfg: RunConfig | None = None,
    *,
    read: Callable[[], Result] | None = None,
    timeout_s: float | None = None,
) -> Result | None:
    """Run a network of Lava processes for some steps: it ends, whatever happens in it.

    Lava's own `run` never returns when a model raises or is killed, and leaves processes and shared memory behind.
    Here the network runs in a process group of its own, forked from this process: the cause comes as an error within
    seconds, and nothing stays behind, not even when this process is killed. It may be called from many threads at
    once, from workers of pools and data loaders, and inside a model. The network itself stays as it was built, so
    each call begins at the first step.

    Args:
        process: Any process of the network, of which all are wired to each other: `GraphProcess`, Lava's own,
            a user's own.
        steps: Time steps, 1 or more.
        run_cfg: Selects the models; by default ``Loihi2SimCfg(select_tag="fixed_pt")``, the bit-accurate ones.
            (`OneProcessCfg` runs each graph as one process.)
        read: Called after the last step, where variables have their values: ``sink.data.get``, ``monitor.get_data``,
            ``lambda: (a.v.get(), b.v.get())``. What it returns is pickled and returned.
        timeout_s: Give up after so many seconds; by default never, as long as all processes live.

    Returns:
        What `read` returned.

    Raises:
        InputError: An argument is of another type, or `steps` or `timeout_s` is not positive.
        BackendError: A model raised or died (names the process, with its traceback), the network does not compile,
            `run_cfg` selects floating-point models for a graph, or time is up. What was printed last is part of the
            message.

    Example:
        >>> import numpy as np
        >>> from lava.proc.io import sink, source
        >>> from pumice.ir.builder import chain
        >>> from pumice.backends.lava import GraphProcess
        >>> process = GraphProcess(chain((2,), [3], seed=1, vth_mant=50))
        >>> feed, out = source.RingBuffer(data=np.ones((2, 6), int)), sink.RingBuffer(shape=(3,), buffer=6)
        >>> feed.s_out.connect(process.inp)
        >>> process.out.connect(out.a_in)
        >>> supervised_run(process, 6, read=out.data.get, timeout_s=600).shape
        (3, 6)
    """
    if not isinstance(process, AbstractProcess):
        raise InputError(
            f"process must be one of Lava's processes, got {type(process).__name__}; of a graph, GraphProcess(graph)"
        )
    if isinstance(steps, bool) or not isinstance(steps, int | np.integer) or steps < 1:
        raise InputError(f"steps must be a whole number of at least 1, got {steps!r}")
    if run_cfg is not None and not isinstance(run_cfg, RunConfig):
        raise InputError(f'run_cfg must be like Loihi2SimCfg(select_tag="fixed_pt"), or None, got {run_cfg!r}')
    if read is not None and not callable(read):
        raise InputError(f"read must be a function without arguments, such as sink.data.get, or None, got {read!r}")
    if timeout_s is not None:
        check_seconds("timeout_s (None: no limit)", timeout_s)
    return supervise(partial(execute, process, int(steps), run_cfg, read), Deadline(timeout_s))
