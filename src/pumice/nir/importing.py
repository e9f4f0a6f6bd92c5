"""`from_nir`: a network of another simulator becomes an integer graph."""

from __future__ import annotations

from typing import Any, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from pumice.backends.fast import FastBackend
from pumice.errors import FileFormatError, GraphError, InputError
from pumice.hardware import violations
from pumice.ir import Graph, latencies, verify_graph
from pumice.nir.in_memory import NirSource, source_name
from pumice.nir.integers import InputScale, graph_order, to_graph
from pumice.nir.layers import Network, read_network
from pumice.nir.maps import FloatArray
from pumice.nir.metadata import read_exported
from pumice.nir.neurons import Decay, check_arguments, is_number
from pumice.nir.reader import read_nir
from pumice.nir.report import Answers, Deviation, Heading, report_text
from pumice.nir.scales import Weights
from pumice.nir.simulation import Activity, simulate
from pumice.passes.balance_latency import balance_latency
from pumice.passes.check_ranges import check_ranges
from pumice.passes.insert_relays import insert_relays
from pumice.passes.order import run_passes

REPORT = "nir_report"
"""Key of `Graph.info` under which the report is kept."""

IntArray: TypeAlias = npt.NDArray[np.integer[Any]]


def from_nir(
    source: NirSource,
    *,
    dt: float = 1e-4,
    decay: Decay = "euler",
    reset: str = "hard",
    weights: Weights = "8bit",
    sample_steps: int | None = None,
    input_range: tuple[int, int] = (0, 1),
    input_scale: float = 1.0,
    calibrate: Any = None,
    labels: Any = None,
) -> Graph:
    r"""Read a NIR file (HDF5, Pedersen et al. 2024) as an integer graph, and say what changed on the way.

    Linear nodes between two layers of neurons are multiplied out in float64. Then each layer is scaled as a whole so
    that its threshold is a whole number S of integers, its weights use 8 bits, and its current cannot leave 24:

    .. math::
        a = \Delta t / \tau \;\text{(euler)} \quad\text{or}\quad 1 - e^{-\Delta t / \tau} \;\text{(exponential)},
        \qquad
        w_\text{int} = \mathrm{round}(S\, g\, w / \vartheta), \qquad d = \mathrm{round}(4096\, a)

    with the gain g of the node (`r`, `w_in`, and the decays they are multiplied by). Where S exists at which all
    weights are whole already, nothing is rounded. A neuron fires when v > v_threshold, and v becomes v_reset.

    A file that `pumice.to_nir` wrote, and whose nodes nobody has changed, gives the graph that it was written from;
    the other arguments are not needed then, and change nothing.

    Args:
        source: The file's path, or a `nir.NIRGraph` in memory (the `nir` package itself is not needed).
        dt: Time step, in the unit of the file's time constants (most files: seconds; sinabs: steps, dt=1).
        decay: How a time constant becomes a decay: as snnTorch, SpikingJelly and Norse do, or as sinabs does.
        reset: A NIR file cannot say how its neurons are reset; only "hard" can be represented.
        weights: "8bit", or "split": each matrix in two synapses, 15 bits, for twice the synapse memory.
        sample_steps: Steps of one sample, for resets between samples; those of `calibrate` if not given. Needed where
            the network has biases, which must not act before the first input arrives.
        input_range: Smallest and largest integer that enters; other than (0, 1), the integers are multiplied.
        input_scale: Integers per unit of the file's input.
        calibrate: The user's own data, (T, *shape) or (n, T, *shape) in NIR's order, (C, H, W) or (features,):
            voltages seen there bound the scales, and each layer's spikes are compared with a float simulation of
            the file.
        labels: Of `calibrate`, a class for each sample, (n,): how many are right, in floating point and in integers
            (the output neuron with the most spikes, or the largest sum of voltages; of equal ones the first).

    Returns:
        The graph; `graph.info["nir_report"]` is the report to print.

    Raises:
        FileFormatError: The file is damaged, or holds what cannot be represented; with the reason and the remedy.
        InputError: An argument does not fit.

    Example:
        >>> from_nir("network.nir", reset="subtract")
        Traceback (most recent call last):
        ...
        pumice.errors.InputError: reset must be 'hard', got 'subtract': the chip's neurons are set to 0 when they ...
    """
    check_arguments(dt, decay, reset)
    dt = float(dt)
    entering = input_scale_of(input_range, input_scale)
    if weights not in get_args(Weights):
        raise InputError(f"weights must be one of {', '.join(get_args(Weights))}, got {weights!r}")
    file = read_nir(source)
    exported = read_exported(source, file)
    if isinstance(exported, Graph):
        return exported
    network = read_network(file, dt, decay)
    data = None if calibrate is None else checked_data(calibrate, network, entering)
    classes = None if labels is None else _checked_labels(labels, data)
    if sample_steps is None and data is not None:
        sample_steps = data.shape[1]
    path = source_name(source)
    _check_steps(sample_steps, network, path)
    sample_steps = None if sample_steps is None else int(sample_steps)
    activity = {} if data is None else simulate(network, np.rint(data * entering.scale) / entering.scale)
    v_low = {name: found.v_low for name, found in activity.items()}
    graph, layers = to_graph(network, weights, entering, v_low, streams=sample_steps is not None)
    graph = _on_chip(graph, sample_steps, path)
    sent = {} if data is None else _sent(graph, network, data, entering)
    deviations = _deviations(network, sent, activity)
    answers = None if classes is None else _answers(graph, network, sent, activity, classes)
    heading = Heading(path, dt, decay, weights, exported)
    text = report_text(heading, layers, deviations, check_ranges(graph), answers)
    return graph.replace(info={**graph.info, REPORT: text})


def input_scale_of(input_range: tuple[int, int], input_scale: float) -> InputScale:
    """What the integers of the input mean, if the arguments make sense.

    Raises:
        InputError: They do not.
    """
    ends = input_range if isinstance(input_range, (tuple, list, np.ndarray)) else ()
    whole = all(isinstance(n, (int, np.integer)) for n in ends)
    if len(ends) != 2 or not whole or not ends[0] <= 0 < ends[1]:
        raise InputError(f"input_range must be integers (low <= 0, high > 0), got {input_range!r}")
    if not is_number(input_scale) or not 0 < input_scale < np.inf:
        raise InputError(f"input_scale must be integers per unit, > 0, got {input_scale!r}")
    return InputScale(int(ends[0]), int(ends[1]), float(input_scale))


def _check_steps(sample_steps: int | None, network: Network, path: Any) -> None:
    whole = isinstance(sample_steps, (int, np.integer)) and not isinstance(sample_steps, bool)
    if sample_steps is not None and not (whole and sample_steps >= 1):
        raise InputError(f"sample_steps must be a whole number >= 1, got {sample_steps!r}")
    biased = [c.name for c in network.layers if np.any(c.neurons.bias) or np.any(c.constant)]
    if sample_steps is None and biased:
        raise InputError(
            f"{path}: layers {', '.join(biased[:5])} have biases (or v_leak), which must not act "
            f"before a sample's first "
            "input arrives; give the steps of a sample: sample_steps=T, or --steps T"
        )


def checked_data(calibrate: Any, network: Network, entering: InputScale) -> FloatArray:
    """The user's data, (n, T, *shape), in units of the file's input.

    Raises:
        InputError: Its shape or values do not fit.
    """
    try:
        given = np.asarray(calibrate)
        if given.dtype.kind not in "biuf":
            raise TypeError
    except (TypeError, ValueError, RuntimeError):
        raise InputError(f"calibrate must be an array of real numbers, got {type(calibrate).__name__}") from None
    data = given.astype(np.float64)
    shape = network.input_shape
    if data.shape[1:] == shape:
        data = data[None]
    if data.ndim != len(shape) + 2 or data.shape[2:] != shape or not data.size:
        raise InputError(f"calibrate must have shape (T, *{shape}) or (n, T, *{shape}), got {np.shape(calibrate)}")
    integers = data * entering.scale
    if not np.isfinite(data).all() or integers.min() < entering.low - 0.5 or integers.max() > entering.high + 0.5:
        raise InputError(
            f"calibrate times input_scale must lie in input_range {entering.low}..{entering.high}, got "
            f"{integers.min():.6g} to {integers.max():.6g}"
        )
    return data


def _on_chip(graph: Graph, sample_steps: int | None, path: Any) -> Graph:
    try:
        if sample_steps is None:
            graph = verify_graph(insert_relays(balance_latency(graph).graph).graph)
        else:
            graph = run_passes(graph, sample_steps)
    except GraphError as error:
        raise FileFormatError(f"{path}: {error}") from error
    if broken := violations(graph):
        raise FileFormatError(f"{path}: the chip cannot hold this network:\n  " + "\n  ".join(broken))
    return graph


def _checked_labels(labels: Any, data: FloatArray | None) -> IntArray:
    if data is None:
        raise InputError("labels are of the samples of calibrate, got labels alone; give calibrate, too")
    found, n = np.asarray(labels), len(data)
    if found.shape != (n,) or not np.issubdtype(found.dtype, np.integer):
        raise InputError(
            f"labels must be {n} integers, one for each sample of calibrate, got {found.dtype} of shape {found.shape}"
        )
    return found


def _sent(graph: Graph, network: Network, data: FloatArray, entering: InputScale) -> dict[str, IntArray]:
    """What each layer of the graph sends on the user's data, (n, T, *shape) in Lava's order."""
    steps, backend = latencies(graph), FastBackend()
    length = data.shape[1]
    alone = graph.replace(timing=None)
    lead = 0 if graph.timing is None else graph.timing.lead_steps
    integers = np.rint(data * entering.scale).astype(np.int32)
    tail = max(steps.values())
    found: dict[str, list[Any]] = {layer.name: [] for layer in network.layers if layer.name in steps}
    for sample in graph_order(integers, network.input_shape, lead=2):
        silence = [np.zeros((k, *graph.input.shape), np.int32) for k in (lead, tail)]
        records = backend.run(alone, np.concatenate([silence[0], sample, silence[1]]), record=True).records
        for name, parts in found.items():
            parts.append(records[name].s[lead + steps[name] :][:length])
    return {name: np.stack(parts) for name, parts in found.items()}


def _deviations(network: Network, sent: dict[str, IntArray], activity: dict[str, Activity]) -> list[Deviation]:
    """Each spiking layer's integers beside the float simulation."""
    deviations = []
    for layer in network.layers:
        if layer.name in sent and layer.neurons.spiking:
            got = sent[layer.name]
            expected = graph_order(activity[layer.name].sent, layer.shape, lead=2)
            deviations.append(
                Deviation(layer.name, int(np.sum(got != expected)), got.size, int(expected.sum()), int(got.sum()))
            )
    return deviations


def _answers(
    graph: Graph,
    network: Network,
    sent: dict[str, IntArray],
    activity: dict[str, Activity],
    classes: IntArray,
) -> Answers:
    """How many samples the first output answers right, in floating point and in integers."""
    output = next((layer for layer in network.layers if layer.name == graph.outputs[0]), None)
    if output is None or output.name not in sent:
        raise InputError(f"labels: the output {graph.outputs[0]!r} is no layer of the file's; leave them out")
    n_classes = int(np.prod(output.shape))
    if classes.min() < 0 or classes.max() >= n_classes:
        raise InputError(
            f"labels must lie in 0..{n_classes - 1}, a class for each neuron of {output.name!r}, got "
            f"{classes.min()} to {classes.max()}"
        )
    both = graph_order(activity[output.name].sent, output.shape, lead=2), sent[output.name]
    right = [int(np.sum(x.reshape(*x.shape[:2], -1).sum(1).argmax(1) == classes)) for x in both]
    return Answers(len(classes), *right)
