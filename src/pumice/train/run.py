"""A training run, as what it works with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pumice.train.batches import Batches
from pumice.train.logs import RunLogs
from pumice.train.position import Position
from pumice.train.runtime.cuda_graph import CudaGraphs
from pumice.train.trained import Trained

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@dataclass(eq=False)
class Run:
    """A training run in one phase.

    Attributes:
        trained: The network, with its history.
        fabric: Device, precision, processes.
        model: The network as Fabric wraps it.
        optimizer: The optimiser as Fabric wraps it.
        position: Where the run is.
        logs: Where figures go.
        batches: Gives each epoch's batches.
        graphs: Replays what was recorded on a GPU, where the recipe wants it.
        save: Writes the checkpoint.
        on_batch: Called after every batch.
    """

    trained: Trained
    fabric: Fabric
    model: Any
    optimizer: Any
    position: Position
    logs: RunLogs
    batches: Batches
    graphs: CudaGraphs | None
    save: Callable[[], None]
    on_batch: Callable[[], None]
