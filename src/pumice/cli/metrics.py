"""`pumice metrics`: NeuroBench's figures of a network file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import pumice
from pumice.cli.arrays import read_samples
from pumice.ir import Timing, recorded_samples
from pumice.names import counted
from pumice.netx import load

if TYPE_CHECKING:  # numba
    from pumice.backends.metrics import Metrics


def metrics(
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE.net", help="The network.")],
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="X.npz",
            help="Arrays `x` (n, T, *input shape), integers in Lava's order, and `labels` (n,), as for evaluate. "
            "By default the samples that the file's certificate records.",
        ),
    ] = None,
    samples: Annotated[int | None, typer.Option(help="Use only the first so many samples.", min=1)] = None,
    threads: Annotated[int | None, typer.Option(help="Use at most so many; by default one per core.", min=1)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Print NeuroBench's metrics of FILE.net: footprint, sparsities, synaptic operations, membrane updates."""
    graph = load(file)
    if data is not None:
        x, *_ = read_samples(data, samples)
        if graph.timing is None:
            graph = graph.replace(timing=Timing(x.shape[1], x.shape[1]))
    else:
        x = recorded_samples(graph)[:samples]
    found = pumice.metrics(graph, [(sample, 0) for sample in x] if len(x) else None, threads=threads)
    print(json.dumps(found.as_dict() | {"samples": found.samples}) if as_json else as_text(found))


def as_text(found: Metrics) -> str:
    """The figures, a line each.

    Args:
        found: Of `pumice.metrics`.
    """
    lines = [
        f"footprint             {found.footprint:,} bytes: weights, delays, states, parameters",
        f"connection sparsity   {found.connection_sparsity:.4f}",
    ]
    if not found.samples:
        return "\n".join([*lines, "no samples: the file records none; --data X.npz gives some"])
    operations = found.synaptic_operations
    lines += [
        f"activation sparsity   {found.activation_sparsity:.4f}",
        *(f"  {name:<20}{value:.4f}" for name, value in found.activation_sparsity_by_layer.items()),
        f"synaptic operations   {operations['Effective_ACs']:,.1f} ACs, {operations['Effective_MACs']:,.1f} MACs a "
        f"sample; dense {operations['Dense']:,.1f}",
        f"membrane updates      {found.membrane_updates:,.1f} a sample",
        f"measured on           {counted(found.samples, 'sample')}",
    ]
    return "\n".join(lines)
