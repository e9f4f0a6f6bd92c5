"""Functions that the audit's scripts need: they are copied into them as they stand here."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from pumice.testing.exact import tensors

INPUT_SHAPE: tuple[int, ...] = (1,)
TIME = 1
INPUT_RANGE = (0, 1)


def draw(n: int, kind: str) -> torch.Tensor:
    """Samples within the declared range; what is kept back from it is 0, or near it."""
    low, high = INPUT_RANGE
    shape = (n, *INPUT_SHAPE, TIME)
    rest = min(max(0, low), high)
    if kind == "extreme":
        values = torch.where(torch.rand(shape) < 0.5, low, high)
    elif kind == "ones":
        values = torch.where(torch.rand(shape) < 0.5, rest, min(max(1, low), high))
    else:
        values = torch.randint(low, high + 1, shape)
    share = {"few": 0.1, "some": 0.4}.get(kind, 1.0)
    return torch.where(torch.rand(shape) < share, values, rest).float()


def expanded(x: torch.Tensor) -> torch.Tensor:
    """The first sample again and again, in the memory of one."""
    return x[:1].expand(x.shape)


@contextmanager
def setting(get: Callable[[], Any], put: Callable[[Any], None], value: Any) -> Iterator[None]:
    """One of torch's settings has this value until the context ends."""
    before = get()
    put(value)
    try:
        yield
    finally:
        put(before)


def train(model: torch.nn.Module, x: torch.Tensor, steps: int, lr: float) -> None:
    """Towards a firing rate of 0.3, in whatever the network returns."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    model.train()
    for _ in range(steps):
        loss = torch.stack([(y.mean() - 0.3).square() for y in tensors(model(x))]).sum()
        if loss.requires_grad:
            optimizer = torch.optim.Adam(parameters, lr=lr)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    model.eval()


def through_a_file(value: Any) -> Any:
    """What `torch.load` gives of what `torch.save` wrote."""
    file = io.BytesIO()
    torch.save(value, file)
    file.seek(0)
    return torch.load(file, weights_only=False)
