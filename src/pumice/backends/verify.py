"""Compare runs integer by integer, and name the first difference."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from pumice.backends import BACKEND_NAMES, AnyBackend, get_backend
from pumice.backends.base import Record, RunResult, checked_input
from pumice.backends.samples import has_torch_layout, samples_to_stream
from pumice.errors import CheckFailedError, InputError, PumiceWarning
from pumice.ir import Certificate, Graph, graph_digests, verify_graph
from pumice.ir.digest import first_changed_part
from pumice.ir.verify import checked_graph

IntArray = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Difference:
    """The first place where two runs differ, in time order.

    Attributes:
        population: Its name.
        step: Index k of the stream (Lava's time step is k + 1).
        neuron: Index into the population's shape.
        quantity: "s" or the name of a state, such as "u" or "v".
        expected: The value it should have.
        got: The value it has.
        n_different: How many values of the two runs differ in all.
    """

    population: str
    step: int
    neuron: tuple[int, ...]
    quantity: str
    expected: int
    got: int
    n_different: int

    def __str__(self) -> str:
        return (
            f"population {self.population}, step {self.step}, neuron {self.neuron}, {self.quantity}: "
            f"expected {self.expected}, got {self.got} (values that differ in all: {self.n_different:,})"
        )


def first_difference(expected: dict[str, Record], got: dict[str, Record]) -> Difference | None:
    """The earliest difference between two recorded runs of one graph, or None if all values are equal.

    Within one step, populations come in the graph's order and states before what they cause, so that the cause comes
    before its effects.

    Raises:
        InputError: The runs are not of the same populations and shapes.
    """
    if expected.keys() != got.keys():
        raise InputError(f"the runs record different populations: {sorted(expected)} and {sorted(got)}")
    first: tuple[int, str, str, tuple[int, ...]] | None = None
    n_different = 0
    for name, record in expected.items():
        if record.states.keys() != got[name].states.keys():
            raise InputError(f"population {name}: the runs record different states")
        for quantity, a in record.values().items():
            b = got[name].values()[quantity]
            if a.shape != b.shape:
                raise InputError(f"population {name}: recorded shapes differ, {a.shape} and {b.shape}")
            places = np.argwhere(a != b)
            n_different += len(places)
            if len(places) and (first is None or places[0][0] < first[0]):
                first = (int(places[0][0]), name, quantity, tuple(int(i) for i in places[0][1:]))
    if first is None:
        return None
    step, name, quantity, neuron = first
    place = (step, *neuron)
    values = [int(runs[name].values()[quantity][place]) for runs in (expected, got)]
    return Difference(name, step, neuron, quantity, values[0], values[1], n_different)


def certify(graph: Graph, x: Any) -> Graph:
    """Attach a certificate: the reference's answer to the stream `x`, and digests of the whole graph.

    Args:
        graph: Any graph. Whatever of it is changed afterwards (but `info`), `verify` refuses.
        x: A small stream, shape (T, *input shape), or a tensor of samples, time last; a few samples are enough.

    Raises:
        InputError: What is given is no graph, or `x` does not fit it or holds nothing.
    """
    checked_graph(graph)
    if has_torch_layout(x, None):
        x = samples_to_stream(graph, x)
    result = get_backend("reference").run(graph, x, record=True)
    certificate = _certificate(checked_input(graph, x), result)
    return replace(graph, certificate=replace(certificate, graph_digests=graph_digests(graph)))


def _certificate(x: IntArray, result: RunResult) -> Certificate:
    return Certificate(
        x=x,
        spikes=result.outputs,
        spike_counts={name: int(np.count_nonzero(record.s)) for name, record in result.records.items()},
        state_digests={name: record.digest() for name, record in result.records.items()},
    )


def verify(graph: Graph, backends: AnyBackend | Sequence[AnyBackend] = ("reference",)) -> dict[str, int]:
    """Hold a graph and backends to the graph's certificate.

    The graph must be the one that was certified, in every number; then each backend must give the same outputs,
    spike counts and states of every neuron at each step. (A certificate of an older version knows only its run, in
    which not every weight, threshold and step acts; a `PumiceWarning` says so.)

    Args:
        graph: A graph with a certificate.
        backends: The backends, or one: names, "package.module:Class" of your own, or instances.

    Returns:
        For each backend, how many values were compared (all equal).

    Raises:
        InputError: The graph has no certificate, no backend is given, or there is none of a name.
        CheckFailedError: The first part of the graph that was changed; or the first difference of a run: population,
            step, neuron, expected, got.
    """
    certificate = checked_graph(graph).certificate
    if certificate is None:
        raise InputError("the graph has no certificate to verify against; `pumice.certify` makes one")
    several: Sequence[Any] = (
        [backends] if isinstance(backends, str) or not isinstance(backends, Sequence) else backends
    )
    chosen = [get_backend(backend) for backend in several]
    if not chosen:
        raise InputError(f"backends is empty, so nothing would be verified; name some of: {', '.join(BACKEND_NAMES)}")
    _check_graph(graph, certificate)
    compared = {}
    for backend in chosen:
        name = backend.name
        result = backend.run(graph, certificate.x, record=True)
        departure = _departure(certificate, result)
        if departure is not None:
            _raise_first_difference(graph, certificate, name, result, departure)
        compared[name] = sum(v.size for record in result.records.values() for v in record.values().values())
    return compared


def _check_graph(graph: Graph, certificate: Certificate) -> None:
    if certificate.graph_digests is None:
        warnings.warn(
            "the certificate is of an older pumice and is about its run only: a change of the graph that does not "
            "show there is not noticed; if you trust the graph, renew it: pumice.certify(graph, graph.certificate.x)",
            PumiceWarning,
            stacklevel=3,
        )
    elif changed := first_changed_part(certificate.graph_digests, graph_digests(verify_graph(graph))):
        raise CheckFailedError(
            f"the graph was changed after it was certified; what differs first: {changed} (if that was meant, "
            "certify it again: pumice.certify)"
        )


def _raise_first_difference(
    graph: Graph, certificate: Certificate, name: str, result: RunResult, departure: str
) -> NoReturn:
    """A certificate holds outputs and digests; where else a backend departs, a run of the reference tells."""
    reference = result if name == "reference" else get_backend("reference").run(graph, certificate.x, record=True)
    if _departure(certificate, reference) is None:
        departure = str(first_difference(reference.records, result.records) or departure)
    raise CheckFailedError(f"backend {name} differs from the certificate: {departure}")


def _departure(certificate: Certificate, result: RunResult) -> str | None:
    """The first way in which a run is not what the certificate says, or None."""
    for name, expected in certificate.spikes.items():
        got = result.outputs.get(name)
        if got is None or got.shape != expected.shape:
            found = "nothing" if got is None else f"shape {got.shape}"
            return f"output {name}: the certificate holds shape {expected.shape}, the run gave {found}"
        if len(places := np.argwhere(got != expected)):
            place = tuple(int(i) for i in places[0])
            return (
                f"population {name}, step {place[0]}, neuron {place[1:]}, s: "
                f"expected {expected[place]}, got {got[place]}"
            )
    made = _certificate(certificate.x, result)
    for label, expected_values, values in (
        ("spike count", certificate.spike_counts, made.spike_counts),
        ("digest of s, u, v", certificate.state_digests, made.state_digests),
    ):
        for name, expected_value in expected_values.items():
            if values.get(name) != expected_value:
                return f"population {name}: the certificate's {label} is {expected_value}, got {values.get(name)}"
    return None
