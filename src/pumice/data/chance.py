"""Torch's global generator, seeded for a while: torchvision's transforms draw from it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's global generator, which torchvision uses, and put it back afterwards."""
    import torch

    state = torch.get_rng_state()
    # Not torch.manual_seed: where CUDA sleeps, it notes each call, with its traceback, for later.
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(state)
