"""`pumice import`: a NIR file of another simulator becomes a network file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import numpy as np
import typer

import pumice
from pumice.backends.verify import certify
from pumice.cli.arrays import read_stream
from pumice.files.arrays import read_npy
from pumice.ir import Graph
from pumice.names import counted
from pumice.netx import save
from pumice.netx.writer import network_path

if TYPE_CHECKING:  # `pumice.from_nir` loads the package, and numba, when it is first used
    import pumice.nir
    from pumice.nir.neurons import Decay
    from pumice.nir.scales import Weights

CERTIFIED_STEPS = 32
"""Steps of random input that the certificate records."""


def import_nir(
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE.nir", help="Written by the exporter of another simulator.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE.net", help="The network file.")],
    dt: Annotated[float, typer.Option(help="Time step, in the unit of the file's time constants.")] = 1e-4,
    decay: Annotated[str, typer.Option(help="euler: dt / tau; exponential: 1 - exp(-dt / tau).")] = "euler",
    reset: Annotated[str, typer.Option(help="hard: the only one that the chip has; the file cannot say.")] = "hard",
    weights: Annotated[str, typer.Option(help="8bit, or split: two synapses of 8 bits each.")] = "8bit",
    steps: Annotated[int | None, typer.Option(help="Steps of one sample; those of --calibrate by default.")] = None,
    input_range: Annotated[tuple[int, int], typer.Option(help="Smallest and largest integer that enters.")] = (0, 1),
    input_scale: Annotated[float, typer.Option(help="Integers per unit of the file's input.")] = 1.0,
    calibrate: Annotated[
        Path | None,
        typer.Option(metavar="X.npy", help="Integers, (T, *shape) or (n, T, *shape), shape in the file's order."),
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(metavar="Y.npy", help="Of --calibrate, a class for each sample: says the accuracy.")
    ] = None,
) -> None:
    """Read FILE.nir as an integer network, print what changed, and write it, certified, to FILE.net."""
    network_path(output)  # before the work
    data = None if calibrate is None else read_stream(calibrate, None) / input_scale
    graph = pumice.from_nir(
        file,
        dt=dt,
        decay=cast("Decay", decay),
        reset=reset,
        weights=cast("Weights", weights),
        sample_steps=steps,
        input_range=input_range,
        input_scale=input_scale,
        calibrate=data,
        labels=None if labels is None else read_npy(labels),
    )
    save(certify(graph, _random_stream(graph)), output)
    as_it_was = f"{file}: written by pumice; its integers are read as they were, whatever --dt and the like say."
    print(graph.info.get(pumice.nir.REPORT, as_it_was))
    print(f"{output}: {counted(len(graph.populations), 'population')}, latency {graph.latency}, with certificate")


def _random_stream(graph: Graph) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    low, high = graph.input.value_range or (0, 1)
    return np.random.default_rng(0).integers(low, high + 1, size=(CERTIFIED_STEPS, *graph.input.shape))
