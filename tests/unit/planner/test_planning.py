import json
import re
from dataclasses import replace

import numpy as np
import pytest

import pumice
from pumice.errors import GraphError, InputError
from pumice.hardware import load_constants
from pumice.ir import Dense, to_stream
from pumice.ir.builder import chain
from pumice.passes.order import run_passes


@pytest.fixture(scope="module")
def graph():
    """784-128-64-10, as in the netx MNIST tutorial: 5 cores."""
    made = run_passes(chain((784,), [128, 64, 10], seed=0), sample_steps=6)
    samples = np.random.default_rng(0).integers(0, 2, (2, 6, 784))
    return pumice.certify(made, to_stream(made, samples))


def test_a_plan_of_a_certified_graph(graph):
    plan = pumice.plan(graph)
    assert plan.fits
    assert (plan.cores, plan.chips, [row.cores for row in plan.layers]) == (5, 1, [3, 1, 1])
    assert plan.activity == ("the certificate's input", len(graph.certificate.x))
    assert plan.layers[0].operations == 50 * graph.certificate.x.sum(1).max()
    assert plan.time.population == "dense0"
    assert plan.sample.steps == graph.timing.period_steps == 8
    assert plan.sample.throughput.nominal == pytest.approx(1e6 / (8 * plan.time.mean.nominal))
    assert plan.sample.latency.nominal == pytest.approx((3 + 6) * plan.time.mean.nominal)
    assert plan.sample.energy.chip.nominal == pytest.approx(8 * plan.energy.chip.nominal)
    for of in (plan.time.mean, plan.time.busiest, plan.energy.dynamic, plan.sample.throughput):
        assert 0 < of.low <= of.nominal <= of.high


def test_an_input_of_ones_own_counts(graph):
    silent, loud = (pumice.plan(graph, np.full((5, 784), value)) for value in (0, 1))
    assert silent.activity == ("the given input", 5)
    assert silent.layers[0].operations == 0
    assert loud.layers[0].operations == 50 * 784
    assert loud.time.mean.nominal > silent.time.mean.nominal
    assert loud.energy.dynamic.nominal > silent.energy.dynamic.nominal


def test_without_activity_time_grows_with_the_rate():
    plan = pumice.plan(chain((784,), [128], seed=0))
    assert plan.activity is plan.time is plan.energy is plan.sample is None
    assert [rate for rate, _ in plan.at_rates] == [0.01, 0.1, 1]
    times = [time.nominal for _, time in plan.at_rates]
    assert times == sorted(times)
    assert times[-1] == pytest.approx(1.8 + 50 * 784 / 1000)


def test_input_and_output_come_on_top(graph):
    alone, through = (pumice.plan(graph, io=path) for path in ("none", "python"))
    assert through.io.values == 784 + 10
    assert through.time == alone.time
    assert through.sample.latency.nominal == pytest.approx(9 * (alone.time.mean.nominal + through.io.time.nominal))
    assert through.energy.static_chip.nominal > alone.energy.static_chip.nominal


def test_the_compiler_is_chosen():
    graph = chain((2560,), [100], seed=0)
    new, old = (pumice.plan(graph, compiler=whose) for whose in ("2023", "2022"))
    assert (new.cores, new.cores_by_other) == (old.cores_by_other, old.cores)
    assert new.cores != old.cores


def test_constants_of_ones_own(graph, tmp_path):
    (tmp_path / "own.json").write_text(json.dumps({"constants": {"t_synapse": {"value": 100}}}))
    slow = pumice.plan(graph, constants=tmp_path / "own.json")
    assert slow.time.mean.nominal > 20 * pumice.plan(graph).time.mean.nominal
    assert slow.constants.replaced == ("t_synapse",)
    assert pumice.plan(graph, constants=load_constants()).time == pumice.plan(graph).time


def test_a_graph_that_does_not_fit_has_no_times():
    plan = pumice.plan(chain((9000,), [4], seed=0))
    assert not plan.fits
    assert plan.layers == ()
    assert plan.at_rates == ()
    assert "pool" in str(plan.violations[0])


def test_a_board_too_small_still_gets_times():
    plan = pumice.plan(chain((784,), [3000, 2000], seed=0))
    assert [v.where for v in plan.violations] == ["network", "population dense1"]
    assert plan.at_rates
    assert plan.at_rates[0][1].high > 5.4  # the barrier of several chips


def test_json_holds_everything(graph):
    plan = pumice.plan(graph, board="vpx16")
    found = json.loads(plan.to_json())
    assert found["fits"] is True
    assert found["board"]["chips"] == 16
    assert found["layers"][0]["largest"]["synapses"] == 784 * 16
    assert found["time"]["mean"] == plan.time.mean._asdict()
    assert found["constants"]["t_sync"]["source"]
    refused = json.loads(pumice.plan(chain((9000,), [4], seed=0)).to_json())
    assert refused["violations"][0]["where"] == "population dense0"


def test_bad_arguments_are_named(graph):
    with pytest.raises(InputError, match="unknown board 'oheo'"):
        pumice.plan(graph, board="oheo")
    with pytest.raises(InputError, match="compiler must be one of 2023, 2022, got 'gcc'"):
        pumice.plan(graph, compiler="gcc")
    with pytest.raises(InputError, match="unknown path of input and output 'usb'"):
        pumice.plan(graph, io="usb")
    with pytest.raises(InputError, match=r"input must have shape \(T, 784\)"):
        pumice.plan(graph, np.ones((4, 3), int))
    for option in ("board", "io"):
        for value in (3, None, []):
            with pytest.raises(InputError, match=rf"unknown .* {re.escape(repr(value))}; .*here are: "):
                pumice.plan(graph, **{option: value})
    broken = replace(graph.synapses[0], target="nobody")
    with pytest.raises(GraphError, match="nobody"):
        pumice.plan(graph.replace(synapses=(broken, *graph.synapses[1:])))


def test_assumptions_are_of_the_layers_that_need_them(graph):
    plan = pumice.plan(graph)
    assert [text.split(":")[0] for _, text, _ in plan.assumptions] == [
        "neurons that are reset, sum or send differences"
    ]
    late = Dense("dense0", "dense1", weight=np.ones((64, 128), int), delay_steps=3)
    bare = chain((784,), [128, 64, 10], seed=0)
    made = pumice.plan(bare.replace(synapses=(bare.synapses[0], late, bare.synapses[2])))
    assert [(letter, names) for letter, _, names in made.assumptions] == [("a", ("dense1",))]
    assert [row.marks for row in made.layers] == ["", "a", ""]
