"""`pumice lower`: a checkpoint becomes a network file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pumice.cli.options import Trust
from pumice.cli.training_extra import training_extra
from pumice.hardware import LOIHI2
from pumice.names import counted
from pumice.netx import save
from pumice.netx.writer import network_path


def lower(
    *,
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT", help="Written by `pumice train`.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE.net", help="The network file.")],
    plan: Annotated[
        bool, typer.Option("--plan", help="First print each layer's scale, weights, bias and largest states.")
    ] = False,
    sparse_below: Annotated[
        float,
        typer.Option(
            metavar="SHARE", help="Store layers with a smaller share of weights other than 0 as single ones."
        ),
    ] = 0.0,
    chip: Annotated[
        bool, typer.Option(help="Refuse what no core of the chip can hold; --no-chip: lower it, for simulation.")
    ] = True,
    trust: Trust = None,
) -> None:
    """Lower CHECKPOINT's network to integers and write it, certified, to FILE.net."""
    network_path(output)  # before the work
    with training_extra():
        from pumice.pipeline import lower_trained, plan_trained
        from pumice.train import load_checkpoint, restore
    trained = restore(load_checkpoint(checkpoint), trust=trust or ())
    if plan:
        print(plan_trained(trained))
    graph = lower_trained(trained, sparse_below=sparse_below, chip=LOIHI2 if chip else None)
    save(graph, output)
    period = graph.timing.period_steps if graph.timing is not None else "one sample only"
    print(
        f"{output}: {counted(len(graph.populations), 'population')}, "
        f"{counted(sum(p.size for p in graph.populations), 'neuron')}, "
        f"latency {graph.latency}, period {period}, with certificate"
    )
