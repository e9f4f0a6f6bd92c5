"""Devices, precision and processes, through Lightning Fabric."""

from __future__ import annotations

import hashlib
import os
import warnings
from typing import TYPE_CHECKING, Any

import torch

from pumice.backends.ranks import lost_processes_told
from pumice.errors import InputError
from pumice.train.history import FINETUNE
from pumice.train.recipe import Recipe

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def is_first_process() -> bool:
    """Whether this is the process that prints and writes, of those that torchrun started.

    Example:
        >>> is_first_process()
        True
    """
    return os.environ.get("RANK", "0") == "0"


def make_fabric(recipe: Recipe, phase: str) -> Fabric:
    """Fabric as the recipe's `compute` section wants it, launched.

    Several processes are started by torchrun, for example `torchrun --nproc-per-node 2 --no-python pumice train
    RECIPE --set compute.devices=2`; each batch is shared between them.

    Args:
        recipe: What to train.
        phase: "float" or "finetune"; the chip's integers are always computed in 32 bits.

    Raises:
        InputError: There is no such device, or the processes are not those that the recipe asks for, or have ended.
    """
    from lightning_fabric import Fabric
    from lightning_fabric.strategies.ddp import DDPStrategy

    class Alone(Fabric):
        """Without callbacks that other packages offer: it would read the metadata of all that are installed."""

        @staticmethod
        def _configure_callbacks(callbacks: Any) -> list[Any]:
            return []

    wanted = recipe.compute
    started = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if started != wanted.devices:
        raise InputError(
            f"the recipe asks for compute.devices={wanted.devices}, but {started} process(es) were started; start "
            f"them with: torchrun --nproc-per-node {wanted.devices} --no-python pumice train ..., and set "
            "compute.devices to their number"
        )
    world = int(os.environ.get("WORLD_SIZE", "1"))
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning_fabric")  # advice on other devices
            fabric = Alone(
                accelerator=wanted.accelerator,
                devices=started,
                num_nodes=world // started,
                # Neurons' states are buffers whose shape is the process's share of a batch: nothing to broadcast.
                strategy=DDPStrategy(broadcast_buffers=False) if world > 1 else "auto",
                precision="32-true" if phase == FINETUNE else wanted.precision,
            )
            with lost_processes_told():
                fabric.launch()
    except InputError:
        raise
    except (RuntimeError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"compute.accelerator={wanted.accelerator!r} cannot be used: {reason}") from error
    return fabric


def check_alike(fabric: Fabric, facts: str) -> None:
    """Refuse processes that begin with something else: torch asks nothing, and mixes gradients or waits for ever.

    Args:
        fabric: The processes.
        facts: What each must have alike.

    Raises:
        InputError: One has something else; in all of them.

    Example:
        >>> from pumice.train.recipe import Recipe
        >>> check_alike(make_fabric(Recipe(), "float"), "a recipe, its data, a checkpoint")
    """
    if fabric.world_size == 1:
        return
    mine = int.from_bytes(hashlib.sha256(facts.encode()).digest()[:6], "big")  # a sum with zeros is exact
    found = summed(fabric, [float(mine) if rank == fabric.global_rank else 0.0 for rank in range(fabric.world_size)])
    others = [rank for rank, number in enumerate(found) if number != found[0]]
    if others:
        raise InputError(
            f"the process of rank {others[0]} begins with another recipe, other data or another checkpoint than that "
            "of rank 0; give all of them the same, and a folder that all machines see"
        )


def summed(fabric: Fabric, figures: list[float]) -> list[float]:
    """Figures added up over all processes.

    Example:
        >>> from pumice.train.recipe import Recipe
        >>> summed(make_fabric(Recipe(), "float"), [1.0, 2.5])
        [1.0, 2.5]
    """
    if fabric.world_size == 1:
        return figures
    together: Any = fabric.all_reduce(torch.tensor(figures, dtype=torch.float64), reduce_op="sum")
    added: list[float] = together.tolist()
    return added


def gathered(fabric: Fabric, tensor: torch.Tensor) -> torch.Tensor:
    """The tensors of all processes, one per row.

    Example:
        >>> from pumice.train.recipe import Recipe
        >>> gathered(make_fabric(Recipe(), "float"), torch.tensor([1, 2])).tolist()
        [[1, 2]]
    """
    rows: Any = fabric.all_gather(tensor)
    table: torch.Tensor = rows.reshape(fabric.world_size, -1)
    return table
