"""A graph in numbers, as plain data that JSON can hold."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from pumice.fixedpoint.formats import STATE_BYTES
from pumice.ir import Graph, Population, Synapse, check_known, latencies
from pumice.ir.own_kinds import own_fields

WEIGHT_BYTES = 1


def summarize(graph: Graph) -> dict[str, Any]:
    """What `pumice inspect` shows.

    Args:
        graph: A valid graph.

    Raises:
        GraphError: It holds a kind of population or synapse that is not known.

    Example:
        >>> from pumice.ir.builder import chain
        >>> summarize(chain((4,), [3, 2], seed=0))["totals"]["parameters"]
        18
    """
    check_known(graph)
    steps = latencies(graph)
    populations = [_population(p, steps.get(p.name)) for p in graph.populations]
    synapses = [_synapse(s) for s in graph.synapses]
    parameters = sum(s["parameters"] for s in synapses)
    neurons = sum(p["neurons"] for p in populations)
    certificate = graph.certificate
    return {
        "input": {
            "name": graph.input.name,
            "shape": list(graph.input.shape),
            "value_range": None if graph.input.value_range is None else list(graph.input.value_range),
        },
        "outputs": list(graph.outputs),
        "latency_steps": graph.latency,
        "timing": None if graph.timing is None else asdict(graph.timing),
        "populations": populations,
        "synapses": synapses,
        "totals": {
            "neurons": neurons,
            "parameters": parameters,
            "weight_bytes": WEIGHT_BYTES * parameters,
            "state_bytes": sum(p["state_bytes"] for p in populations),
        },
        "certificate_steps": None if certificate is None else len(certificate.x),
        "info": graph.info,
    }


def _population(p: Population, latency: int | None) -> dict[str, Any]:
    return {
        "name": p.name,
        "kind": _kind(p),
        "shape": list(p.shape),
        "neurons": p.size,
        "latency_steps": latency,
        "state_bytes": STATE_BYTES * len(p.states) * p.size,
        "reset": None if p.reset is None else {"interval": p.reset.interval, "offset": p.reset.offset},
        "parameters": {f.name: _range(getattr(p, f.name)) for f in own_fields(type(p))},
    }


def _synapse(s: Synapse) -> dict[str, Any]:
    weight = s.weights
    return {
        "source": s.source,
        "target": s.target,
        "kind": _kind(s),
        "weight_shape": list(weight.shape),
        "weight_range": _range(weight) if weight.size else None,
        "parameters": int(weight.size),
        "graded": s.graded,
        "max_delay_steps": s.max_delay_steps,
        "balance_steps": s.balance_steps,
        "target_channels": None if s.target_channels is None else list(s.target_channels),
        "part": s.part,
    } | {
        name: getattr(s, name)
        for name in ("weight_exp", "stride", "padding", "dilation", "groups")
        if hasattr(s, name)
    }


def _kind(value: Population | Synapse) -> str:
    """The name of the class in lower case: "sigma_delta"."""
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in type(value).__name__).lstrip("_")


def _range(value: Any) -> bool | int | list[int]:
    if isinstance(value, bool):
        return value
    low, high = int(np.min(value)), int(np.max(value))
    return low if low == high else [low, high]
