"""Samples from worker processes, batch by batch, in the order that was asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pumice.errors import PumiceError, ResourceError

_OF_A_WORKER = "DataLoader worker"


class _HandedOver:
    """Items, or the errors that they ended in: of an error in a worker, DataLoader makes one with its traceback."""

    def __init__(self, samples: Any) -> None:
        self._samples = samples

    def __getitem__(self, key: Any) -> Any:
        try:
            return self._samples[key]
        except PumiceError as error:
            return error


class _Collated:
    """A batch of items, or the first error among them."""

    def __init__(self, collate: Callable[[list[Any]], Any]) -> None:
        self._collate = collate

    def __call__(self, items: list[Any]) -> Any:
        errors = (item for item in items if isinstance(item, PumiceError))
        return next(errors, None) or self._collate(items)


def load(
    samples: Any, batches: Iterable[list[Any]], collate: Callable[[list[Any]], Any], workers: int
) -> Iterator[Any]:
    """What the samples of each batch give, collated.

    Args:
        samples: Take a key, and may raise an error of ours. With workers it is copied into each process.
        batches: Keys, batch by batch.
        collate: Makes one thing of a batch's items.
        workers: Processes that prepare samples; 0 uses this one. It changes no value.

    Raises:
        PumiceError: What the samples raise.
        ResourceError: A worker process ended.

    Example:
        >>> list(load([3, 1, 2], [[0, 2], [1]], sum, workers=0))
        [5, 1]
    """
    if not workers:
        for keys in batches:
            yield collate([samples[key] for key in keys])
        return
    import torch
    from torch.utils.data import DataLoader

    handed_over: Any = _HandedOver(samples)  # torch's Dataset by what it does
    loader: Any = DataLoader(
        handed_over,
        batch_sampler=batches,
        num_workers=workers,
        collate_fn=_Collated(collate),
        generator=torch.Generator(),  # else torch's global one would be used, and changed
    )
    found = iter(loader)
    while True:
        try:
            batch = next(found, None)
        except RuntimeError as error:
            if _OF_A_WORKER not in str(error):
                raise
            raise ResourceError(
                f"a process that prepares samples ended, as the system ends one for want of memory ({error}); use "
                "fewer data.workers, or smaller batches"
            ) from error
        if batch is None:
            return
        if isinstance(batch, PumiceError):
            raise batch
        yield batch
