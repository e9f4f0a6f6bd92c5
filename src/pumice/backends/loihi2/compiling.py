"""Compile for the chip, and keep what its compiler prints."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from lava.magma.compiler.executable import Executable
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.run_configs import RunConfig

from pumice.backends.lava.compiling import compiled
from pumice.backends.loihi2.extension import closed

COMPILER = "lava.magma.compiler.subcompilers.nc.ncproc_compiler"


class Printed:
    """What was printed, once it is known."""

    def __init__(self) -> None:
        self.text = ""


@contextmanager
def printing() -> Iterator[Printed]:
    """Keep what this process and its children print, and pass it on in the end.

    By descriptor, not by `sys.stdout`: a compiler may print from C. For a process that does nothing else meanwhile,
    such as the supervised child.
    """
    printed = Printed()
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(number) for number in (1, 2)]
    with tempfile.TemporaryFile() as file:
        try:
            for number in (1, 2):
                os.dup2(file.fileno(), number)
            yield printed
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, before in zip((1, 2), kept, strict=True):
                os.dup2(before, number)
                os.close(before)
            file.seek(0)
            content = file.read()
            printed.text = content.decode(errors="replace")
            os.write(2, content)


def compiled_for_chip(process: AbstractProcess, run_cfg: RunConfig) -> tuple[Executable, str]:
    """Compile `process` and everything connected to it, with the compiler's table of cores.

    Args:
        process: Any process of the network.
        run_cfg: Selects the models.

    Returns:
        The executable, and what was printed meanwhile.
    """
    options = closed(COMPILER, "CompilerOptions")
    options.verbose = True  # the table of cores ...
    options.show_resource_count = True  # ... in words, where the compiler knows how
    with printing() as printed:
        executable = compiled(process, run_cfg)
    return executable, printed.text
