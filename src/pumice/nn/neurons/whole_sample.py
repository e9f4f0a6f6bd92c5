"""What the steps of a sample show together: who was active at all, and whether they are all alike."""

from __future__ import annotations

import torch

from pumice.nn.kernels import operators
from pumice.nn.layout import slayer_order, time_major


def any_step(x: torch.Tensor) -> torch.Tensor:
    """1 for each neuron that is not zero at every step, else 0.

    Example:
        >>> any_step(torch.tensor([[[0.0, -1.0], [0.0, 0.0]]])).tolist()
        [[[1.0], [0.0]]]
    """
    if x.is_cuda or x.dtype != torch.float32:
        return (x != 0).any(-1, keepdim=True).to(x.dtype)
    if x.is_contiguous():
        found = x.new_empty(x.shape[:-1])
        operators.any_step(x, False, found)
        return found[..., None]
    steps = time_major(x)
    found = steps.new_empty(steps.shape[1:])
    operators.any_step(steps, True, found)
    return slayer_order(found[None])


def is_constant(x: torch.Tensor) -> bool:
    """Whether all steps of an input are the same; on a GPU, which is not waited for, whether they share their memory.

    Example:
        >>> is_constant(torch.ones(1, 2, 3)), is_constant(torch.eye(3)[None])
        (True, False)
    """
    if x.is_cuda:
        return x.stride(-1) == 0
    first = x[..., :1]
    return torch.equal(x[..., 1:2], first) and torch.equal(x, first.expand(x.shape))
