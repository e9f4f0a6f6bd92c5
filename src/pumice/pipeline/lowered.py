"""From a trained network to a graph that carries its own evidence."""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.backends.verify import certify
from pumice.data.encoding import encode
from pumice.hardware import LOIHI2, ChipLimits
from pumice.ir import Graph, to_stream, torch_to_lava
from pumice.lowering import lower
from pumice.quantization import Plan, plan
from pumice.train import Trained

IntArray = npt.NDArray[np.integer[Any]]
CERTIFICATE_SAMPLES = 4
_SPIKES = "the class with the most output spikes within a sample; of equal counts the first"
_NUMBERS = "the class with the largest sum of output values within a sample; of equal sums the first"
_OWN_STEPS = "; of a shorter sample of n steps count the n that leave after the network's latency"
_PACKAGES = ("pumice", "lava-dl", "lava-nc", "torch", "numpy")


def lower_trained(trained: Trained, *, sparse_below: float = 0.0, chip: ChipLimits | None = LOIHI2) -> Graph:
    """Lower a trained network (deploying it first if need be), say where it comes from, and certify it.

    Args:
        trained: Of `pumice.train`; its network is changed in place if it was not deployed yet.
        sparse_below: See `pumice.lower`.
        chip: See `pumice.lower`.

    Returns:
        The graph, with `info` about its origin and a certificate over the first few test samples.

    Raises:
        LoweringError: The network cannot be lowered exactly.
    """
    trained.model.eval()
    graph = lower(
        trained.model,
        trained.example,
        input_range=trained.encoder.value_range,
        sparse_below=sparse_below,
        chip=chip,
    )
    graph = graph.replace(info={**graph.info, **_origin(trained, graph.output.sends_values)})
    return certify(graph, to_stream(graph, encoded_test(trained, CERTIFICATE_SAMPLES)))


def plan_trained(trained: Trained) -> Plan:
    """How `lower_trained` makes the network's integers; the network stays as it is.

    Args:
        trained: Of `pumice.train`.

    Raises:
        LoweringError: The network cannot be lowered exactly.
    """
    return plan(trained.model, trained.example, input_range=trained.encoder.value_range)


def encoded_test(trained: Trained, n: int | None = None) -> IntArray:
    """The first `n` test samples (all, if None) as they enter the network in Lava's order.

    Returns:
        Shape (n, T, x, y, channel).
    """
    samples = trained.dataset.test.first(n).samples
    return torch_to_lava(np.concatenate([*encode(trained.encoder, samples, seed=trained.recipe.seed)]))


def _origin(trained: Trained, answers_in_numbers: bool) -> dict[str, str]:
    readout = _NUMBERS if answers_in_numbers else _SPIKES
    if trained.steps_of(trained.dataset.test) is not None:
        readout += _OWN_STEPS
    origin = {
        "name": trained.recipe.name,
        "data": trained.dataset.source,
        "classes": ", ".join(trained.dataset.class_names),
        "readout": readout,
        "recipe": json.dumps(trained.recipe.record()),
        "versions": ", ".join(f"{package} {version(package)}" for package in _PACKAGES),
    }
    if trained.error_float is not None:
        origin["error_float"] = f"{trained.error_float:.6g}"
        if trained.error_deployed is not None:
            origin["error_deployed"] = f"{trained.error_deployed:.6g}"
        return origin
    origin["accuracy_float"] = f"{trained.accuracy_float:.4f}"
    if trained.accuracy_deployed is not None:
        origin["accuracy_deployed"] = f"{trained.accuracy_deployed:.4f}"
    return origin
