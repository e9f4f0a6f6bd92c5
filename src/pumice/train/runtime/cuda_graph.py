"""Forward and backward pass as CUDA graphs: recorded once for each size of a batch, then replayed as a whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from pumice.errors import InputError

Passes = Callable[..., tuple[torch.Tensor, Any]]
"""Forward and backward pass: a batch's tensors -> figures, one tensor, and what else is known of such a batch."""

EAGER = 3
"""Batches of a size that run without a graph first: kernels are compiled and algorithms chosen then."""


@dataclass(eq=False)
class _Recorded:
    """One graph, and the memory that it reads and writes; also what belongs to the passes that it recorded."""

    graph: Any
    passes: Passes
    given: tuple[torch.Tensor, ...]
    figures: torch.Tensor
    known: Any
    gradients: list[torch.Tensor | None]
    places: dict[str, int]


class CudaGraphs:
    """Passes over batches, replayed on the GPU from the fourth batch of a size on.

    What passes do in Python is done once, when they are recorded: it must not depend on anything but the batch, nor
    wait for the GPU. (Nguyen et al., "Accelerating PyTorch with CUDA Graphs", pytorch.org, 2021.)

    Args:
        model: What the passes run. Its parameters get gradients, and have none when the passes begin; parameters and
            buffers must stay the tensors that they are.

    Raises:
        InputError: From `run`: the passes ask the GPU for a value, or a tensor of the model was replaced.
    """

    def __init__(self, model: torch.nn.Module) -> None:
        self._parameters = list(model.parameters())
        # Looked up before each replay: walking the model takes as long as some of its layers.
        self._slots = [
            (f"{prefix}.{key}".lstrip("."), tensors, key)
            for prefix, module in model.named_modules()
            for tensors in (module._parameters, module._buffers)
            for key, tensor in tensors.items()
            if tensor is not None
        ]
        self._eager: dict[tuple[torch.Size, ...], int] = {}
        self._recorded: dict[tuple[torch.Size, ...], _Recorded] = {}
        self._pool: Any = None

    def run(self, passes: Passes, *given: torch.Tensor) -> tuple[torch.Tensor, Any]:
        """What the passes give for a batch; gradients are where the optimiser looks for them."""
        size = tuple(tensor.shape for tensor in given)
        if size not in self._recorded:
            self._eager[size] = self._eager.get(size, 0) + 1
            if self._eager[size] <= EAGER:
                return passes(*given)
            self._recorded[size] = self._record(passes, given)
        recorded = self._recorded[size]
        for name, place in self._places().items():
            if recorded.places.get(name) != place:
                raise InputError(
                    f"compute.cuda_graphs replays with the tensors that were recorded, and {name!r} is another one "
                    "now; change it in place, or leave compute.cuda_graphs out"
                )
        for own, tensor in zip(recorded.given, given, strict=True):
            own.copy_(tensor)
        recorded.graph.replay()
        for parameter, gradient in zip(self._parameters, recorded.gradients, strict=True):
            parameter.grad = gradient
        return recorded.figures.clone(), recorded.known

    def _record(self, passes: Passes, given: tuple[torch.Tensor, ...]) -> _Recorded:
        graph = torch.cuda.CUDAGraph()
        own = tuple(tensor.clone(memory_format=torch.contiguous_format) for tensor in given)
        for parameter in self._parameters:
            parameter.grad = None
        places = self._places()
        try:
            with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
                figures, known = passes(*own)
        except RuntimeError as error:
            raise InputError(
                "compute.cuda_graphs: the network, the loss or a regularizer asks the GPU for a value, which cannot "
                f"be replayed ({str(error).partition(chr(10))[0]}); leave compute.cuda_graphs out"
            ) from error
        self._pool = graph.pool()
        gradients = [parameter.grad for parameter in self._parameters]
        return _Recorded(graph, passes, own, figures, known, gradients, places)

    def _places(self) -> dict[str, int]:
        """Where each tensor of the model lies."""
        held = ((name, tensors[key]) for name, tensors, key in self._slots)
        return {name: 0 if tensor is None else tensor.data_ptr() for name, tensor in held}

    def clear(self) -> None:
        """Give back the memory of what was recorded."""
        self._recorded.clear()
        self._eager.clear()
        self._pool = None
