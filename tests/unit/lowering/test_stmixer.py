"""The Spiking Token Mixer on a chip: event-driven, and equal to the deployed network at every spike."""

import itertools
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

import pumice
from pumice import nn
from pumice.errors import LoweringError
from pumice.ir import (
    Accumulator,
    Conv,
    Cuba,
    Dense,
    Direct,
    OneToOne,
    Resonator,
    Sparse,
    TokenMixing,
    from_stream,
    latencies,
    to_stream,
    torch_to_lava,
)
from pumice.ir.relays import is_value_relay
from pumice.lowering.blocks import undelayed
from pumice.lowering.synapses import population_name
from pumice.models import stmixer
from pumice.nn.norms.tdbn import momentum_of
from pumice.quantization import quantize_
from pumice.quantization.trace import SYNAPTIC, trace

LIF = {"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 0.5, "surrogate": "dspike"}
WEIGHTED = (Conv, Dense, OneToOne, Sparse, TokenMixing)


@cache
def mixer(steps, **options):
    """A lively small mixer, deployed, and 12 images; nothing changes it."""
    torch.manual_seed(0)
    settings = {"embed_dim": 8, "depth": 2, "heads": 4, "downsampling": 1, **options}
    model = stmixer(LIF, (2, 4, 6), 5, **settings)
    x = torch.randint(0, 17, (12, 2, 4, 6, 1)).float().repeat(1, 1, 1, 1, steps)
    with torch.no_grad(), momentum_of(model, 1 - 0.9**20):  # as twenty passes
        for module in model.modules():
            if isinstance(module, nn.TDBN) and settings.get("bias", True):
                module.shift += 0.3
        model(x)
    return quantize_(model.eval(), x), x


@cache
def lowered(steps, residual):
    """The same mixer for all residuals."""
    model, x = mixer(steps)
    return model, x, pumice.lower(model, x, residual=residual)


@pytest.fixture(scope="module")
def four_steps():
    return lowered(4, "synapses")


def event_driven_faults(graph):
    """What a chip of spiking neurons without a multiplier could not do."""
    for synapse in graph.synapses:
        place = f"{synapse.source} -> {synapse.target}"
        if not isinstance(synapse, WEIGHTED):
            yield f"{place}: {type(synapse).__name__} has no weights"
        source = None if synapse.source == graph.input.name else graph.population(synapse.source)
        values = source is not None and source.sends_values
        added = isinstance(synapse, (OneToOne, Sparse)) and {*np.unique(synapse.weights)} == {1}
        if values and not (is_value_relay(source) and added):
            yield f"{place}: values are weighed"
        if synapse.graded and source is not None and not values:
            yield f"{place}: graded, but its source fires"
    for p in graph.populations:
        if not (isinstance(p, (Cuba, Accumulator)) or is_value_relay(p)):
            yield f"{p.name}: {type(p).__name__}"


@pytest.mark.parametrize("residual", ["synapses", "relays", "auto"])
@pytest.mark.parametrize("steps", [1, 4])
def test_every_spike_equals_the_deployed_networks(steps, residual):
    """Spikes, values of the read-out and, between both backends, the relays: samples back to back."""
    model, x, graph = lowered(steps, residual)
    stream = to_stream(graph, torch_to_lava(x.numpy()).astype(np.int32))
    runs = {b: pumice.run(graph, stream, backend=b, record=True).records for b in ("reference", "fast")}
    calls = [call for call in trace(model, x) if isinstance(call.block, SYNAPTIC)]
    offsets = latencies(graph)
    for call, (backend, records) in itertools.product(calls, runs.items()):
        name = population_name(call)
        got = from_stream(graph, records[name].s, len(x), latency=offsets[name])
        assert_array_equal(got, undelayed(call), err_msg=f"{backend} {name}")
        assert got.any(), name
    for name, record in runs["reference"].items():
        assert_array_equal(runs["fast"][name].s, record.s)
    relays = [p for p in graph.populations if is_value_relay(p)]
    assert bool(relays) is (residual != "synapses")


@pytest.mark.parametrize("options", [{"bias": False}, {"short_path": False}, {"depth": 1}, {"surrogates": True}])
def test_variants_are_exact_too(options):
    model, x = mixer(3, **options)
    graph = pumice.lower(model, x)
    stream = to_stream(graph, torch_to_lava(x.numpy()).astype(np.int32))
    got = from_stream(graph, pumice.run(graph, stream, backend="fast").spikes, len(x))
    assert_array_equal(got * model.head.unit, torch_to_lava(model(x).detach().numpy()))
    assert got.any()
    assert not list(event_driven_faults(graph))
    has_bias = any(np.any(getattr(p, "bias_mant", 0)) for p in graph.populations)
    assert has_bias is options.get("bias", True)


@pytest.mark.parametrize("residual", ["synapses", "relays", "auto"])
@pytest.mark.parametrize("steps", [1, 4])
def test_the_graph_is_event_driven(steps, residual):
    _, _, graph = lowered(steps, residual)
    assert not list(event_driven_faults(graph))
    graded = {s.target for s in graph.synapses if s.graded and s.source == graph.input.name}
    readers = {f"encoders_{i}_fire_neurons0" for i in range(4)}
    # The first convolution, and the short path wherever the stream is read.
    stream = readers if residual == "synapses" else {"encoders_0_fire_neurons0_sum"}
    assert graded == {"embed_fire_neurons0", "head"} | stream


def test_exported_mixers_are_event_driven(request):
    exports = (request.config.rootpath / "netx_exports").glob("*-stmixer/network.net")
    faults = {path.parent.name: list(event_driven_faults(pumice.load(path))) for path in exports}
    assert faults == {"cifar10-stmixer": [], "digits-stmixer": [], "mnist-stmixer": []}


def test_the_walk_sees_what_is_not_event_driven():
    """Each rule broken alone: the walk names the place and what is wrong there, and nothing else."""
    _, _, shared = lowered(4, "relays")
    relay = next(p for p in shared.populations if is_value_relay(p))
    neurons = shared.population("encoders_0_fire_neurons0")
    (onward,) = shared.out_of(neurons.name)
    hops = list(shared.out_of(relay.name))

    def faults(old, new):
        populations, synapses = (
            tuple(new if part is old else part for part in parts) for parts in (shared.populations, shared.synapses)
        )
        return list(event_driven_faults(shared.replace(populations=populations, synapses=synapses)))

    def place(synapse):
        return f"{synapse.source} -> {synapse.target}"

    hop = hops[0]
    assert faults(hop, replace(hop, weight=3)) == [f"{place(hop)}: values are weighed"]
    dense = Dense(hop.source, hop.target, graded=True, weight=np.ones((1, 1), int))
    assert faults(hop, dense) == [f"{place(hop)}: values are weighed"]
    assert faults(hop, replace(hop, source="head")) == [f"head -> {hop.target}: values are weighed"]
    weighed = [f"{place(s)}: values are weighed" for s in hops]
    for other in (replace(relay, relu=True), replace(relay, vth=9)):
        assert faults(relay, other) == [*weighed, f"{relay.name}: SigmaDelta"]
    assert faults(onward, replace(onward, graded=True)) == [f"{place(onward)}: graded, but its source fires"]
    assert faults(onward, Direct(onward.source, onward.target)) == [f"{place(onward)}: Direct has no weights"]
    resonator = Resonator(neurons.name, neurons.shape, vth=64, sin_decay=0, cos_decay=0)
    assert faults(neurons, resonator) == [f"{neurons.name}: Resonator"]
    assert faults(hop, hop) == []


@pytest.mark.parametrize(
    "between",
    [
        lambda a, b: a * b,
        lambda a, b: torch.einsum("bcxyt,bdxyt,bdzwt->bczwt", a, b, a),
        torch.maximum,
        lambda a, _: torch.nn.functional.max_pool3d(a, (2, 2, 1)),
    ],
    ids=["product", "attention", "maximum", "max pooling"],
)
def test_what_is_not_event_driven_is_refused(between):
    class Own(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = (nn.Conv(LIF, 2, 2, 1) for _ in range(3))

        def forward(self, x):
            return self.c(between(self.a(x), self.b(x)))

    with pytest.raises(LoweringError, match="block 'c': its input is neither"):
        pumice.lower(Own(), torch.ones(1, 2, 4, 4, 3))


def test_every_earlier_branch_reaches_every_later_reader(four_steps):
    """K branches and the two paths of the embedding; the shared ones with equal weights and equal thresholds."""
    _, _, graph = four_steps
    readers = [f"encoders_{i}_fire_neurons0" for i in range(4)]
    assert [len(list(graph.into(name))) for name in readers] == [2, 3, 4, 5]
    assert len(list(graph.into("head"))) == 6
    assert len({graph.population(name).vth_mant for name in readers}) == 1
    by_source = {
        name: {s.source: s.weight for s in graph.into(name) if s.source != graph.input.name} for name in readers
    }
    for earlier, later in itertools.combinations(readers, 2):
        assert by_source[earlier].keys() < by_source[later].keys()
        for source, weight in by_source[earlier].items():
            assert_array_equal(by_source[later][source], weight)


@pytest.mark.parametrize("defect", ["branch", "delay", "threshold", "bias"])
def test_a_planted_defect_shows(four_steps, defect):
    """A branch dropped from one reader, a step of delay too much, >= for >, a bias forgotten."""
    model, x, graph = four_steps
    reader = graph.population("encoders_2_fire_neurons0")
    dropped = next(s for s in graph.into(reader.name) if s.source == "encoders_0_fire_neurons2")
    populations, synapses = graph.populations, graph.synapses
    if defect == "branch":
        synapses = tuple(s for s in synapses if s is not dropped)
    elif defect == "delay":
        # Later than its neighbours: a delay of what is computed, not of latency.
        synapses = tuple(replace(s, delay_steps=1) if s is dropped else s for s in synapses)
    elif defect == "threshold":
        populations = tuple(replace(p, vth_mant=p.vth_mant - 1) if p is reader else p for p in populations)
    else:
        populations = tuple(replace(p, bias_mant=0) if p is reader else p for p in populations)
    broken = graph.replace(populations=populations, synapses=synapses)
    stream = to_stream(graph, torch_to_lava(x.numpy()).astype(np.int32))
    expected, got = (pumice.run(g, stream, backend="fast", record=True).records for g in (graph, broken))
    assert (expected[reader.name].s != got[reader.name].s).any()
    answers = from_stream(graph, expected["head"].s, len(x)) * model.head.unit
    assert_array_equal(answers, torch_to_lava(model(x).detach().numpy()))


def test_readers_of_one_stream_need_one_threshold():
    model, x = stmixer(LIF, (1, 8, 8), 3, embed_dim=16, depth=1, heads=2), torch.ones(2, 1, 8, 8, 2)
    model(x)
    model.encoders[1].fire[0] = nn.Neurons({**LIF, "threshold": 0.5})
    with pytest.raises(LoweringError, match=r"common current .* have different thresholds \[0.5, 1.0\]"):
        quantize_(model.eval(), x)


def test_a_network_of_the_users_own_lowers():
    """Residual streams are made of `Current`, not of one model: here of dense layers."""

    class Own(torch.nn.Module):
        def __init__(self):
            super().__init__()
            norm = lambda: nn.TDBN(threshold=1.0)  # noqa: E731
            self.synapses = torch.nn.ModuleList(nn.DenseSynapse(12, 12, norm=norm) for _ in range(4))
            self.fire = torch.nn.ModuleList(nn.Neurons(LIF) for _ in range(4))
            self.out = nn.Dense({**LIF, "norm": nn.TDBN}, 12, 3)

        def forward(self, x):
            stream = nn.Current.of(self.synapses[0], x)
            for synapse, fire in zip(self.synapses[1:], self.fire, strict=False):
                stream = stream + nn.Current.of(synapse, fire(stream))
            return self.out(self.fire[-1](stream))

    torch.manual_seed(3)
    model, x = Own(), torch.randint(0, 5, (10, 12, 6)).float()
    with torch.no_grad(), momentum_of(model, 1 - 0.9**20):  # as twenty passes
        for module in model.modules():
            if isinstance(module, nn.TDBN):
                module.shift += 0.5
        model(x)
    graph = pumice.lower(model.eval(), x)
    stream = to_stream(graph, torch_to_lava(x.numpy()).astype(np.int32))
    got = from_stream(graph, pumice.run(graph, stream).spikes, len(x))
    assert_array_equal(got, torch_to_lava(model(x).detach().numpy()))
    assert 0 < got.mean() < 1


@pytest.mark.lava
@pytest.mark.parametrize(
    ("steps", "residual"),
    [
        (1, "synapses"),
        (3, "relays"),
        pytest.param(1, "relays", marks=pytest.mark.slow),
        pytest.param(3, "synapses", marks=pytest.mark.slow),
    ],
)
def test_on_lava_through_a_file(steps, residual, tmp_path):
    model, x = mixer(steps, depth=1)
    graph = pumice.lower(model, x, residual=residual)
    streams = [to_stream(graph, torch_to_lava(part.numpy()).astype(np.int32)) for part in (x[:2], x)]
    pumice.save(pumice.certify(graph, streams[0]), tmp_path / "mixer.net")
    loaded = pumice.load(tmp_path / "mixer.net")
    backends = ("reference", "fast", "lava-in-threads")
    assert set(pumice.verify(loaded, backends=backends)) == set(backends)
    got = from_stream(loaded, pumice.run(loaded, streams[1], backend="lava-in-threads").spikes, len(x))
    assert_array_equal(got * model.head.unit, torch_to_lava(model(x).detach().numpy()))
