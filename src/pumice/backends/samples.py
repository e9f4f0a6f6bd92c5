"""Samples as PyTorch lays them out, through a graph as one stream, and the answers back in that layout."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pumice.backends.base import AbstractBackend, Record, RunResult, as_array
from pumice.errors import InputError
from pumice.ir import Graph, from_stream, latencies, lava_to_torch, remembers, to_stream, torch_to_lava
from pumice.ir.stream import timing_of

Layout = Literal["torch", "lava"]
Array = npt.NDArray[Any]


def is_tensor(x: Any) -> bool:
    """Whether `x` is a tensor of PyTorch, without importing it.

    Example:
        >>> is_tensor(np.zeros(1))
        False
    """
    return hasattr(x, "detach") and hasattr(x, "numpy")


def has_torch_layout(x: Any, layout: Layout | None) -> bool:
    """Whether `x` holds samples as PyTorch lays them out: it says so, or is a tensor.

    Raises:
        InputError: There is no such layout.
    """
    if layout not in {None, "torch", "lava"}:
        raise InputError(f'layout must be "torch" or "lava", got {layout!r}')
    return is_tensor(x) if layout is None else layout == "torch"


def samples_to_stream(graph: Graph, x: Any) -> Array:
    """Samples (batch, channel, height, width, time) or (batch, n, time) as one stream, back to back.

    Args:
        graph: States the timing.
        x: A tensor or an array, of whole numbers.

    Raises:
        InputError: The graph states no timing, or the samples are none, of another shape or no whole numbers.

    Example:
        >>> from pumice.ir import Timing
        >>> from pumice.ir.builder import chain
        >>> graph = chain((4,), [2], seed=0).replace(timing=Timing(sample_steps=5, period_steps=8))
        >>> samples_to_stream(graph, np.ones((3, 4, 5))).shape
        (25, 4)
    """
    array = _as_array(x) if is_tensor(x) else as_array(x)
    if array.ndim not in {3, 5}:
        raise InputError(
            "samples in PyTorch's layout have shape (batch, channel, height, width, time) or (batch, n, time), got "
            f'{array.shape}; a stream in Lava\'s layout, (time, *input shape), is an array and has layout="lava"'
        )
    if not len(array):
        raise InputError(f"at least one sample is needed, got none: the samples' shape is {array.shape}")
    if array.dtype.kind not in "biuf":
        raise InputError(f"samples must be whole numbers, got {array.dtype}")
    with np.errstate(invalid="ignore"):  # NaN and infinity are seen below
        whole = array if array.dtype == np.bool_ else array.astype(np.int32)
    if array.dtype != np.bool_ and not np.array_equal(whole, array):
        raise InputError("samples hold fractions, or values beyond 32 bits; scale and round them as in training")
    return to_stream(graph, torch_to_lava(whole))


def _as_array(x: Any) -> Array:
    """The values of a tensor, whatever its device, layout and floating-point type."""
    import torch  # loaded already: `x` is one of its tensors

    dense = x.detach() if x.layout == torch.strided else x.detach().to_dense()
    known = not dense.is_floating_point() or dense.dtype in {torch.float32, torch.float64}
    array: Array = (dense if known else dense.float()).cpu().numpy()
    return array


def run_samples(backend: AbstractBackend, graph: Graph, x: Any, *, record: bool = False) -> RunResult:
    """Stream samples through a graph, and cut each one's answer out of what leaves it.

    Through a graph that remembers (`pumice.ir.remembers`) each sample is a run of its own.

    Args:
        backend: What runs the graph.
        graph: States the timing.
        x: See `samples_to_stream`.
        record: Also every population's states.

    Returns:
        Outputs and records of shape (batch, channel, height, width, time) or (batch, n, time): float32 tensors if
        `x` is a tensor, else int32 arrays.

    Raises:
        PumiceError: See `AbstractBackend.run`.

    Example:
        >>> from pumice.backends import get_backend
        >>> from pumice.ir import Timing
        >>> from pumice.ir.builder import chain
        >>> graph = chain((4,), [2], seed=0).replace(timing=Timing(sample_steps=5, period_steps=8))
        >>> run_samples(get_backend("fast"), graph, np.ones((3, 4, 5))).spikes.shape
        (3, 2, 5)
    """
    if len(x) > 1 and remembers(graph):
        alone = [run_samples(backend, graph, x[i : i + 1], record=record) for i in range(len(x))]
        return _beside(alone, _concatenated_as(x))
    result = backend.run(graph, samples_to_stream(graph, x), record=record)
    lag, n = latencies(graph), len(x)
    finish = _as_tensor(x) if is_tensor(x) else np.ascontiguousarray

    def cut(name: str, stream: Array) -> Any:
        return finish(lava_to_torch(from_stream(graph, _long_enough(graph, stream, n, lag[name]), n, lag[name])))

    return replace(
        result,
        outputs={name: cut(name, stream) for name, stream in result.outputs.items()},
        records={
            name: Record(cut(name, record.s), {state: cut(name, v) for state, v in record.states.items()})
            for name, record in result.records.items()
        },
    )


def _beside(results: Sequence[RunResult], join: Callable[[list[Any]], Any]) -> RunResult:
    """The results of one sample each as that of all."""

    def record(name: str) -> Record:
        records = [result.records[name] for result in results]
        states = {state: join([r.states[state] for r in records]) for state in records[0].states}
        return Record(join([r.s for r in records]), states)

    return replace(
        results[0],
        outputs={name: join([result.outputs[name] for result in results]) for name in results[0].outputs},
        records={name: record(name) for name in results[0].records},
    )


def _concatenated_as(x: Any) -> Callable[[list[Any]], Any]:
    if not is_tensor(x):
        return np.concatenate
    import torch  # loaded already: `x` is one of its tensors

    return torch.cat


def _long_enough(graph: Graph, stream: Array, n: int, latency: int) -> Array:
    """A population behind the outputs (a clock's relay, say) may be later than the stream's end; it is not read."""
    t = timing_of(graph)
    missing = t.lead_steps + latency + (n - 1) * t.period_steps + t.sample_steps - len(stream)
    return np.concatenate([stream, np.zeros((missing, *stream.shape[1:]), stream.dtype)]) if missing > 0 else stream


def _as_tensor(x: Any) -> Callable[[Array], Any]:
    import torch  # loaded already: `x` is one of its tensors

    return lambda array: torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32)).to(x.device)
