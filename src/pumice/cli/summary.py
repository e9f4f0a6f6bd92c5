"""A graph in numbers, as plain data that JSON can hold."""

from __future__ import annotations

from typing import Any

import numpy as np

from pumice.ir import Conv, Cuba, Dense, Graph, Synapse, latencies

WEIGHT_BYTES = 1
STATE_BYTES = 6
"""u and v, 24 bits each."""


def summarise(graph: Graph) -> dict[str, Any]:
    """What `pumice inspect` shows.

    Args:
        graph: A valid graph.

    Example:
        >>> from pumice.ir.builder import chain
        >>> summarise(chain((4,), [3, 2], seed=0))["totals"]["parameters"]
        18
    """
    steps = latencies(graph)
    populations = [_population(p, steps[p.name]) for p in graph.populations]
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
        "timing": None
        if graph.timing is None
        else {"sample_steps": graph.timing.sample_steps, "period_steps": graph.timing.period_steps},
        "populations": populations,
        "synapses": synapses,
        "totals": {
            "neurons": neurons,
            "parameters": parameters,
            "weight_bytes": WEIGHT_BYTES * parameters,
            "state_bytes": STATE_BYTES * neurons,
        },
        "certificate_steps": None if certificate is None else len(certificate.x),
        "info": graph.info,
    }


def _population(p: Cuba, latency: int) -> dict[str, Any]:
    return {
        "name": p.name,
        "kind": "cuba",
        "shape": list(p.shape),
        "neurons": p.size,
        "latency_steps": latency,
        "vth_mant": p.vth_mant,
        "i_decay_q12": _range(p.i_decay_q12),
        "v_decay_q12": _range(p.v_decay_q12),
        "bias_mant": _range(p.bias_mant),
        "bias_exp": p.bias_exp,
        "reset": None if p.reset is None else {"interval": p.reset.interval, "offset": p.reset.offset},
    }


def _synapse(s: Synapse) -> dict[str, Any]:
    weight = s.weight if isinstance(s, Dense | Conv) else np.zeros(0, np.int64)
    found: dict[str, Any] = {
        "source": s.source,
        "target": s.target,
        "kind": type(s).__name__.lower(),
        "weight_shape": list(weight.shape) if weight.size else [],
        "weight_range": _range(weight) if weight.size else None,
        "parameters": int(weight.size),
        "graded": s.graded,
        "max_delay_steps": s.max_delay_steps,
    }
    if isinstance(s, Conv):
        found |= {"stride": s.stride, "padding": s.padding, "dilation": s.dilation, "groups": s.groups}
    return found


def _range(value: Any) -> int | list[int]:
    low, high = int(np.min(value)), int(np.max(value))
    return low if low == high else [low, high]
