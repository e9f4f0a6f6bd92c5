"""`pumice export`: a network file becomes a NIR file for other simulators."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import pumice
from pumice.names import counted


def export_nir(
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE.net", help="A network file.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE.nir", help="The NIR file.")],
    dt: Annotated[float, typer.Option(help="Length of a step in seconds.")] = 1e-4,
) -> None:
    """Write FILE.net as a NIR file, which other simulators run and `pumice import` reads exactly."""
    graph = pumice.load(file)
    pumice.to_nir(graph, output, dt=dt)
    print(
        f"{output}: {counted(len(graph.populations), 'population')}, dt = {dt:g}; pumice import gives the same "
        "integers again"
    )
