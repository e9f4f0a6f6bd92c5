"""Held-back samples, encoded batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.data.encoders import AbstractEncoder
from pumice.data.image_files import ImageFiles, in_memory
from pumice.data.loading import load

IntArray = npt.NDArray[np.integer[Any]]
TEST_STREAM = 0
"""Random stream of test encodings; training epochs use the streams 1, 2, ..."""
LARGEST_BATCH = 256
BATCH_VALUES = 16_000_000
"""Inputs of one batch, all steps: a batch of long recordings is smaller."""


def encode(
    encoder: AbstractEncoder, images: Any, *, seed: int = 0, batch_size: int | None = None, workers: int = 0
) -> Iterator[IntArray]:
    """Encode held-back samples batch by batch; the values do not depend on the batch size.

    Args:
        encoder: Turns samples into integers over time.
        images: Images of shape (n, channel, height, width), or n recordings of events.
        seed: Of a random encoding.
        batch_size: Samples at a time; None for as many as memory should be used for.
        workers: Processes that decode images which lie in files; 0 uses this one. It changes no value.

    Yields:
        Integers, shape (batch, channel, height, width, T).
    """
    rng = np.random.default_rng([seed, TEST_STREAM])
    size = batch_size or _fitting(encoder, images)
    parts = (range(start, min(start + size, len(images))) for start in range(0, len(images), size))
    if isinstance(images, ImageFiles):
        for batch in load(images, map(list, parts), np.stack, workers):
            yield encoder.encode(batch, rng)
    else:
        for part in parts:
            yield encoder.encode(images[part.start : part.stop], rng)


def _fitting(encoder: AbstractEncoder, images: Any) -> int:
    values = encoder.encode(in_memory(images[:1]), np.random.default_rng(0)).size
    return min(LARGEST_BATCH, max(1, BATCH_VALUES // max(values, 1)))
