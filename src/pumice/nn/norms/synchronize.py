"""Batch normalisation over the whole batch when several processes share it."""

from __future__ import annotations

import torch

from pumice.errors import InputError
from pumice.nn.norms.bias_free_norm import BiasFreeNorm
from pumice.nn.norms.tdbn import TDBN


def synchronize_norms_(model: torch.nn.Module) -> None:
    """Make every norm of the model look at all processes' samples, in place.

    The result is then that of one process with the whole batch, up to rounding, and the running estimates are the
    same everywhere. `train` does so where a recipe has several devices (DDP); a training loop of one's own calls this
    before it wraps the model.

    Args:
        model: Of any blocks.

    Raises:
        InputError: There is a norm of the user's own, of which nobody knows how.

    Example:
        >>> model = torch.nn.Sequential(TDBN(2, threshold=1.0))
        >>> synchronize_norms_(model)
        >>> model[0].synchronized
        True
    """
    norms = {name: module for name, module in model.named_modules() if isinstance(module, TDBN)}
    for name, module in norms.items():
        if type(module) not in (TDBN, BiasFreeNorm):
            raise InputError(
                f"the norm {name!r} is a {type(module).__name__}: several processes share a batch, and only the "
                "statistics of TDBN and BiasFreeNorm can be brought together; use these, or one process"
            )
    for module in norms.values():
        module.synchronized = True
