"""The battery's graphs of several populations: loops, residuals, concatenations, chains of values, samples."""

from __future__ import annotations

from typing import Any

import numpy as np

from pumice.ir import (
    Accumulator,
    Conv,
    Cuba,
    Delta,
    Dense,
    Graph,
    Input,
    OneToOne,
    Reset,
    Sigma,
    SigmaDelta,
    Sparse,
    Synapse,
    Timing,
    TokenMixing,
    with_reset_schedule,
)
from pumice.ir.builder import even_weights
from pumice.testing.battery_cases import IN, SHAPE, TOKENS, Cases, N, graph_of

SAMPLE_STEPS, PERIOD_STEPS = 6, 8


def topology_cases() -> Cases:
    """What synapses and populations do together."""
    return {
        "chain": _chain(),
        "recurrent": _recurrent(),
        "loop_of_two": _loop_of_two(),
        "diamond": _diamond(),
        "nested_residual": _nested_residual(),
        "concat": _concat(),
        "two_synapses_of_one_source": _two_synapses(),
        "two_outputs": _two_outputs(),
        "wide": _wide(),
    }


def value_cases() -> Cases:
    """Populations that send values into others, multiplied or counted as spikes."""
    found = {}
    for graded in (True, False):
        name = "graded" if graded else "as_spikes"
        populations = (
            Accumulator("a", (5,), v_decay_q12=600),
            Cuba("b", (4,), vth_mant=300 if graded else 20, v_decay_q12=200),
        )
        synapse = Dense(
            "a", "b", graded=graded, weight=even_weights(np.random.default_rng(1), (4, 5), 8), delay_steps=2
        )
        found[f"accumulator_{name}"] = graph_of(populations, _from_input("a", 5, 0.2), synapse)
    changes = (
        Delta("a", SHAPE, vth=100, spike_exp=3, state_exp=0),
        SigmaDelta("b", SHAPE, vth=900, bias=77, spike_exp=3, state_exp=2),
        Sigma("c", SHAPE),
    )
    found["delta_sigma_delta_sigma"] = graph_of(
        changes, *(OneToOne(a, b, graded=True, weight=2) for a, b in ((IN, "a"), ("a", "b"), ("b", "c")))
    )
    return found


def long_graph() -> Graph:
    """What is to be remembered for many steps: states without a reset and with a seldom one, spikes under way."""
    rng = np.random.default_rng(10)
    populations = (
        Cuba("a", (6,), 900, i_decay_q12=20, v_decay_q12=3, reset=Reset(64, 2)),
        Cuba("b", (3,), 700, i_decay_q12=4096, bias_mant=1, bias_exp=0),
        Accumulator("c", (3,)),
    )
    synapses = (
        Dense(IN, "a", graded=True, weight=even_weights(rng, (6, N), 40), delay_steps=np.arange(N) % 2 * 62),
        Dense("a", "a", weight=even_weights(rng, (6, 6), 90), delay_steps=7),
        Dense("a", "b", weight=even_weights(rng, (3, 6), 200) + 20, delay_steps=62),
        OneToOne("b", "c", weight=np.array([1, -3, 5])),
    )
    return graph_of(populations, *synapses, outputs=("b", "c"))


def flat_cases() -> Cases:
    """An input of one dimension."""
    rng = np.random.default_rng(11)
    places: Any = {"rows": rng.integers(0, 7, 60), "columns": rng.integers(0, N, 60)}
    weights = even_weights(rng, (60,))
    synapses: tuple[tuple[Synapse, int], ...] = (
        (Dense(IN, "flat_dense", graded=True, weight=even_weights(rng, (7, N))), 7),
        (Dense(IN, "flat_delays", graded=True, weight=even_weights(rng, (7, N)), delay_steps=np.arange(N) % 5), 7),
        (Sparse(IN, "flat_sparse", graded=True, **places, values=weights, delay_steps=rng.integers(0, 4, 60)), 7),
        (OneToOne(IN, "flat_one_to_one", graded=True, weight=even_weights(rng, (N,))), N),
    )
    return {s.target: Graph(Input(IN, (N,)), (_cuba(s.target, (n,), 3000),), (s,), (s.target,)) for s, n in synapses}


def sample_graph() -> Graph:
    """A residual network with biases for samples back to back, each population reset as its sample arrives."""
    leaky: Any = {"i_decay_q12": 700, "v_decay_q12": 100}
    populations = (
        Cuba("a", SHAPE, vth_mant=120, bias_mant=30, **leaky),
        Cuba("b", SHAPE, vth_mant=120, bias_mant=-20, **leaky),
        Cuba("c", SHAPE, vth_mant=120, bias_mant=10, **leaky),
        Accumulator("d", (3,), bias_mant=5, **leaky),
    )
    rng = np.random.default_rng(5)
    synapses: tuple[Synapse, ...] = (
        _conv(IN, "a", 1),
        _conv("a", "b", 2),
        _conv("b", "c", 3),
        OneToOne("a", "c", weight=80, balance_steps=1),
        Dense("c", "d", weight=even_weights(rng, (3, N), 60)),
    )
    graph = graph_of(populations, *synapses, outputs=("d", "b"))
    return with_reset_schedule(graph.replace(timing=Timing(SAMPLE_STEPS, PERIOD_STEPS)), PERIOD_STEPS, offset=1)


def _cuba(name: str, shape: tuple[int, ...] = SHAPE, vth_mant: int = 150) -> Cuba:
    return Cuba(name, shape, vth_mant, i_decay_q12=1800, v_decay_q12=300)


def _conv(source: str, target: str, seed: int, n: int = 2, **options: int) -> Conv:
    weight = even_weights(np.random.default_rng(seed), (n, 3, 3, 2)) + 40
    return Conv(source, target, weight=np.clip(weight, -256, 254), padding=(1, 1), **options)  # type: ignore[arg-type]


def _from_input(target: str, n: int, share: float = 1.0) -> Dense:
    weight = np.clip(even_weights(np.random.default_rng(n), (n, N)) + 60, -256, 254)
    return Dense(IN, target, weight=2 * (share * weight / 2).astype(np.int64))


def _chain() -> Graph:
    synapses = (
        _conv(IN, "a", 1),
        _conv("a", "b", 2),
        Dense("b", "c", weight=even_weights(np.random.default_rng(3), (4, N))),
    )
    return graph_of((_cuba("a"), _cuba("b"), _cuba("c", (4,))), *synapses)


def _recurrent() -> Graph:
    rng = np.random.default_rng(4)
    back = Dense("a", "a", weight=even_weights(rng, (6, 6)), delay_steps=rng.integers(0, 5, 6))
    image = Sparse("b", "b", rows=np.arange(N), columns=np.arange(N)[::-1], values=np.full(N, -90))
    return graph_of(
        (_cuba("a", (6,)), _cuba("b")), _from_input("a", 6), back, _conv(IN, "b", 6), image, outputs=("a", "b")
    )


def _loop_of_two() -> Graph:
    forth, back = (even_weights(np.random.default_rng(seed), (5, 5)) for seed in (7, 8))
    synapses = Dense("a", "b", weight=forth), Dense("b", "a", weight=back, delay_steps=1, balance_steps=2)
    return graph_of((_cuba("a", (5,)), _cuba("b", (5,), 60)), _from_input("a", 5), *synapses)


def _diamond() -> Graph:
    skip = OneToOne("a", "c", weight=100, balance_steps=1)
    return graph_of(
        (_cuba("a"), _cuba("b"), _cuba("c")), _conv(IN, "a", 1), _conv("a", "b", 2), _conv("b", "c", 3), skip
    )


def _nested_residual() -> Graph:
    names = ("a", "b", "c", "d")
    synapses = [_conv(x, y, seed) for seed, (x, y) in enumerate(zip((IN, *names), names, strict=False))]
    mixer = np.random.default_rng(9)
    inner = OneToOne("b", "d", weight=64, balance_steps=1)
    outer = TokenMixing("a", "d", weight=even_weights(mixer, (2, TOKENS, TOKENS), 80), balance_steps=2)
    return graph_of(tuple(_cuba(n) for n in names), *synapses, inner, outer)


def _concat() -> Graph:
    left = _conv("a", "c", 2, n=3, balance_steps=1)
    synapses = (
        Conv("a", "c", weight=left.weight, padding=(1, 1), balance_steps=1, target_channels=(0, 3)),
        OneToOne("b", "c", weight=np.array([200, -100]), target_channels=(3, 5)),
        OneToOne("c", "d", weight=60),
    )
    wide = (4, 3, 5)
    populations = (_cuba("a"), _cuba("b"), _cuba("c", wide), _cuba("d", wide, 100))
    return graph_of(populations, _conv(IN, "a", 1), _conv("a", "b", 3), *synapses)


def _two_synapses() -> Graph:
    near = _conv("a", "b", 2)
    far = Conv("a", "b", weight=-near.weight, padding=(1, 1), delay_steps=np.array([3, 1]))
    return graph_of((_cuba("a"), _cuba("b", vth_mant=60)), _conv(IN, "a", 1), near, far)


def _two_outputs() -> Graph:
    return graph_of((_cuba("a"), _cuba("b")), _conv(IN, "a", 1), _conv("a", "b", 2), outputs=("b", "a"))


def _wide() -> Graph:
    """More neurons than are computed at a time, each with parameters of its own."""
    n = 2100
    rng = np.random.default_rng(12)
    populations = (
        Cuba("a", (n,), 150, i_decay_q12=1800, v_decay_q12=rng.integers(0, 4097, n), bias_mant=np.arange(n) % 50),
        _cuba("b", (5,), 4000),
    )
    synapses = (
        Dense(IN, "a", weight=even_weights(rng, (n, N), 200) + 20),
        Dense("a", "b", weight=even_weights(rng, (5, n), 200) + 2, delay_steps=np.arange(n) % 4),
    )
    return graph_of(populations, *synapses, outputs=("a", "b"))
