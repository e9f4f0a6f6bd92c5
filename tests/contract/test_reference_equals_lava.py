"""The reference equals Lava's bit-accurate models: what leaves every neuron, and every state, at every step.

A run on Lava is costly, so each case is many small graphs side by side, which share nothing but the input. One small
case runs under Lava's own runtime, where `test_battery_lava` has every kind of process (the slow suite runs all); the
others run Lava's models in threads.

And the comparison has teeth: with any one of the planted defects below in the reference, it fails.
"""

from dataclasses import replace
from functools import cache

import networkx
import numpy as np
import pytest

from pumice.backends import get_backend
from pumice.backends.base import Record
from pumice.backends.lava import LavaBackend
from pumice.backends.reference import ReferenceBackend, synapses
from pumice.backends.verify import first_difference
from pumice.fixedpoint import CubaState, DeltaState, clip24, cuba, resonator, to_int32, token_mixing_accumulate
from pumice.ir import Conv, Graph, Reset
from pumice.ir.populations import leaky, sigma_delta
from pumice.ir.synapses import dense, token_mixing
from pumice.testing import cases, example
from pumice.testing.motifs import MOTIFS

pytestmark = pytest.mark.lava

UNDER_THE_RUNTIME = range(1)
IN_THREADS = range(8, 16)
SLOW = range(1000, 1050)
SLOW_AND_LONG = range(2000, 2006)


@cache
def draw(case: int) -> tuple[Graph, np.ndarray]:
    if case in SLOW_AND_LONG:
        return example(cases(13, n_steps=120, longest_delay=62), case)
    n_steps = 24 if case in SLOW else 16
    return example(cases(4 if case in UNDER_THE_RUNTIME else 40, n_steps=n_steps, longest_delay=9), case)


@cache
def case_and_reference(case: int) -> tuple[Graph, np.ndarray, dict[str, Record]]:
    graph, x = draw(case)
    return graph, x, get_backend("reference").run(graph, x, record=True).records


def disjoint(graph: Graph) -> list[set[str]]:
    """The populations of each graph in a graph: those that synapses join."""
    joined = networkx.Graph([(s.source, s.target) for s in graph.synapses if s.source != graph.input.name])
    joined.add_nodes_from(p.name for p in graph.populations)
    return list(networkx.connected_components(joined))


@pytest.mark.parametrize(
    ("compared", "at_least"),
    [
        ([*UNDER_THE_RUNTIME, *IN_THREADS], 300),
        pytest.param([*SLOW, *SLOW_AND_LONG], 2000, marks=pytest.mark.slow),
    ],
)
def test_how_many_graphs_are_compared(compared, at_least):
    """Disjoint ones, of every form."""
    graphs = [names for case in compared for names in disjoint(draw(case)[0])]
    assert len(graphs) >= at_least
    forms = [next(iter(names)).split("_")[1] for names in graphs]
    assert min(forms.count(form) for form in MOTIFS) >= at_least // 20


def assert_equal(case: int, backend: LavaBackend) -> None:
    graph, x, expected = case_and_reference(case)
    result = backend.run(graph, x, record=True)
    assert first_difference(expected, result.records) is None
    for name, sent in result.outputs.items():
        np.testing.assert_array_equal(sent, expected[name].s)


@pytest.mark.parametrize(
    "case", [*UNDER_THE_RUNTIME, *(pytest.param(case, marks=pytest.mark.slow) for case in IN_THREADS)]
)
def test_reference_equals_lava(case):
    assert_equal(case, LavaBackend(stall_timeout_s=600))


@pytest.mark.parametrize("case", IN_THREADS)
def test_reference_equals_lavas_models_on_more_cases(case):
    assert_equal(case, LavaBackend(in_threads=True))


@pytest.mark.slow
@pytest.mark.parametrize("case", [*SLOW, *SLOW_AND_LONG])
def test_reference_equals_lavas_models_on_many_and_longer_cases(case):
    assert_equal(case, LavaBackend(in_threads=True))


def round_down(monkeypatch, graph):
    monkeypatch.setattr(cuba, "shift_toward_zero", lambda x, bits: np.asarray(x, np.int64) >> bits)
    return graph


def fire_at_threshold(monkeypatch, graph):
    def step(state, activation, *, vth_mant, **parameters):
        _, after = cuba.cuba_step(state, activation, vth_mant=2**30, **parameters)
        spikes = after.v >= vth_mant << 6
        return spikes, CubaState(after.u, np.where(spikes, 0, after.v))

    monkeypatch.setattr(leaky, "cuba_step", step)
    return graph


def no_reset_of_v(monkeypatch, graph):
    def step(state, activation, **parameters):
        spikes, after = cuba.cuba_step(state, activation, **parameters)
        return spikes, CubaState(after.u, after.v + spikes)

    monkeypatch.setattr(leaky, "cuba_step", step)
    return graph


def late_reset(monkeypatch, graph):
    applies = Reset.applies
    monkeypatch.setattr(Reset, "applies", lambda self, t: applies(self, t - 1))
    return graph


def one_step_too_much_delay(_, graph):
    delayed = [
        replace(s, delay_steps=np.asarray(s.delay_steps) + 1) if s.max_delay_steps else s for s in graph.synapses
    ]
    return graph.replace(synapses=tuple(delayed))


def dropped_bias(monkeypatch, graph):
    monkeypatch.setattr(leaky, "effective_bias", lambda mant, exp: np.zeros((), np.int32))
    return graph


def swapped_xy_in_flatten(monkeypatch, graph):
    swapped = lambda x: x.transpose(2, 0, 1).reshape(-1) if x.ndim == 3 else x  # noqa: E731
    monkeypatch.setattr(dense, "flatten_whc", swapped)
    return graph


def swapped_xy_in_kernel(_, graph):
    def swap(s):
        square = isinstance(s, Conv) and s.weight.shape[1] == s.weight.shape[2]
        return replace(s, weight=s.weight.swapaxes(1, 2)) if square else s

    return graph.replace(synapses=tuple(swap(s) for s in graph.synapses))


def flipped_kernel(_, graph):
    flipped = [replace(s, weight=s.weight[:, ::-1, ::-1]) if isinstance(s, Conv) else s for s in graph.synapses]
    return graph.replace(synapses=tuple(flipped))


def clip_u(monkeypatch, graph):
    monkeypatch.setattr(cuba, "wrap24_once", clip24)
    return graph


def no_clip_of_v(monkeypatch, graph):
    monkeypatch.setattr(cuba, "clip24", to_int32)
    return graph


def dropped_weight_exp(_, graph):
    plain = [replace(s, weight_exp=0) if hasattr(s, "weight_exp") else s for s in graph.synapses]
    return graph.replace(synapses=tuple(plain))


def graded_as_spikes(monkeypatch, graph):
    monkeypatch.setattr(synapses, "_values", lambda synapse, sent: (sent != 0).astype(np.int32))
    return graph


def no_wrap_of_convolution(monkeypatch, graph):
    from pumice.fixedpoint import synapse

    monkeypatch.setattr(synapse, "wrap24_accumulator", to_int32)
    return graph


def tokens_along_y_first(monkeypatch, graph):
    def accumulate(weight, spikes, weight_exp):
        return token_mixing_accumulate(weight, spikes.swapaxes(0, 1), weight_exp).swapaxes(0, 1)

    monkeypatch.setattr(token_mixing, "token_mixing_accumulate", accumulate)
    return graph


def next_channels(_, graph):
    """Concatenated parts go one channel too far, where there is one."""

    def moved(s):
        if s.target_channels is None or s.target_channels[1] == graph.shape_of(s.target)[-1]:
            return s
        return replace(s, target_channels=(s.target_channels[0] + 1, s.target_channels[1] + 1))

    return graph.replace(synapses=tuple(moved(s) for s in graph.synapses))


def one_step_of_balance_too_few(_, graph):
    hasty = [replace(s, balance_steps=max(0, s.balance_steps - 1)) for s in graph.synapses]
    return graph.replace(synapses=tuple(hasty))


def resonators_round_down(monkeypatch, graph):
    monkeypatch.setattr(resonator, "shift_toward_zero", lambda x, bits: np.asarray(x, np.int64) >> bits)
    return graph


def dropped_residue(monkeypatch, graph):
    def step(state, act, **parameters):
        sent, after = delta_step(state, act, **parameters)
        return sent, DeltaState(after.act, np.zeros_like(after.residue), after.error)

    delta_step = sigma_delta.delta_step
    monkeypatch.setattr(sigma_delta, "delta_step", step)
    return graph


DEFECTS = [
    round_down, fire_at_threshold, no_reset_of_v, late_reset, one_step_too_much_delay, dropped_bias,
    swapped_xy_in_flatten, swapped_xy_in_kernel, flipped_kernel, clip_u, no_clip_of_v, dropped_weight_exp,
    graded_as_spikes, no_wrap_of_convolution, tokens_along_y_first, next_channels, one_step_of_balance_too_few,
    resonators_round_down, dropped_residue,
]  # fmt: skip


@pytest.mark.parametrize("plant", DEFECTS, ids=lambda plant: plant.__name__)
def test_a_planted_defect_is_found(plant, monkeypatch):
    """Compared with the sound reference's records, which the test above holds equal to Lava's in the same cases."""

    def is_found(case: int) -> bool:
        graph, x, expected = case_and_reference(case)
        with monkeypatch.context() as patch:
            # not `run`: a defective graph need not be valid
            records = ReferenceBackend()._run(plant(patch, graph), x.astype(np.int32), True).records
        return first_difference(expected, records) is not None

    assert any(is_found(case) for case in (*UNDER_THE_RUNTIME, *IN_THREADS))
