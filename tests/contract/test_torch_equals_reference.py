"""The torch backend equals the reference on random graphs, whatever the chunks and modes; with planted defects."""

from functools import cache

import numpy as np
import pytest
import torch

from pumice.backends import get_backend
from pumice.backends.torch import TorchBackend, backend, neurons, products
from pumice.backends.verify import first_difference
from pumice.testing import cases, example

CASES = range(8)
SLOW = range(1000, 1100)


@cache
def case_and_reference(case):
    """The graph, two inputs, and what the reference records for each: no defect below reaches it."""
    long = case % 3 == 0
    graph, x = example(cases(8, n_steps=40 if long or case in SLOW else 24, longest_delay=62 if long else 9), case)
    xs = np.stack([x, x[::-1]])
    return graph, xs, [get_backend("reference").run(graph, x, record=True).records for x in xs]


def differences(case):
    graph, xs, references = case_and_reference(case)
    found = []
    result = TorchBackend("cpu").run_batch(graph, xs, record=True)
    for i, expected in enumerate(references):
        records = {
            name: type(record)(record.s[i], {state: values[i] for state, values in record.states.items()})
            for name, record in result.records.items()
        }
        found.append(first_difference(expected, records))
    return [difference for difference in found if difference is not None]


@pytest.fixture(autouse=True)
def _sizes(request, monkeypatch):
    """Different chunks of steps and groups of samples in each case."""
    case = request.node.callspec.params.get("case", 0) if hasattr(request.node, "callspec") else 0
    monkeypatch.setattr(backend, "LONGEST_CHUNK", (1, 3, 7, 41)[case % 4])
    monkeypatch.setattr(backend, "FRAMES_BYTES", (1 << 30, 1, 1 << 16)[case % 3])
    monkeypatch.setattr(products, "WINDOWS_BYTES", dict.fromkeys(products.WINDOWS_BYTES, (1 << 28, 1)[case % 2]))
    monkeypatch.setattr(products, "LONGEST_PRODUCT", (1 << 16, 5)[case % 2])


@pytest.mark.parametrize("case", CASES)
def test_torch_equals_reference(case):
    assert differences(case) == []


@pytest.mark.slow
@pytest.mark.parametrize("case", SLOW)
def test_torch_equals_reference_on_many_cases(case):
    assert differences(case) == []


def test_ambient_modes_change_nothing():
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        with torch.autocast("cpu", torch.bfloat16):
            assert [difference for case in range(3) for difference in differences(case)] == []
    finally:
        torch.set_float32_matmul_precision(precision)


def higher_threshold(monkeypatch):
    init = neurons.Leaky.__init__

    def changed(self, *arguments):
        init(self, *arguments)
        self._threshold += 64

    monkeypatch.setattr(neurons.Leaky, "__init__", changed)


def late_reset(monkeypatch):
    step = neurons.Neurons.step
    monkeypatch.setattr(neurons.Neurons, "step", lambda self, t, sums: step(self, t - 1, sums))


def one_step_too_much_delay(monkeypatch):
    init = products.Arrival.__init__

    def changed(self, *arguments):
        init(self, *arguments)
        self.delay += self.synapse.max_delay_steps > 0

    monkeypatch.setattr(products.Arrival, "__init__", changed)


def values_count_as_spikes(monkeypatch):
    monkeypatch.setattr(products, "reads_values", lambda graph, synapse: False)


def floors_instead_of_dropping(monkeypatch):
    monkeypatch.setattr(neurons, "_decayed", lambda x, keep: (x * keep) >> 12)


def history_is_forgotten(monkeypatch):
    monkeypatch.setattr(backend, "LONGEST_CHUNK", 3)
    room = backend._Simulation._room

    def changed(self, name, n):
        self._history = dict.fromkeys(self._history, max(self._history.values()))
        return room(self, name, n)

    advance = backend._Simulation._advance

    def without_past(self, stage, cells, start, size, **options):
        for name in stage:
            self._frames[name][: self._history[name]] = 0
        return advance(self, stage, cells, start, size, **options)

    monkeypatch.setattr(backend._Simulation, "_room", changed)
    monkeypatch.setattr(backend._Simulation, "_advance", without_past)


def float32_everywhere(monkeypatch):
    monkeypatch.setattr(products, "EXACT_FLOAT32", 1 << 62)
    monkeypatch.setattr(products, "EXACT_FLOAT64", 1 << 62)


PLANTED = (
    higher_threshold,
    late_reset,
    one_step_too_much_delay,
    values_count_as_spikes,
    floors_instead_of_dropping,
    history_is_forgotten,
    float32_everywhere,
)


@pytest.mark.parametrize("defect", PLANTED)
def test_a_planted_defect_is_found(monkeypatch, defect):
    defect(monkeypatch)
    for case in CASES:
        try:
            if differences(case):
                return
        except (RuntimeError, IndexError):
            continue
    pytest.fail(f"{defect.__name__} was not found")
