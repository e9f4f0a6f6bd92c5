"""Cases of the dry run: a graph on CPU models between stand-in adapters, beside the Lava backend; some with defects.

Run with this folder on the path, behind that of pumice: prints one JSON object, case -> outcome.
"""

import json
import sys
import warnings
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

import pumice
from pumice.backends.lava import LavaBackend, supervise
from pumice.backends.loihi2 import ChipAdapters, ChipGraph, Loihi2Backend, Loihi2Cfg, backend, for_chip
from pumice.errors import BackendError, PumiceWarning
from pumice.ir import (
    Accumulator,
    Conv,
    Cuba,
    Dense,
    Direct,
    Graph,
    Input,
    OneToOne,
    Reset,
    Resonator,
    SigmaDelta,
    with_reset_schedule,
)
from pumice.ir.builder import chain

from lava.magma.compiler.subcompilers.nc.ncproc_compiler import CompilerOptions  # isort: skip
from lava.magma.core.model.py.model import AbstractPyProcessModel  # isort: skip
from lava.magma.core.model.sub.model import AbstractSubProcessModel  # isort: skip
from lava.magma.core.run_configs import Loihi2HwCfg, Loihi2SimCfg  # isort: skip
from lava.proc.conv.process import Conv as LavaConv  # isort: skip
from lava.proc.embedded_io.spike import PyToN3ConvAdapter, PyToNxAdapter  # isort: skip
from lava.proc.lif.process import LIFReset  # isort: skip

supervise.GONE_S = 0.1  # containers without an init keep what was killed for ever

EXPORTS = Path(__file__).parents[2] / "netx_exports"
TABLE = """
| AxonIn |NeuronGr| Neurons|Synapses| AxonMap| AxonMem|  Total |  Cores |
|------------------------------------------------------------------------|
|   3.20%|  12.50%|   0.24%|   3.20%|   0.06%|   0.00%|   5.37%|       1|
|------------------------------------------------------------------------|
| Total                                                         |       1|
"""


class DryRunCfg(Loihi2Cfg):
    """Selects as on the chip, checked; refuses what the chip would do wrong; then runs the model for the CPU."""

    def __init__(self, probes=()):
        super().__init__(probes=probes)
        self.cpu = Loihi2SimCfg(select_tag="fixed_pt")

    def select(self, process, proc_models):
        if CompilerOptions.verbose and not self.selected:
            print(TABLE)
        selected = super().select(process, proc_models)
        refuse(process)
        if issubclass(selected, AbstractSubProcessModel):
            return selected
        return self.cpu.select(process, [m for m in proc_models if issubclass(m, AbstractPyProcessModel)])


def refuse(process):
    """What public code and documentation say that the chip cannot do."""
    if isinstance(process, (PyToNxAdapter, PyToN3ConvAdapter)):
        for port in process.out.get_dst_ports():
            fed = port.process
            if not hasattr(fed, "s_in"):
                raise BackendError(f"stand-in: an adapter feeds synapses, not the neurons of {type(fed).__name__}")
            if isinstance(fed, LavaConv) != isinstance(process, PyToN3ConvAdapter):
                raise BackendError(f"stand-in: {type(process).__name__} cannot feed {type(fed).__name__}")
    if isinstance(process, LIFReset):
        interval = process.proc_params["reset_interval"]
        if interval & (interval - 1):
            raise BackendError(f"stand-in: a reset interval of {interval} is no power of two")


def compared(graph, x, *, record=False, **options):
    """How many values differ from the Lava backend's, of how many; or the error."""
    chip = Loihi2Backend(run_cfg=DryRunCfg, stall_timeout_s=300, **options)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PumiceWarning)
            got = chip.run(graph, x, record=record)
    except BackendError as error:
        return {"error": str(error)}
    expected = LavaBackend(in_threads=True).run(graph, x, record=record)
    pairs = [(got.outputs[name], values) for name, values in expected.outputs.items()]
    for name, of_one in expected.records.items():
        pairs += [(got.records[name].values()[state], values) for state, values in of_one.values().items()]
    return {
        "values": sum(values.size for _, values in pairs),
        "non_zero": int(sum(np.count_nonzero(values) for _, values in pairs)),
        "differ": int(sum(np.count_nonzero(a != b) if a.shape == b.shape else a.size for a, b in pairs)),
        "profile": json.loads(got.profile.to_json()),
    }


class Planted:
    """Something of the backend replaced by what is wrong."""

    def __init__(self, module, name, wrong):
        self.where, self.wrong = (module, name), wrong

    def __enter__(self):
        self.right = getattr(*self.where)
        setattr(*self.where, self.wrong)

    def __exit__(self, *_):
        setattr(*self.where, self.right)


class WrongAdapter(ChipAdapters):
    def input(self, graph, x):
        return self._make("lava.proc.embedded_io.spike", "PyToNxAdapter", graph.input.shape, num_message_bits=8)


class NoMessageBits(ChipAdapters):
    def _make(self, module, kind, shape, **arguments):
        return super()._make(
            module, kind, shape, **(arguments | {"num_message_bits": 0} if "Py" in kind else arguments)
        )


def export(name, steps):
    graph = pumice.load(EXPORTS / name / "network.net")
    return graph, graph.certificate.x[:steps]


def random(shape, steps, high=1, low=0):
    return np.random.default_rng(0).integers(low, high + 1, (steps, *shape))


def direct_graph():
    """Input neurons with a bias, reset in the first step; a recurrent synapse beside the input."""
    graph = chain((4,), [3], seed=3, vth_mant=20)
    first = Cuba("first", (4,), vth_mant=2, bias_mant=1, v_decay_q12=512, reset=Reset(8, 1))
    dense = replace(graph.synapses[0], source="first")
    last = replace(graph.populations[0], reset=Reset(8, 2))
    return Graph(Input("input", (4,)), (first, last), (Direct("input", "first", True), dense), ("dense0",))


def image(delay=0, side_delay=None):
    """Two convolutions, the second of delayed spikes; perhaps a dense synapse beside the first."""
    weight = np.random.default_rng(1).integers(-20, 40, (2, 2, 3, 3, 2)) * 2
    kind = {"padding": (1, 1)}
    synapses = [Conv("input", "first", True, weight=weight[0], **kind)]
    synapses.append(Conv("first", "last", weight=weight[1], delay_steps=np.array([0, delay]), **kind))
    populations = (Cuba("first", (4, 4, 2), vth_mant=90), Cuba("last", (4, 4, 2), vth_mant=90))
    if side_delay is not None:
        synapses.append(OneToOne("input", "last", True, weight=8, balance_steps=side_delay))
    return Graph(Input("input", (4, 4, 2)), populations, tuple(synapses), ("last",))


def sums():
    """Values of both signs come back, and the voltage of neurons that never fire."""
    weight = 2 * np.random.default_rng(2).integers(-9, 9, (2, 3, 4))
    unit = SigmaDelta("sum", (3,), vth=0, relu=False, spike_exp=0, state_exp=0)
    synapses = (Dense("input", "sum", True, weight=weight[0]), Dense("input", "voltage", True, weight=weight[1]))
    return Graph(Input("input", (4,)), (unit, Accumulator("voltage", (3,))), synapses, ("sum", "voltage"))


def without_shift(graph):
    """`for_chip` whose resets stay where they were."""
    placed, extra = for_chip(graph)
    return ChipGraph(placed.replace(populations=graph.populations), extra)


def without_delays(graph):
    synapses = tuple(replace(s, delay_steps=0) if isinstance(s, Conv) else s for s in graph.synapses)
    return for_chip(graph.replace(synapses=synapses))


def as_it_is(graph):
    return ChipGraph(graph, 0)


def fallback():
    """What Lava's own configuration takes where there is no model for the chip, and what ours makes of it."""
    p = Resonator("rf", (3,), sin_decay=100, cos_decay=4000, vth=100, izhikevich=True)
    synapse = Dense("input", "rf", weight=np.full((3, 4), 8))
    return Graph(Input("input", (4,)), (p,), (synapse,), ("rf",))


def every_six_steps():
    return with_reset_schedule(chain((4,), [3], seed=3), 6)


def of_export(name):
    """Just long enough that the first sample's answer leaves."""
    graph, x = export(name, None)
    return compared(graph, x[: graph.timing.lead_steps + graph.latency + min(graph.timing.sample_steps, 4)])


def silent():
    from lava.magma.compiler.compiler_graphs import ProcGroupDiGraphs
    from lava.proc.rf_iz.process import RF_IZ

    process = RF_IZ(shape=(1,), period=1.0, alpha=1.0)
    return Loihi2HwCfg().select(process, ProcGroupDiGraphs._find_proc_models(process)).__name__


def planted_case(module, name, wrong, graph, x):
    with Planted(module, name, wrong):
        return compared(graph, x)


ALL = ("power", "time", "memory", "activity")
IMAGE = random((4, 4, 2), 7, 5)
FAST = {
    "digits": lambda: compared(*export("digits", 4), record=True, profile=ALL),
    "direct": lambda: compared(direct_graph(), random((4,), 10)),
    "paths": lambda: compared(image(3, side_delay=1), IMAGE),
    "fallback": lambda: compared(fallback(), random((4,), 3)),
    "silent": silent,
    "wrong_adapter": lambda: compared(image(), IMAGE, adapters=WrongAdapter),
    "direct_without_synapse": lambda: planted_case(backend, "for_chip", as_it_is, direct_graph(), random((4,), 3)),
    "refused": lambda: compared(every_six_steps(), random((4,), 3)),
    "interval": lambda: planted_case(backend, "check_for_chip", str, every_six_steps(), random((4,), 3)),
}
SLOW = {
    "image": lambda: compared(image(3), IMAGE),
    "sums": lambda: compared(sums(), random((4,), 6, 5, -5)),
    "no_message_bits": lambda: compared(image(), IMAGE, adapters=NoMessageBits),
    "resets_not_shifted": lambda: planted_case(backend, "for_chip", without_shift, direct_graph(), random((4,), 10)),
    "no_conv_delay": lambda: planted_case(backend, "for_chip", without_delays, image(3), IMAGE),
    "no_sign": lambda: planted_case(backend, "sign_extended", np.asarray, sums(), random((4,), 6, 5, -5)),
    "late_states": lambda: compared(*export("digits", 3), record=True, state_read_steps=0),
}
SLOW |= {f"export {p.name}": partial(of_export, p.name) for p in EXPORTS.iterdir() if p.is_dir()}


def main(names):
    found = {}
    for name in names:
        print(name, file=sys.stderr, flush=True)
        found[name] = (FAST | SLOW)[name]()
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1:])
