"""Runs a graph on Lava's processes: the judge of what is exact.

`GraphProcess` is the graph as one Lava process with the ports `inp` and `out`, to be wired to any other Lava
process; `LavaBackend` runs it between a source and recorders. Under `OneProcessCfg` it is one process, and fast.
`supervised_run` runs any network of processes and always ends.
"""

from pumice.requirements import check_packages

check_packages("lava", needs="lava.magma", purpose="the lava backend")  # before the imports below fail

# ruff: noqa: E402
from pumice.backends.lava.backend import LavaBackend, LavaInThreadsBackend, LavaOneProcessBackend
from pumice.backends.lava.one_process import OneProcessCfg
from pumice.backends.lava.processes.graph_process import GraphProcess
from pumice.backends.lava.running import supervised_run

__all__ = [
    "GraphProcess",
    "LavaBackend",
    "LavaInThreadsBackend",
    "LavaOneProcessBackend",
    "OneProcessCfg",
    "supervised_run",
]
