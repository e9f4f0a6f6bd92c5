"""The audit finds planted defects, makes the networks smaller, and goes on."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

import pumice.backends.fast.backend as fast
import pumice.lowering.blocks
import pumice.lowering.synapses
import pumice.testing.exact
from pumice import nn
from pumice.errors import CheckFailedError, InputError, LoweringError
from pumice.fixedpoint import CubaState
from pumice.ir import Dense
from pumice.ir.populations import leaky
from pumice.testing import audit, check_exact, lower_checked
from pumice.testing.auditing import Case, Outcome, Part, Step, Worker, run_case, shrink
from pumice.testing.auditing.worker import SERVE

PARAMS = {"threshold": 0.5, "current_decay": 0.3, "voltage_decay": 0.1}
NORMED = {"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 0.25, "norm": "TDBN"}


def lively(seed, index):
    """A network that fires, with a bias, two layers and two heads; more than any defect needs."""
    rng = np.random.default_rng([seed, index])
    return Case(
        seed=index,
        input_shape=(int(rng.integers(3, 8)),),
        time=8,
        parts=(
            Part("dense", (0,), {"out": 8, "scale": 6.0, "params": PARAMS}),
            Part("dense", (1,), {"out": 6, "scale": 6.0, "params": NORMED}),
            Part("dense", (2,), {"out": 3, "scale": 6.0, "params": PARAMS}),
            Part("merge", (1,), {"synapses": [{"kind": "dense", "out": 2, "norm": "TDBN"}]}),
        ),
        returns=(3, 4),
        returned_as="tuple",
        life=(Step("weights", {"by": 1.5}), Step("statistics"), Step("norms", {"shift": 0.4})),
        example="some",
        samples=3,
        values="some",
        run_under=("no grad",),
    )


def found(networks=4, draw=lively):
    return audit(networks=networks, seed=1, isolated=False, draw=draw)


def test_nothing_is_found_where_nothing_is_wrong():
    report = found()
    assert not report.failures
    assert report.outcomes == {"equal": 4}
    assert report.integers > 1000


def only_failure(report):
    assert report.outcomes["failed"] >= 1
    return next(iter(report.failures.values()))


def test_a_reference_that_fires_at_its_threshold(monkeypatch):
    right = leaky.cuba_step

    def with_equality(state, activation, *, vth_mant, **others):
        _, (u, v) = right(state, activation, vth_mant=1 << 17, **others)  # never fires, so v is not reset
        fires = v >= np.asarray(vth_mant) << 6
        return fires, CubaState(u, np.where(fires, 0, v).astype(np.int32))

    monkeypatch.setattr(leaky, "cuba_step", with_equality)
    forgets = {"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 1.0}
    first = Part("dense", (0,), {"out": 16, "scale": 3.0, "params": forgets})  # sums that meet a threshold exactly
    failure = only_failure(found(draw=lambda *_: replace(lively(1, 0), parts=(first, *lively(1, 0).parts[1:]))))
    assert "differs from the deployed network" in failure.detail
    assert len(failure.case.parts) == 1
    assert failure.case.run_under == ()


def test_a_dropped_bias(monkeypatch):
    monkeypatch.setattr(pumice.lowering.blocks, "_bias", lambda call: np.zeros(1, np.int32))
    failure = only_failure(found())
    assert "differs from the deployed network" in failure.detail
    assert [part.kind for part in failure.case.parts] in (["dense"], ["merge"])
    assert "norm" in str(failure.case.parts)


def test_a_latency_that_is_off_by_one(monkeypatch):
    right = pumice.testing.exact.latencies
    monkeypatch.setattr(pumice.testing.exact, "latencies", lambda graph: {k: v + 1 for k, v in right(graph).items()})
    failure = only_failure(found())
    assert failure.reason == "difference: model and reference"
    assert len(failure.case.parts) == 1


def test_a_fast_backend_with_heavier_weights(monkeypatch):
    right = fast.FastBackend._run

    def heavier(self, graph, x, record):
        first = next(s for s in graph.synapses if isinstance(s, Dense))
        wrong = replace(first, weight=np.where(first.weight < 0, first.weight, 254))
        return right(
            self, graph.replace(synapses=tuple(wrong if s is first else s for s in graph.synapses)), x, record
        )

    monkeypatch.setattr(fast.FastBackend, "_run", heavier)
    failure = only_failure(found())
    assert failure.reason == "difference: fast and reference"
    assert len(failure.case.parts) == 1


def test_a_file_that_forgets_the_bias(monkeypatch):
    right = pumice.testing.exact.load

    def forgetful(path):
        graph = right(path)
        return graph.replace(populations=tuple(replace(p, bias_mant=0) for p in graph.populations))

    monkeypatch.setattr(pumice.testing.exact, "load", forgetful)
    failure = only_failure(found())
    assert failure.reason == "difference: file and reference"
    assert "norm" in str(failure.case.parts)


def inhibiting(seed, index):
    """Neurons that keep each other down."""
    first = Part("inhibition", (0,), {"out": 8, "scale": 6.0, "params": PARAMS, "strength": 0.5})
    return replace(lively(seed, index), parts=(first, *lively(seed, index).parts[1:]))


def one_to_one(seed, index):
    """Neurons that are driven by those at their own place, and by themselves."""
    params = {**PARAMS, "threshold": 3.0}
    wishes = {"synapses": [{"kind": "one-to-one"}], "recurrent": {"kind": "one-to-one"}, "params": params}
    first, _, *others = lively(seed, index).parts
    return replace(lively(seed, index), parts=(first, Part("merge", (1,), wishes), *others))


@pytest.mark.parametrize("draw", [inhibiting, one_to_one])
def test_neurons_that_are_driven_by_each_other_are_equal(draw):
    assert found(2, draw).outcomes == {"equal": 2}


def test_neurons_that_inhibit_themselves(monkeypatch):
    right = nn.LateralInhibition.matrix
    monkeypatch.setattr(nn.LateralInhibition, "matrix", lambda self: right(self).amin() + 0 * right(self))
    failure = only_failure(found(2, inhibiting))
    assert "differs from the deployed network" in failure.detail
    assert [part.kind for part in failure.case.parts] == ["inhibition"]


def test_one_to_one_weights_that_are_too_heavy(monkeypatch):
    kinds, kind = pumice.lowering.synapses._SYNAPSES, nn.OneToOneSynapse
    right = kinds[kind]
    heavier = lambda *given: replace(right(*given), weight=2 * right(*given).weight)  # noqa: E731
    monkeypatch.setitem(kinds, kind, heavier)
    failure = only_failure(found(2, one_to_one))
    assert "differs from the deployed network" in failure.detail
    assert [part.kind for part in failure.case.parts] == ["merge"]


def test_an_exception_that_is_none_of_ours(monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(pumice.lowering.blocks, "_bias", broken)
    failure = only_failure(found())
    assert failure.reason.startswith("ZeroDivisionError in ")
    assert len(failure.case.parts) == 1


def test_a_refusal_is_counted_by_its_reason(monkeypatch):
    def refuse(*_, **__):
        raise LoweringError("block 'dense0': 17 is too much")

    monkeypatch.setattr(pumice.testing.exact, "lower", refuse)
    report = found()
    assert report.refusals == {"LoweringError: block …: n is too much": 4}
    assert not report.failures


def test_a_refusal_that_changes_the_network(monkeypatch):
    def spoil(model, example_input, **_):
        with torch.no_grad():
            model[0].synapse.weight.add_(1)
        raise LoweringError("no")

    monkeypatch.setattr(pumice.testing.exact, "lower", spoil)
    model = torch.nn.Sequential(nn.Dense(PARAMS, 3, 2))
    with pytest.raises(CheckFailedError, match=r"refused, but the network has another 0\.synapse\.weight"):
        lower_checked(model, torch.ones(1, 3, 4))


def test_two_heads_in_the_wrong_order():
    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = (nn.Dense(PARAMS, 3, 2, weight_scale=6) for _ in range(2))

        def forward(self, x):
            return self.a(x), self.b(x)

    torch.manual_seed(1)
    model, x = Net(), torch.ones(2, 3, 8)
    graph = lower_checked(model, x)
    check_exact(model, graph, x)
    with pytest.raises(CheckFailedError, match="model and reference: what is returned in place 0"):
        check_exact(model, graph.replace(outputs=graph.outputs[::-1]), x)
    with pytest.raises(CheckFailedError, match="the tensors of 2 blocks are returned"):
        check_exact(model, graph.replace(outputs=graph.outputs[:1]), x)


def test_the_first_failure_of_a_kind_is_written_as_a_script_that_fails(tmp_path, monkeypatch):
    case = lively(1, 0)
    unknown = replace(case, life=(*case.life, Step("training mode")), samples=0)  # no sample at all
    report = audit(networks=2, seed=1, isolated=False, draw=lambda *_: unknown, out=tmp_path / "new")
    failure = only_failure(report)
    assert failure.path.parent == tmp_path / "new"
    assert len(list(failure.path.parent.iterdir())) == 1
    done = subprocess.run([sys.executable, failure.path], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert failure.detail.strip().splitlines()[-1] in done.stderr


def test_a_worker_answers_as_this_process_does():
    case = lively(1, 0)
    with Worker() as run:
        for _ in range(2):
            assert replace(run(case), seconds=0) == replace(run_case(case), seconds=0)


def test_a_worker_that_ends_or_hangs_is_a_failure_and_the_next_case_runs():
    program = "import sys, os, time\nfor line in sys.stdin:\n    "
    with Worker(program=program + "print('oh', file=sys.stderr, flush=True); os._exit(5)") as run:
        for _ in range(2):
            assert run(lively(1, 0)) == Outcome("failed", "ends its process with exit code 5", "oh\n")
    with Worker(limit_s=0.5, program=program + "time.sleep(600)") as run:
        assert run(lively(1, 0)).reason == "hangs"
        assert run._process is None
        run._program, run._limit_s = SERVE, 600
        assert run(lively(1, 0)).kind == "equal"


def test_shrinking_stops_after_so_many_tries():
    tried = []
    shrink(lively(1, 0), lambda case: bool(tried.append(case)), tries=5)
    assert len(tried) == 5


def test_the_report_says_what_was_found():
    report = found(2)
    summary = report.summary()
    assert (summary["seed"], summary["networks"], summary["equal"], summary["failures"]) == (1, 2, 2, [])
    assert str(report).startswith("2 networks (seed 1): 2 equal, 0 refused, 0 failed; ")


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({}, "say how long"),
        ({"minutes": 0}, "minutes must be above 0, got 0"),
        ({"minutes": "1"}, "minutes must be above 0, got '1'"),
        ({"networks": 0}, "networks must be a whole number of at least 1, got 0"),
        ({"networks": 2.5}, r"networks .*, got 2\.5"),
        ({"networks": 1, "seed": -1}, "seed must be a whole number of at least 0, got -1"),
        ({"networks": 1, "seed": "a"}, "seed .*, got 'a'"),
        ({"networks": 1, "jobs": 0}, "jobs must be a whole number of at least 1, got 0"),
    ],
)
def test_bad_use(bad, message):
    with pytest.raises(InputError, match=message):
        audit(**bad)


def test_two_jobs_do_all_networks():
    report = audit(networks=3, seed=1, jobs=2, draw=lively)
    assert report.outcomes == {"equal": 3}
