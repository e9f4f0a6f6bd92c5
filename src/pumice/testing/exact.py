"""One question about one network: does everything that can run it give the same integers?"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from pumice.backends import AbstractBackend, Record, get_backend
from pumice.backends.verify import first_difference
from pumice.errors import CheckFailedError, PumiceError
from pumice.ir import Graph, from_stream, latencies, remembers, to_stream, torch_to_lava
from pumice.lowering import lower
from pumice.lowering.blocks import undelayed, unit_of
from pumice.lowering.synapses import population_name
from pumice.netx import load, save
from pumice.quantization import is_quantized
from pumice.quantization.trace import SYNAPTIC, in_evaluation_mode, returned_tensors, trace_model

IntArray = npt.NDArray[np.integer[Any]]


def check_exact(
    model: torch.nn.Module,
    graph: Graph,
    samples: torch.Tensor,
    *,
    backends: Sequence[str | AbstractBackend] = ("fast",),
) -> int:
    """Hold a deployed network, its graph on several backends, and the graph read back from a file to each other.

    Compared with the reference backend, which streams the samples back to back (through a graph that remembers, one
    in each run), are: what the network returns, in
    its order; the spikes of each of its blocks at every step; the network's answer to one sample alone; every state
    of every population on the other backends, and on the fast one after the graph was written to a file and read
    back; and what leaves the graph when each sample comes alone.

    Args:
        model: The network that `graph` was lowered from.
        graph: With a timing.
        samples: As the network takes them, within the graph's input range.
        backends: Names, or backends.

    Returns:
        How many integers were compared; all are equal.

    Raises:
        CheckFailedError: The first difference: what differs from what, and where.

    Example:
        >>> from pumice import nn
        >>> params = {"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 0.25}
        >>> model = torch.nn.Sequential(nn.Dense(params, 3, 2, weight_scale=4))
        >>> x = torch.ones(2, 3, 5)
        >>> check_exact(model, lower(model, x), x) > 0
        True
    """
    if len(samples) > 1 and remembers(graph):
        return sum(check_exact(model, graph, sample[None], backends=backends) for sample in samples)
    x = torch_to_lava(samples.numpy(force=True)).astype(np.int32)
    stream = _padded(graph, to_stream(graph, x))
    records = get_backend("reference").run(graph, stream, record=True).records
    compared = _check_model(model, graph, samples, records)
    for backend in (get_backend(b) if isinstance(b, str) else b for b in backends):
        compared += _check_records(backend.name, records, backend.run(graph, stream, record=True).records)
    compared += _check_records("file", records, _through_a_file(graph, stream))
    return compared + _check_samples_alone(graph, x, records)


def lower_checked(model: torch.nn.Module, example_input: torch.Tensor, **options: Any) -> Graph:
    """`pumice.lower`, held to its word that a network which it refuses stays as it was.

    Args:
        model: As `pumice.lower` takes it.
        example_input: The same.
        **options: The same.

    Raises:
        PumiceError: What `pumice.lower` raises.
        CheckFailedError: It refused, and changed the network.

    Example:
        >>> from pumice import nn
        >>> params = {"threshold": 0.001, "current_decay": 1.0, "voltage_decay": 0.25}
        >>> lower_checked(torch.nn.Sequential(nn.Dense(params, 3, 2)), torch.ones(2, 3, 5))  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        pumice.errors.LoweringError: block '0': its threshold ...
    """
    twin, chance = _twin(model), torch.get_rng_state()
    modes = [module.training for module in model.modules()]
    was_deployed = is_quantized(model)
    try:
        return lower(model, example_input, **options)
    except PumiceError as error:
        changed = None
        if is_quantized(model) != was_deployed:
            changed = "is deployed in part"
        elif [module.training for module in model.modules()] != modes:
            changed = "is in another mode"
        elif twin is not None:
            changed = _change(twin, model, example_input, chance)
        if changed is not None:
            raise CheckFailedError(f"refused, but the network {changed}: {error}") from error
        raise


def _twin(model: torch.nn.Module) -> torch.nn.Module | None:
    """A copy, if the network can be copied."""
    try:
        return copy.deepcopy(model)
    except Exception:
        return None


def _change(
    twin: torch.nn.Module, model: torch.nn.Module, example_input: torch.Tensor, chance: torch.Tensor
) -> str | None:
    """What else happened to a network than, at most, a forward pass, which may draw delays and decays."""
    untouched = copy.deepcopy(twin).state_dict()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            torch.set_rng_state(chance)
            twin.eval()(example_input)
    except Exception:
        return None  # it was refused because it cannot run
    used, after = twin.state_dict(), model.state_dict()
    if after.keys() not in (untouched.keys(), used.keys()):
        return f"has other state: {', '.join(sorted(untouched.keys() ^ after.keys()))}"
    for name, tensor in after.items():
        if not any(name in state and _equal(state[name], tensor) for state in (untouched, used)):
            return f"has another {name}"
    return None


def tensors(returned: Any) -> list[torch.Tensor]:
    """The tensors in what a network returns, in order.

    Example:
        >>> [x.item() for x in tensors({"a": torch.tensor(1), "b": (torch.tensor(2), None)})]
        [1, 2]
    """
    return list(returned_tensors(returned).values())


def _equal(a: torch.Tensor, b: torch.Tensor) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and torch.allclose(a, b, rtol=0, atol=0, equal_nan=True)


def _check_model(model: torch.nn.Module, graph: Graph, samples: torch.Tensor, records: Mapping[str, Record]) -> int:
    traced = trace_model(model, samples)
    outputs = graph.outputs[: len(traced.outputs)]  # behind them what was kept by name
    if len(traced.outputs) > len(outputs):
        raise CheckFailedError(
            f"model and outputs: the tensors of {len(traced.outputs)} blocks are returned, the outputs are "
            f"{graph.outputs}"
        )
    with in_evaluation_mode(model):
        returned, alone = (returned_tensors(model(x)) for x in (samples, samples[:1]))
    units = {population_name(c): unit_of(c) for c in traced.calls if isinstance(c.block, SYNAPTIC)}
    compared = 0
    places = [place for place in returned if place in traced.outputs.values()]
    for place, name in zip(places, outputs, strict=True):
        expected = _window(graph, records, name, len(samples))
        where = f"what is returned in place {place}, output {name}"
        for what, tensor, of in (("model", returned[place], expected), ("model alone", alone[place], expected[:1])):
            got = _in_lavas_order(tensor, units[name], of.shape)
            compared += _check_equal(f"{what} and reference", where, of, got)
    for call in traced.calls:
        if isinstance(call.block, SYNAPTIC) and (name := population_name(call)) in records:
            expected = _window(graph, records, name, len(samples))
            compared += _check_equal("block and reference", f"block {call.name!r}", expected, undelayed(call))
    return compared


def _in_lavas_order(tensor: torch.Tensor, unit: float, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    values = (tensor.detach().to(torch.float64) / unit).numpy(force=True)
    n, steps, *place = shape
    if values.size == np.prod(
        shape
    ):  # it may be flattened; a dense layer over an image returns (batch, n, 1, 1, time)
        values = values.reshape(n, *place[::-1], steps)
    return torch_to_lava(values)


def _padded(graph: Graph, stream: IntArray) -> IntArray:
    """The stream, and time for the last sample to come out of every output."""
    rest = max(latencies(graph).values()) - graph.latency
    return np.concatenate([stream, np.zeros((rest, *stream.shape[1:]), stream.dtype)])


def _window(graph: Graph, records: Mapping[str, Record], name: str, n: int) -> IntArray:
    return from_stream(graph, records[name].s, n, latency=latencies(graph)[name])


def _check_equal(what: str, where: str, expected: IntArray, got: npt.NDArray[Any]) -> int:
    if expected.shape != got.shape:
        raise CheckFailedError(f"{what}: {where}: shapes differ, expected {expected.shape}, got {got.shape}")
    if len(places := np.argwhere(expected != got)):
        place = tuple(int(i) for i in places[0])
        raise CheckFailedError(
            f"{what}: {where}: sample {place[0]}, step {place[1]}, neuron {place[2:]}: expected {expected[place]}, "
            f"got {got[place]} (values that differ: {len(places)} of {expected.size})"
        )
    return int(expected.size)


def _check_records(what: str, expected: Mapping[str, Record], got: Mapping[str, Record]) -> int:
    if difference := first_difference(dict(expected), dict(got)):
        raise CheckFailedError(f"{what} and reference: {difference}")
    return sum(values.size for record in expected.values() for values in record.values().values())


def _through_a_file(graph: Graph, stream: IntArray) -> dict[str, Record]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.net"
        save(graph, path)
        return get_backend("fast").run(load(path), stream, record=True).records


def _check_samples_alone(graph: Graph, x: IntArray, records: Mapping[str, Record]) -> int:
    padded = np.stack([_padded(graph, to_stream(graph, sample[None])) for sample in x])
    outputs = get_backend("fast").run_batch(graph, padded).outputs
    compared = 0
    for name in graph.outputs:
        got = np.concatenate([from_stream(graph, of, 1, latency=latencies(graph)[name]) for of in outputs[name]])
        compared += _check_equal(
            "sample alone and reference", f"output {name}", _window(graph, records, name, len(x)), got
        )
    return compared
