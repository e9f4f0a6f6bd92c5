"""The fast backend equals the reference on random graphs: s and every state at every step, whatever the chunks.

And the comparison has teeth: with any one of the planted defects below in the fast backend, it fails.
"""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from pumice.backends import get_backend
from pumice.backends.fast import FastBackend, batch, bounds, links, matrix, neurons, program, simulator
from pumice.backends.fast.kernels import products
from pumice.backends.fast.links import conv, token_mixing
from pumice.backends.verify import first_difference
from pumice.ir import Dense
from pumice.testing import cases, example

CASES = range(24)
SLOW = range(1000, 1200)


def draw(case):
    """A graph of 8 motifs (more in the first cases of each ten), with delays up to 62 in every third."""
    return example(cases(8, n_steps=40, longest_delay=62 if case % 3 == 0 else 9), case)


@cache
def case_and_reference(case):
    """The graph, two inputs, and what the reference records for each: no defect below reaches it."""
    graph, x = draw(case)
    xs = np.stack([x, x[::-1]])
    return graph, xs, [get_backend("reference").run(graph, x, record=True).records for x in xs]


def differences(case):
    graph, xs, expected = case_and_reference(case)
    found = [first_difference(expected[0], FastBackend().run(graph, xs[0], record=True).records)]
    result = FastBackend(threads=2).run_batch(graph, xs, record=True)
    for i, records in enumerate(expected):
        found.append(first_difference(records, {name: _sample(r, i) for name, r in result.records.items()}))
    return [difference for difference in found if difference is not None]


def _sample(record, i):
    return type(record)(record.s[i], {state: values[i] for state, values in record.states.items()})


@pytest.fixture(autouse=True)
def _chunks(request, monkeypatch):
    """Different lengths of chunks and tiles in each case."""
    if "case" in request.fixturenames:
        case = request.getfixturevalue("case")
        monkeypatch.setattr(batch, "LONGEST_CHUNK", (1, 2, 3, 7, 16, 41)[case % 6])
        monkeypatch.setattr(program, "TILE_BYTES", (1 << 19, 40, 200)[case % 3])


@pytest.mark.parametrize("case", CASES)
def test_fast_equals_reference(case):
    assert differences(case) == []


@pytest.mark.slow
@pytest.mark.parametrize("case", SLOW)
def test_fast_equals_reference_on_many_cases(case):
    assert differences(case) == []


def use_products(monkeypatch):
    for limit in ("DENSE_ABOVE", "MIN_FRAMES"):
        monkeypatch.setattr(matrix, limit, -1)


def test_whole_frames_instead_of_events(monkeypatch):
    """The same, with matrix products wherever they are exact."""
    use_products(monkeypatch)
    monkeypatch.setattr(batch, "LONGEST_CHUNK", 40)
    used = []
    for kind in (matrix.Matrix, matrix.ConvMatrix):
        product = kind.product
        monkeypatch.setattr(kind, "product", lambda self, x, p=product: (used.append(type(self)), p(self, x))[1])
    assert [difference for case in range(6) for difference in differences(case)] == []
    assert set(used) == {matrix.Matrix, matrix.ConvMatrix}


def patched_neurons(monkeypatch, name, change):
    kernel = getattr(neurons, name)
    monkeypatch.setattr(neurons, name, lambda *arguments: kernel(*change(*arguments)))


def higher_threshold(monkeypatch):
    patched_neurons(monkeypatch, "cuba_steps", lambda a, s, st, p, vth, c, t: (a, s, st, p, np.int32(vth + 1), c, t))


def fires_at_threshold(monkeypatch):
    patched_neurons(monkeypatch, "cuba_steps", lambda a, s, st, p, vth, c, t: (a, s, st, p, np.int32(vth - 1), c, t))


def no_bias(monkeypatch):
    patched_neurons(
        monkeypatch, "cuba_steps", lambda a, s, st, p, *rest: (a, s, st, (*p[:2], np.zeros_like(p[2])), *rest)
    )


def late_reset(monkeypatch):
    """By the steps' number, which only resets read. Chunks run in threads: patched there, a class would stay so."""
    advance = neurons.AbstractNeurons.advance
    monkeypatch.setattr(
        neurons.AbstractNeurons, "advance", lambda self, t, *arguments: advance(self, t - 1, *arguments)
    )


def one_step_too_much_delay(monkeypatch):
    init = links.Link.__init__
    monkeypatch.setattr(links.Link, "__init__", lambda self, s, e, d: init(self, s, e, d + (s.max_delay_steps > 0)))


def one_delay_for_all(monkeypatch):
    init = links.Link.__init__
    monkeypatch.setattr(links.Link, "__init__", lambda self, s, e, d: init(self, s, e, np.max(d)))


def activation_too_narrow(monkeypatch):
    monkeypatch.setattr(links, "activation_types", lambda graph: {p.name: np.int16 for p in graph.populations})


def values_count_as_spikes(monkeypatch):
    monkeypatch.setattr(links, "reads_values", lambda graph, s: False)


def sums_of_convolutions_do_not_wrap(monkeypatch):
    monkeypatch.setattr(conv, "_wrapped", lambda total: total)


def flipped_kernel(monkeypatch):
    init = conv.ConvLink.__init__
    monkeypatch.setattr(
        conv.ConvLink, "__init__", lambda self, s, *rest: init(self, replace(s, weight=s.weight[:, ::-1]), *rest)
    )


def swapped_tokens(monkeypatch):
    add = token_mixing.add_token_mixing
    monkeypatch.setattr(
        token_mixing,
        "add_token_mixing",
        lambda s, w, v, f, weight, head, sizes, *rest: add(
            s, w, v, f, _swapped(weight, int(sizes[1])), head, sizes, *rest
        ),
    )


def _swapped(weight, tokens):
    return weight.reshape(-1, tokens, tokens).transpose(0, 2, 1).reshape(-1)


def no_weight_exponent(monkeypatch):
    build = links._PREPARED[Dense]
    monkeypatch.setitem(links._PREPARED, Dense, lambda s, ends: build(replace(s, weight_exp=0), ends))


def history_is_forgotten(monkeypatch):
    monkeypatch.setattr(simulator.Frames, "forget", lambda self, steps: self.array.fill(0))


def floats_too_short(monkeypatch):
    """Products in half precision where they need more."""
    monkeypatch.setattr(matrix, "exact_float", lambda largest_sum: np.float16)
    use_products(monkeypatch)


DEFECTS = [
    higher_threshold,
    fires_at_threshold,
    no_bias,
    late_reset,
    one_step_too_much_delay,
    one_delay_for_all,
    activation_too_narrow,
    values_count_as_spikes,
    sums_of_convolutions_do_not_wrap,
    flipped_kernel,
    swapped_tokens,
    no_weight_exponent,
    history_is_forgotten,
    floats_too_short,
]


@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.__name__)
def test_a_planted_defect_is_found(monkeypatch, defect):
    monkeypatch.setattr(batch, "LONGEST_CHUNK", 7)
    defect(monkeypatch)
    shown_by = {higher_threshold: 12, sums_of_convolutions_do_not_wrap: 8}.get(defect, 0)  # this case first: faster
    assert any(differences(case) for case in sorted(CASES, key=lambda case: case != shown_by))


def test_modules_are_the_ones_in_use():
    """The defects above replace what is looked up in these modules."""
    assert conv.add_runs is products.add_runs
    assert token_mixing.add_token_mixing is products.add_token_mixing
    assert bounds.activation_types is links.activation_types
