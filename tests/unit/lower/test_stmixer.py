"""The Spiking Token Mixer on a chip: event-driven, and equal to the deployed network at every spike."""

import itertools
from dataclasses import replace

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
    OneToOne,
    SigmaDelta,
    TokenMixing,
    from_stream,
    latencies,
    to_stream,
    torch_to_lava,
)
from pumice.lower.blocks import population_name, undelayed
from pumice.models import stmixer
from pumice.nn.trace import SYNAPTIC, trace
from pumice.passes.insert_relays import is_value_relay

LIF = {"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 0.5, "surrogate": "dspike"}
LINEAR = (Conv, Dense, OneToOne, TokenMixing)


def mixer(steps, **options):
    """A lively small mixer, deployed, and 12 images."""
    torch.manual_seed(0)
    settings = {"embed_dim": 8, "depth": 2, "heads": 4, "downsampling": 1, **options}
    model = stmixer(LIF, (2, 4, 6), 5, **settings)
    x = torch.randint(0, 17, (12, 2, 4, 6, 1)).float().repeat(1, 1, 1, 1, steps)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.TDBN) and settings.get("bias", True):
                module.shift += 0.3
        for _ in range(20):
            model(x)
    return nn.deploy(model.eval(), x), x


def lowered(model, x, **options):
    return pumice.lower(model, x, **options)


@pytest.fixture(scope="module")
def four_steps():
    model, x = mixer(4)
    return model, x, pumice.lower(model, x, residual="synapses")


def event_driven_faults(graph):
    """What a chip of spiking neurons without a multiplier could not do."""
    for synapse in graph.synapses:
        place = f"{synapse.source} -> {synapse.target}"
        if not isinstance(synapse, LINEAR):
            yield f"{place}: {type(synapse).__name__} is no product of fixed weights with one source"
        source = None if synapse.source == graph.input.name else graph.population(synapse.source)
        values = source is not None and source.sends_values
        if values and not (is_value_relay(source) and isinstance(synapse, OneToOne) and synapse.weight == 1):
            yield f"{place}: values are weighed"
        if synapse.graded and source is not None and not values:
            yield f"{place}: graded, but its source fires"
    for p in graph.populations:
        if not (isinstance(p, (Cuba, Accumulator)) or is_value_relay(p)):
            yield f"{p.name}: {type(p).__name__}"
        if isinstance(p, Accumulator) and any(graph.out_of(p.name)):
            yield f"{p.name}: an accumulator's voltage goes on"


@pytest.mark.parametrize("residual", ["synapses", "relays", "auto"])
@pytest.mark.parametrize("steps", [1, 4])
def test_every_spike_equals_the_deployed_networks(steps, residual):
    """Spikes, values of the read-out and, between both backends, the relays: samples back to back."""
    model, x = mixer(steps)
    graph = lowered(model, x, residual=residual)
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
    graph = lowered(model, x)
    stream = to_stream(graph, torch_to_lava(x.numpy()).astype(np.int32))
    got = from_stream(graph, pumice.run(graph, stream, backend="fast").spikes, len(x))
    assert_array_equal(got * model.head.unit, torch_to_lava(model(x).detach().numpy()))
    assert got.any()
    assert not list(event_driven_faults(graph))
    has_bias = any(np.any(getattr(p, "bias_mant", 0)) for p in graph.populations)
    assert has_bias is options.get("bias", True)


@pytest.mark.parametrize("residual", ["synapses", "relays"])
def test_the_graph_is_event_driven(residual):
    model, x = mixer(2)
    graph = lowered(model, x, residual=residual)
    assert not list(event_driven_faults(graph))
    graded = {(s.source, s.target) for s in graph.synapses if s.graded and s.source == graph.input.name}
    first = {"embed_fire_neurons0", "head"}  # the first convolution, and the short path wherever the stream is read
    if residual == "relays":
        assert graded == {(graph.input.name, name) for name in (*first, "encoders_0_fire_neurons0_sum")}
    else:
        readers = {f"encoders_{i}_fire_neurons0" for i in range(4)}
        assert graded == {(graph.input.name, name) for name in first | readers}


def test_the_walk_sees_what_is_not_event_driven(four_steps):
    """Planted: an analogue sum that is weighed, one that goes on behind a threshold, a value that goes on."""
    model, x, _ = four_steps
    shared = pumice.lower(model, x, residual="relays")

    def changed(old, new):
        return shared.replace(populations=tuple(new if p is old else p for p in shared.populations))

    relay = next(p for p in shared.populations if is_value_relay(p))
    hop = next(s for s in shared.synapses if s.source == relay.name)
    weighed = shared.replace(synapses=(*shared.synapses, replace(hop, weight=3)))
    onward = shared.replace(synapses=(*shared.synapses, OneToOne("head", relay.name, graded=True, weight=1)))
    assert list(event_driven_faults(weighed))
    assert list(event_driven_faults(onward))
    assert list(event_driven_faults(changed(relay, replace(relay, relu=True))))
    assert list(event_driven_faults(changed(relay, SigmaDelta(relay.name, relay.shape, vth=9))))
    assert not list(event_driven_faults(shared))


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
    with pytest.raises(LoweringError, match=r"receive a common current but have different thresholds \[0.5, 1.0\]"):
        nn.deploy(model.eval(), x)


def test_a_network_of_the_users_own_lowers():
    """Residual streams are made of `Current`, not of one model: here of dense layers."""

    class Own(torch.nn.Module):
        def __init__(self):
            super().__init__()
            norm = lambda: nn.TDBN(threshold=1.0)  # noqa: E731
            self.arms = torch.nn.ModuleList(nn.DenseArm(12, 12, norm=norm) for _ in range(4))
            self.fire = torch.nn.ModuleList(nn.Neurons(LIF) for _ in range(4))
            self.out = nn.Dense({**LIF, "norm": nn.TDBN}, 12, 3)

        def forward(self, x):
            stream = nn.Current.of(self.arms[0], x)
            for arm, fire in zip(self.arms[1:], self.fire, strict=False):
                stream = stream + nn.Current.of(arm, fire(stream))
            return self.out(self.fire[-1](stream))

    torch.manual_seed(3)
    model, x = Own(), torch.randint(0, 5, (10, 12, 6)).float()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.TDBN):
                module.shift += 0.5
        for _ in range(20):
            model(x)
    graph = pumice.lower(model.eval(), x)
    stream = to_stream(graph, torch_to_lava(x.numpy()).astype(np.int32))
    got = from_stream(graph, pumice.run(graph, stream).spikes, len(x))
    assert_array_equal(got, torch_to_lava(model(x).detach().numpy()))
    assert 0 < got.mean() < 1


@pytest.mark.lava
@pytest.mark.parametrize("residual", ["synapses", "relays"])
@pytest.mark.parametrize("steps", [1, 3])
def test_on_lava_through_a_file(steps, residual, tmp_path):
    model, x = mixer(steps, depth=1)
    graph = lowered(model, x, residual=residual)
    streams = [to_stream(graph, torch_to_lava(part.numpy()).astype(np.int32)) for part in (x[:2], x)]
    pumice.save(pumice.certify(graph, streams[0]), tmp_path / "mixer.net")
    loaded = pumice.load(tmp_path / "mixer.net")
    assert set(pumice.verify(loaded, backends=("reference", "fast", "lava"))) == {"reference", "fast", "lava"}
    got = from_stream(loaded, pumice.run(loaded, streams[1], backend="lava").spikes, len(x))
    assert_array_equal(got * model.head.unit, torch_to_lava(model(x).detach().numpy()))
