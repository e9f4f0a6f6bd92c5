"""The random cases are valid, repeatable, and between them have everything."""

import numpy as np
import pytest
from hypothesis import given, settings

from pumice.backends import run
from pumice.ir import (
    Accumulator,
    Conv,
    Cuba,
    Delta,
    Dense,
    Direct,
    OneToOne,
    Resonator,
    Sigma,
    SigmaDelta,
    Sparse,
    TokenMixing,
    verify_graph,
)  # fmt: skip
from pumice.testing import cases, example, graphs
from pumice.testing.motifs import MOTIFS


@settings(max_examples=30, derandomize=True)
@given(cases(n_motifs=2, n_steps=5))
def test_cases_run_on_the_reference(case):
    graph, x = case
    assert len(graph.outputs) == 2
    assert run(graph, x).spikes.shape == (5, *graph.output.shape)


def test_same_seed_same_case():
    (first, x), (second, y) = example(cases(), 7), example(cases(), 7)
    np.testing.assert_array_equal(x, y)
    for a, b in zip(first.synapses, second.synapses, strict=True):
        assert (a.source, a.target, type(a)) == (b.source, b.target, type(b))


@pytest.fixture(scope="module")
def drawn():
    return [example(graphs(13), seed) for seed in range(12)]


def test_motifs_share_nothing_but_the_input(drawn):
    for graph in drawn:
        motif = {p.name: p.name.split("_")[0] for p in graph.populations}
        for s in graph.synapses:
            assert s.source == "input" or motif[s.source] == motif[s.target]
    assert {p.name.split("_")[1] for graph in drawn for p in graph.populations} == set(MOTIFS)


def test_all_features_occur(drawn):
    synapses = [s for graph in drawn for s in graph.synapses]
    populations = [p for graph in drawn for p in graph.populations]
    of = lambda kind: [x for x in (*synapses, *populations) if isinstance(x, kind)]  # noqa: E731
    convs, dense, cuba = of(Conv), of(Dense), of(Cuba)
    for kind in (Conv, Dense, Sparse, OneToOne, TokenMixing):
        for feature in (
            (s.max_delay_steps > 0 for s in of(kind)),
            (s.balance_steps > 0 for s in of(kind)),
            (s.target_channels is not None for s in of(kind)),
            (s.graded for s in of(kind)),
            (not s.graded for s in of(kind)),
        ):
            assert any(feature), kind
    for feature in (
        (s.is_recurrent for s in synapses),
        (np.ndim(s.delay_steps) == 2 for s in dense),
        (np.ndim(s.delay_steps) == 1 for s in dense),
        (s.weight_exp > 0 for s in dense),
        (s.weight.min() == -256 for s in dense),
        (s.weight.max() == 255 for s in dense),
        (s.groups > 1 for s in convs),
        (s.stride != (1, 1) for s in convs),
        (s.dilation != (1, 1) for s in convs),
        (s.padding[0] != s.padding[1] for s in convs),
        (len(s.weight) > 1 for s in of(TokenMixing)),
        (s.part == "imag" for s in synapses),
        (s.graded for s in of(Direct)),
        (not s.graded for s in of(Direct)),
        (p.reset is not None for p in cuba),
        (np.ndim(p.v_decay_q12) > 0 for p in cuba),
        (np.ndim(p.bias_mant) > 0 for p in cuba),
        (p.vth_mant >= 2**16 for p in cuba),
        (p.reset is not None for p in of(Accumulator)),
        (p.cum_error for p in of(Delta)),
        (p.cum_error for p in of(SigmaDelta)),
        (not p.relu for p in of(SigmaDelta)),
        (p.izhikevich for p in of(Resonator)),
        (not p.izhikevich for p in of(Resonator)),
        of(Sigma),
    ):
        assert any(feature)


def test_most_populations_do_something(drawn):
    active = []
    for seed, graph in enumerate(drawn[:6]):
        x = np.random.default_rng(seed).integers(0, 2, (24, *graph.input.shape))
        active += [record.s.any() for record in run(graph, x, record=True).records.values()]
    assert np.mean(active) > 0.5


@pytest.mark.parametrize("seed", range(6))
def test_graphs_are_valid(seed):
    graph = example(graphs(8, longest_delay=62), seed)
    assert verify_graph(graph) is graph
