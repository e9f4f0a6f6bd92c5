"""The definition of what a graph does: integers only, one step after the other, slow and obvious."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pumice.backends.base import AbstractBackend, Record, RunResult
from pumice.fixedpoint import CubaState, conv_accumulate, cuba_step, dense_accumulate
from pumice.fixedpoint.cuba import effective_bias
from pumice.ir import Conv, Cuba, Dense, Direct, Graph, Synapse, flatten_whc

Int32Array = npt.NDArray[np.int32]


class ReferenceBackend(AbstractBackend):
    """Runs a graph with `pumice.fixedpoint`; every other backend is compared with this one.

    Example:
        >>> from pumice.ir.builder import chain
        >>> graph = chain((4,), [3, 2], seed=0)
        >>> ReferenceBackend().run(graph, np.ones((5, 4), int)).spikes.shape
        (5, 2)
    """

    name = "reference"

    def _run(self, graph: Graph, x: Int32Array, record: bool) -> RunResult:
        neurons = {p.name: _Neurons(p) for p in graph.populations}
        lines = {id(s): _DelayLine(s, graph.shape_of(s.target)) for s in graph.synapses}
        n_steps = len(x)
        kept = [p for p in graph.populations if record or p.name in graph.outputs]
        traces = {p.name: np.zeros((3, n_steps, *p.shape), np.int32) for p in kept}

        for step in range(n_steps):
            sent: dict[str, Int32Array] = {graph.input.name: x[step]}
            for population in graph.populations:
                activation = np.zeros(population.shape, np.int32)
                for synapse in graph.into(population.name):
                    activation = activation + (
                        _values(synapse, x[step]) if isinstance(synapse, Direct) else lines[id(synapse)].arriving()
                    )
                sent[population.name] = neurons[population.name].step(step + 1, activation)
            for synapse in graph.synapses:
                lines[id(synapse)].advance(sent[synapse.source])
            for name, trace in traces.items():
                trace[:, step] = sent[name], neurons[name].state.u, neurons[name].state.v

        return RunResult(
            outputs={name: traces[name][0] for name in graph.outputs},
            records={name: Record(*trace) for name, trace in traces.items()} if record else {},
        )


class _Neurons:
    """A population and its state."""

    def __init__(self, population: Cuba) -> None:
        self._population = population
        self._bias = effective_bias(population.bias_mant, population.bias_exp)
        self._clear()

    def _clear(self) -> None:
        shape = self._population.shape
        self.state = CubaState(np.zeros(shape, np.int32), np.zeros(shape, np.int32))

    def step(self, t: int, activation: Int32Array) -> Int32Array:
        p = self._population
        if p.reset is not None and p.reset.applies(t):
            self._clear()
        spikes, self.state = cuba_step(
            self.state,
            activation,
            i_decay_q12=p.i_decay_q12,
            v_decay_q12=p.v_decay_q12,
            vth_mant=p.vth_mant,
            bias=self._bias,
        )
        return spikes.astype(np.int32)


class _DelayLine:
    """What a synapse has received and not yet delivered: slot 0 is delivered in the next step."""

    def __init__(self, synapse: Synapse, target_shape: tuple[int, ...]) -> None:
        self._synapse = synapse
        self._slots = np.zeros((synapse.max_delay_steps + 1, *target_shape), np.int32)
        self._delays = np.unique(getattr(synapse, "delay_steps", 0))

    def arriving(self) -> Int32Array:
        return self._slots[0]

    def advance(self, sent: Int32Array) -> None:
        if isinstance(self._synapse, Direct):
            return
        self._slots = np.concatenate([self._slots[1:], np.zeros_like(self._slots[:1])])
        for delay in self._delays:
            self._slots[delay] += accumulate(self._synapse, sent, int(delay))


def _values(synapse: Synapse, sent: Int32Array) -> Int32Array:
    return sent if synapse.graded else (sent != 0).astype(np.int32)


def accumulate(synapse: Synapse, sent: Int32Array, delay: int) -> Int32Array:
    """What the values sent now add to the target `delay` steps later than usual."""
    values = _values(synapse, sent)
    if isinstance(synapse, Dense):
        delays = np.broadcast_to(np.asarray(synapse.delay_steps), synapse.weight.shape)
        weight = np.where(delays == delay, synapse.weight, 0)
        return dense_accumulate(weight, flatten_whc(values), synapse.weight_exp)
    if isinstance(synapse, Conv):
        chosen = np.broadcast_to(np.asarray(synapse.delay_steps), values.shape[2:]) == delay
        return conv_accumulate(
            synapse.weight,
            np.where(chosen, values, 0),
            stride=synapse.stride,
            padding=synapse.padding,
            dilation=synapse.dilation,
            groups=synapse.groups,
        )
    raise TypeError(f"no arithmetic for a synapse of kind {type(synapse).__name__}")
