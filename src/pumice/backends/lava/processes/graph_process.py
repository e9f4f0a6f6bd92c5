"""A whole graph as one hierarchical Lava process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from weakref import WeakSet

from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.sub.model import AbstractSubProcessModel
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess, ProcessServer
from lava.magma.core.resources import CPU
from lava.magma.core.run_configs import RunConfig
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from pumice.backends.lava.neurons import current_port, neuron_process
from pumice.backends.lava.synapses import connect
from pumice.errors import BackendError
from pumice.ir import Accumulator, Graph, verify_graph

_OF_GRAPHS: WeakSet[AbstractProcess] = WeakSet()
"""The inner processes of all graphs."""


class GraphProcess(AbstractProcess):
    """A graph made only of Lava processes that Loihi 2 runs on neuro cores.

    These are LIF, LIFReset, Sigma, Delta, SigmaDelta, RF and RF_IZ; Dense, Sparse, Conv, DelayDense, DelaySparse.
    Run it under ``Loihi2SimCfg(select_tag="fixed_pt")``: without the tag Lava takes float models, which the process's
    `run` and `supervised_run` refuse. Where neurons that send values feed a convolution, run it inside
    ``numpy.errstate(invalid="raise")``, too: what Lava makes of a convolution's sum beyond 32 bits is undefined, and
    with it the model raises. (Sums of the graph's input are bounded here, from its `value_range`.)

    Attributes:
        inp: In-port of the graph's input shape, (x, y, channel) or (features,).
        out: Out-port of the first output population.
        outs: Out-port of each output population by name. An accumulator sends nothing, so it has none (nor is there
            `out` if it is first): read its variable, ``process.populations[name].v``.
        populations: The neurons' processes by population name, for monitors:
            ``Monitor().probe(process.populations["dense0"].v, num_steps)``. Under `OneProcessCfg` there are none.

    Args:
        graph: Verified before anything is built.

    Raises:
        GraphError: The graph is not valid.

    Example:
        ::

            process = GraphProcess(pumice.load("network.net"))
            source.s_out.connect(process.inp)
            process.out.connect(sink.a_in)
            process.run(condition=RunSteps(16), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
            process.stop()
    """

    out: OutPort

    def __init__(self, graph: Graph) -> None:
        super().__init__(graph=graph)  # before anything can raise: Lava's destructor needs it
        verify_graph(graph)
        self.inp = InPort(shape=graph.input.shape)
        self.outs: dict[str, OutPort] = {}
        for index, name in enumerate(graph.outputs):
            if not isinstance(graph.population(name), Accumulator):
                port = OutPort(shape=graph.population(name).shape)
                setattr(self, f"out{index or ''}", port)  # Lava only knows ports that are attributes
                self.outs[name] = port

        self.populations = Populations(self, graph)

    def compile(self, run_cfg: RunConfig, compile_config: dict[str, Any] | None = None) -> Any:
        """As any process of Lava's is compiled, for its `run`.

        Raises:
            BackendError: A floating-point model was selected.
        """
        executable = super().compile(run_cfg, compile_config)
        refuse_floating_point(executable)
        return executable


def refuse_floating_point(executable: Any) -> None:
    """Refuse Lava's floating-point models of the processes of any graph: they give other spikes, without a word.

    Args:
        executable: What Lava compiled.

    Raises:
        BackendError: There is one.
    """
    for process, builder in executable.proc_builders.items():
        model: Any = getattr(builder, "proc_model", None)
        if process in _OF_GRAPHS and "floating_pt" in getattr(model, "tags", ()):
            raise BackendError(
                f"{type(process).__name__} {process.name!r} of a graph would run as Lava's floating-point model "
                f'{model.__name__}, which gives other spikes; use run_cfg=Loihi2SimCfg(select_tag="fixed_pt")'
            )


class Populations(Mapping[str, AbstractProcess]):
    """The processes of a graph's neurons, by population name; all inner processes are built when one is looked up.

    Not before, because a graph that runs as one process has none.

    Raises:
        BackendError: When a population is looked up: Lava has no process that computes one of the synapses exactly.
    """

    def __init__(self, process: GraphProcess, graph: Graph) -> None:
        self._process, self._graph = process, graph
        self._built: dict[str, AbstractProcess] = {}

    @property
    def are_built(self) -> bool:
        """Whether a population was looked up."""
        return bool(self._built)

    def __getitem__(self, name: str) -> AbstractProcess:
        self.build()
        return self._built[name]

    def __iter__(self) -> Iterator[str]:
        return (p.name for p in self._graph.populations)

    def __len__(self) -> int:
        return len(self._graph.populations)

    def build(self) -> list[AbstractProcess]:
        """Build all inner processes, neurons' and synapses'; none if they are there already."""
        if self._built:
            return []
        n_before = ProcessServer().num_processes
        graph, inp = self._graph, self._process.inp
        self._built = {p.name: neuron_process(p) for p in graph.populations}
        for synapse in graph.synapses:
            target = current_port(self._built[synapse.target], synapse.part)
            source = inp if synapse.source == graph.input.name else self._built[synapse.source].s_out
            connect(graph, synapse, source, target)
        for name, port in self._process.outs.items():
            self._built[name].s_out.connect(port)
        built: list[AbstractProcess] = ProcessServer().processes[n_before:]
        _OF_GRAPHS.update(built)
        return built


@implements(proc=GraphProcess, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class GraphProcessModel(AbstractSubProcessModel):
    """One process for each population and synapse.

    They belong to `GraphProcess` itself, so that users can reach them; `one_process` has the other model.
    """

    def __init__(self, proc: GraphProcess) -> None:
        self._built_here = proc.populations.build()

    def find_sub_procs(self) -> dict[str, AbstractProcess]:
        """Those that were built only now; Lava has found the others by their connections."""
        return {f"process{index}": process for index, process in enumerate(self._built_here)}
