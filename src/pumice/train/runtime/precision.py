"""Products as fast as the device has them, and neurons in 32 bits, whatever the precision of those products."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def fast_convolutions(device: torch.device) -> Iterator[None]:
    """On CUDA, let cuDNN time its algorithms for each shape, until the context ends.

    Sums may then differ in the last bits from run to run; not where the caller asked torch for deterministic ones.
    Deployed networks take no part in it, see `nn.exact`.

    Example:
        >>> with fast_convolutions(torch.device("cpu")):
        ...     torch.backends.cudnn.benchmark
        False
    """
    cudnn: Any = torch.backends.cudnn
    if device.type != "cuda" or cudnn.deterministic:
        yield
        return
    before, cudnn.benchmark = cudnn.benchmark, True
    try:
        yield
    finally:
        cudnn.benchmark = before


@contextmanager
def neurons_in_float32(model: torch.nn.Module) -> Iterator[None]:
    """Widen what the model's neurons receive to float32 until the context ends.

    Their state lies on a grid of 12 bits after the point, which bfloat16 does not hold.

    Example:
        >>> from pumice import nn
        >>> block = nn.Dense({"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 0.25}, 3, 2)
        >>> with neurons_in_float32(torch.nn.Sequential(block)), torch.autocast("cpu", torch.bfloat16):
        ...     block(torch.ones(1, 3, 5)).dtype
        torch.float32
    """

    def widen(_module: Any, args: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        return tuple(x if x.dtype == torch.float64 else x.float() for x in args)

    neurons: list[Any] = [m.neuron for m in model.modules() if getattr(m, "neuron", None) is not None]
    handles = [neuron.register_forward_pre_hook(widen) for neuron in neurons]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
