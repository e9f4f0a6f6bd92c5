"""The reference equals Lava's bit-accurate models: s, u and v of every neuron at every step.

And the comparison has teeth: with any one of the planted defects below in the reference, it fails.
"""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from pumice.backends import get_backend, reference
from pumice.backends.base import Record
from pumice.backends.verify import first_difference
from pumice.fixedpoint import CubaState, clip24, cuba, to_int32
from pumice.ir import Conv, Cuba, Dense, Graph, Input, Reset
from pumice.testing import cases, example

pytestmark = pytest.mark.lava

CASES = [*range(24), "convolution beyond 24 bits"]


@cache
def run_on_lava(case: int | str) -> tuple[Graph, np.ndarray, dict[str, Record]]:
    graph, x = example(cases(), case) if isinstance(case, int) else convolution_beyond_24_bits()
    return graph, x, get_backend("lava").run(graph, x, record=True).records


def convolution_beyond_24_bits() -> tuple[Graph, np.ndarray]:
    rng = np.random.default_rng(0)
    conv = Conv("input", "a", graded=True, weight=rng.integers(-256, 256, size=(2, 3, 2, 2)))
    graph = Graph(Input("input", (5, 4, 2)), (Cuba("a", (3, 3, 2), 1000),), (conv,), ("a",))
    return graph, rng.integers(-(2**17), 2**17, size=(10, 5, 4, 2))


def differs(graph: Graph, x: np.ndarray, on_lava: dict[str, Record]) -> bool:
    records = get_backend("reference").run(graph, x, record=True).records
    return first_difference(on_lava, records) is not None


@pytest.mark.parametrize("case", CASES)
def test_reference_equals_lava(case):
    graph, x, on_lava = run_on_lava(case)
    records = get_backend("reference").run(graph, x, record=True).records
    assert first_difference(on_lava, records) is None


@pytest.mark.slow
@settings(
    max_examples=60,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
@given(cases(n_populations=10, n_steps=150, longest_delay=62))
def test_reference_equals_lava_on_many_and_longer_cases(case):
    graph, x = case
    on_lava = get_backend("lava").run(graph, x, record=True).records
    assert first_difference(on_lava, get_backend("reference").run(graph, x, record=True).records) is None


def round_down(monkeypatch, graph):
    monkeypatch.setattr(cuba, "shift_toward_zero", lambda x, bits: np.asarray(x, np.int64) >> bits)
    return graph


def fire_at_threshold(monkeypatch, graph):
    def step(state, activation, *, vth_mant, **parameters):
        _, after = cuba.cuba_step(state, activation, vth_mant=2**30, **parameters)
        spikes = after.v >= vth_mant << 6
        return spikes, CubaState(after.u, np.where(spikes, 0, after.v))

    monkeypatch.setattr(reference, "cuba_step", step)
    return graph


def no_reset_of_v(monkeypatch, graph):
    def step(state, activation, **parameters):
        spikes, after = cuba.cuba_step(state, activation, **parameters)
        return spikes, CubaState(after.u, after.v + spikes)

    monkeypatch.setattr(reference, "cuba_step", step)
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
    monkeypatch.setattr(reference, "effective_bias", lambda mant, exp: np.zeros((), np.int32))
    return graph


def swapped_xy_in_flatten(monkeypatch, graph):
    swapped = lambda x: x.transpose(2, 0, 1).reshape(-1) if x.ndim == 3 else x  # noqa: E731
    monkeypatch.setattr(reference, "flatten_whc", swapped)
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
    plain = [replace(s, weight_exp=0) if isinstance(s, Dense) else s for s in graph.synapses]
    return graph.replace(synapses=tuple(plain))


def graded_as_spikes(monkeypatch, graph):
    monkeypatch.setattr(reference, "_values", lambda synapse, sent: (sent != 0).astype(np.int32))
    return graph


def no_wrap_of_convolution(monkeypatch, graph):
    from pumice.fixedpoint import synapse

    monkeypatch.setattr(synapse, "wrap24_accumulator", to_int32)
    return graph


DEFECTS = [
    round_down, fire_at_threshold, no_reset_of_v, late_reset, one_step_too_much_delay, dropped_bias,
    swapped_xy_in_flatten, swapped_xy_in_kernel, flipped_kernel, clip_u, no_clip_of_v, dropped_weight_exp,
    graded_as_spikes, no_wrap_of_convolution,
]  # fmt: skip


@pytest.mark.parametrize("plant", DEFECTS, ids=lambda plant: plant.__name__)
def test_a_planted_defect_is_found(plant, monkeypatch):
    def is_found(case: int | str) -> bool:
        graph, x, on_lava = run_on_lava(case)
        with monkeypatch.context() as patch:
            return differs(plant(patch, graph), x, on_lava)

    assert any(is_found(case) for case in reversed(CASES))
