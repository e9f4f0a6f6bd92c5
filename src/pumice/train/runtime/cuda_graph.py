"""Forward and backward pass as CUDA graphs: recorded once for each size of a batch, then replayed as a whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

Passes = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, Any]]
"""Forward and backward pass: (x, labels) -> figures, one tensor, and what else is known of a batch of that size."""

EAGER = 3
"""Batches of a size that run without a graph first: kernels are compiled and algorithms chosen then."""


@dataclass(eq=False)
class _Recorded:
    """One graph, and the memory that it reads and writes; also what belongs to the passes that it recorded."""

    graph: Any
    passes: Passes
    x: torch.Tensor
    labels: torch.Tensor
    figures: torch.Tensor
    known: Any
    gradients: list[torch.Tensor | None]


class CudaGraphs:
    """Passes over batches, replayed on the GPU from the fourth batch of a size on.

    What passes do in Python is done once, when they are recorded: it must not depend on anything but the batch, nor
    wait for the GPU. (Nguyen et al., "Accelerating PyTorch with CUDA Graphs", pytorch.org, 2021.)

    Args:
        parameters: Whose gradients the passes write; they have none when the passes begin.
    """

    def __init__(self, parameters: list[torch.nn.Parameter]) -> None:
        self._parameters = parameters
        self._eager: dict[torch.Size, int] = {}
        self._recorded: dict[torch.Size, _Recorded] = {}
        self._pool: Any = None

    def run(self, passes: Passes, x: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, Any]:
        """What the passes give for a batch; gradients are where the optimiser looks for them."""
        size = x.shape
        if size not in self._recorded:
            self._eager[size] = self._eager.get(size, 0) + 1
            if self._eager[size] <= EAGER:
                return passes(x, labels)
            self._recorded[size] = self._record(passes, x, labels)
        recorded = self._recorded[size]
        recorded.x.copy_(x)
        recorded.labels.copy_(labels)
        recorded.graph.replay()
        for parameter, gradient in zip(self._parameters, recorded.gradients, strict=True):
            parameter.grad = gradient
        return recorded.figures.clone(), recorded.known

    def _record(self, passes: Passes, x: torch.Tensor, labels: torch.Tensor) -> _Recorded:
        graph, own_x, own_labels = (
            torch.cuda.CUDAGraph(),
            x.clone(memory_format=torch.contiguous_format),
            labels.clone(),
        )
        for parameter in self._parameters:
            parameter.grad = None
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            figures, known = passes(own_x, own_labels)
        self._pool = graph.pool()
        gradients = [parameter.grad for parameter in self._parameters]
        return _Recorded(graph, passes, own_x, own_labels, figures, known, gradients)
