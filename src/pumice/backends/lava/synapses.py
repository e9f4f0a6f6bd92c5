"""A synapse as a Lava process, with every weight acting exactly as the graph says."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.proc.conv.process import Conv as LavaConv
from lava.proc.dense.process import DelayDense
from lava.proc.dense.process import Dense as LavaDense
from lava.proc.sparse.process import DelaySparse
from lava.utils.weightutils import SignMode

from pumice.backends.lava.unroll import unroll_conv
from pumice.errors import BackendError
from pumice.fixedpoint import weight_form
from pumice.ir import Conv, Dense, Direct, Graph, Synapse

GRADED_BITS = 24
"""Message width of a graded spike; Lava's CPU models only look at whether it is 0."""


def connect(graph: Graph, synapse: Synapse, source: OutPort | InPort, target: InPort) -> None:
    """Build the synapse's Lava process between two ports (none for `Direct`)."""
    if isinstance(synapse, Direct):
        source.connect(target)
    elif isinstance(synapse, Dense):
        process = _dense(graph, synapse)
        _flat(source).connect(process.s_in)
        process.a_out.connect(target)
    elif isinstance(synapse, Conv) and synapse.max_delay_steps == 0:
        process = _conv(graph, synapse)
        source.connect(process.s_in)
        process.a_out.connect(target)
    elif isinstance(synapse, Conv):
        process = _delayed_conv(graph, synapse)
        source.flatten().connect(process.s_in)
        process.a_out.reshape(target.shape).connect(target)
    else:
        raise BackendError(f"Lava has no process for a synapse of kind {type(synapse).__name__}")


def needs_binary_input(graph: Graph) -> bool:
    """Whether a direct input means spikes: Lava would hand on any other value as it is."""
    return any(isinstance(synapse, Direct) and not synapse.graded for synapse in graph.synapses)


def _flat(source: OutPort | InPort) -> Any:
    """Channel slowest, as `ir.flatten_whc`."""
    return source.transpose([2, 1, 0]).flatten() if len(source.shape) == 3 else source


def _message_bits(synapse: Synapse) -> int:
    return GRADED_BITS if synapse.graded else 0


def _largest_value(graph: Graph, synapse: Synapse) -> int:
    """Bound on the magnitude of what the source sends; 24 bits where nothing was promised."""
    if not synapse.graded or synapse.source != graph.input.name:
        return 1
    low, high = graph.input.value_range or (-(2**23), 2**23 - 1)
    return max(abs(low), abs(high))


def _largest_sum(graph: Graph, synapse: Conv) -> int:
    """Bound on the magnitude of a convolution's result."""
    return int(np.abs(synapse.weight).sum(axis=(1, 2, 3)).max()) * _largest_value(graph, synapse)


def _stored(weight: npt.NDArray[np.integer[Any]], weight_exp: int, largest_value: int) -> dict[str, Any]:
    """Arguments of a Lava synapse whose weights act as they are.

    The chip's 8 bits are used where they hold the weights exactly. Otherwise (odd weights of both signs beyond
    8 bits, or doubled ones whose sum might leave 32 bits) the CPU models are told of 9 bits: they then drop none.
    """
    form = weight_form(weight, weight_exp)
    if form is not None and form.weight_exp < 0:
        largest_sum = int(np.abs(form.stored).astype(np.int64).sum(axis=1).max(initial=0)) * largest_value
        form = form if largest_sum < 2**31 else None
    if form is None:
        return {
            "weights": weight.astype(np.int32),
            "weight_exp": weight_exp,
            "num_weight_bits": 9,
            "sign_mode": SignMode.MIXED,
        }
    return {
        "weights": form.stored,
        "weight_exp": form.weight_exp,
        "num_weight_bits": 8,
        "sign_mode": SignMode[form.sign_mode.name],
    }


def _dense(graph: Graph, synapse: Dense) -> LavaDense:
    arguments = _stored(synapse.weight, synapse.weight_exp, _largest_value(graph, synapse))
    arguments["num_message_bits"] = _message_bits(synapse)
    if synapse.max_delay_steps == 0:
        return LavaDense(**arguments)
    delays = np.broadcast_to(np.asarray(synapse.delay_steps, dtype=int), synapse.weight.shape)
    return DelayDense(**arguments, delays=delays)


def _conv(graph: Graph, synapse: Conv) -> LavaConv:
    if graph.input.value_range is not None and (largest_sum := _largest_sum(graph, synapse)) >= 2**31:
        raise BackendError(
            f"synapse {synapse.source} -> {synapse.target}: the sum of the convolution might reach {largest_sum}; "
            "Lava's is defined below 2^31 only: use smaller inputs or weights"
        )
    return LavaConv(
        weight=synapse.weight[:, ::-1, ::-1].astype(np.int32),  # Lava convolves, the graph correlates
        input_shape=graph.shape_of(synapse.source),
        stride=synapse.stride,
        padding=synapse.padding,
        dilation=synapse.dilation,
        groups=synapse.groups,
        num_message_bits=_message_bits(synapse),
    )


def _delayed_conv(graph: Graph, synapse: Conv) -> DelaySparse:
    """Lava's Conv has no delays, so every weight becomes a synapse of its own."""
    where = f"synapse {synapse.source} -> {synapse.target}: a convolution with delays runs as single synapses on Lava"
    low, high = int(synapse.weight.min()), int(synapse.weight.max())
    if low < -256 or high > 255:
        raise BackendError(f"{where}, whose weights must lie in -256..255, got {low}..{high}")
    if (largest_sum := _largest_sum(graph, synapse)) >= 2**23:
        raise BackendError(
            f"{where}, which do not wrap at 24 bits as a convolution does; its sum might reach {largest_sum}, "
            "allowed is less than 2^23: declare the input's value_range, or use smaller inputs or weights"
        )
    weight, delay = unroll_conv(graph, synapse)
    return DelaySparse(
        weights=weight,
        delays=delay,
        num_weight_bits=9,
        sign_mode=SignMode.MIXED,
        num_message_bits=_message_bits(synapse),
    )
