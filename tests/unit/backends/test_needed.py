import importlib

import numpy as np
import pytest

from pumice.backends import get_backend
from pumice.backends.counting import Wanted
from pumice.backends.fast import FastBackend
from pumice.backends.needed import needed_steps
from pumice.backends.torch import TorchBackend
from pumice.ir import Cuba, Dense, Graph, Input, OneToOne, Reset, Timing
from pumice.ir.builder import even_weights

SAMPLE = 3


def deep(reset=True, bias=40, skip_delay=0):
    """Two layers and a shortcut into a third, all with biases; without input they go on firing."""
    rng = np.random.default_rng(0)

    def layer(name, n, lag):
        offset = Reset(interval=SAMPLE, offset=lag + 1) if reset else None
        return Cuba(name, (n,), vth_mant=60, v_decay_q12=500, bias_mant=np.full(n, bias), bias_exp=6, reset=offset)

    graph = Graph(
        Input("input", (6,), (0, 3)),
        (layer("a", 8, 1), layer("b", 8, 2), layer("c", 8, 3), layer("d", 4, 4)),
        (
            Dense("input", "a", True, weight=even_weights(rng, (8, 6), 60)),
            Dense("a", "b", weight=even_weights(rng, (8, 8), 60)),
            Dense("b", "c", weight=even_weights(rng, (8, 8), 60)),
            OneToOne("a", "c", weight=even_weights(rng, (8,), 100), balance_steps=1, delay_steps=skip_delay),
            Dense("c", "d", weight=even_weights(rng, (4, 8), 60)),
        ),
        ("d",),
    )
    return graph.replace(timing=Timing(SAMPLE, SAMPLE))


def counted(graph, backend, plain):
    """What an evaluation keeps, with and without the steps that nothing depends on."""
    wanted = Wanted.of(graph, graph.timing)
    x = np.zeros((5, wanted.n_steps, *graph.input.shape), np.int32)
    x[:, :SAMPLE] = np.random.default_rng(1).integers(0, 4, (5, SAMPLE, *graph.input.shape))
    found = backend.counter(graph, wanted)(x)
    record = plain.run_batch(graph, x, record=True)
    for name, steps in wanted.counted.items():
        sent = x if name == "input" else record.records[name].s
        events = np.count_nonzero(sent[:, steps.start : steps.stop], axis=1).reshape(5, -1)
        np.testing.assert_array_equal(found.events[name], events, err_msg=name)
    answer = record.records["d"].s[:, wanted.answer.start : wanted.answer.stop]
    np.testing.assert_array_equal(found.sent, answer)
    return found


@pytest.mark.parametrize("backend", [FastBackend(), TorchBackend("cpu")], ids=["fast", "torch"])
@pytest.mark.parametrize("options", [{}, {"reset": False}, {"skip_delay": 2}], ids=["resets", "none", "late"])
def test_what_is_left_out_changes_nothing(backend, options):
    graph = deep(**options)
    found = counted(graph, backend, get_backend("reference"))
    assert all(counts.any() for counts in found.events.values())


def test_after_a_reset_only_the_samples_own_steps_are_needed():
    graph = deep()
    found = needed_steps(graph, Wanted.of(graph, graph.timing))
    assert found == {"a": range(1, 4), "b": range(2, 5), "c": range(3, 6), "d": range(4, 7)}


def test_without_resets_all_steps_before_are_needed():
    graph = deep(reset=False)
    found = needed_steps(graph, Wanted.of(graph, graph.timing))
    assert [steps.start for steps in found.values()] == [0, 0, 0, 0]


def test_a_source_is_needed_as_long_as_its_latest_delay_looks_back():
    graph = deep(skip_delay=2)
    assert needed_steps(graph, Wanted.of(graph, graph.timing))["a"].start == 0


@pytest.mark.parametrize("backend", [FastBackend(), TorchBackend("cpu")], ids=["fast", "torch"])
def test_one_step_too_few_is_seen(backend, monkeypatch):
    """The planted defect: the comparison above must fail."""
    where = importlib.import_module(f"pumice.backends.{'fast.count' if backend.name == 'fast' else 'torch.backend'}")

    def late(graph, wanted):
        found = needed_steps(graph, wanted)
        return {name: range(steps.start + (name == "b"), steps.stop) for name, steps in found.items()}

    monkeypatch.setattr(where, "needed_steps", late)
    with pytest.raises(AssertionError):
        counted(deep(), backend, get_backend("reference"))
