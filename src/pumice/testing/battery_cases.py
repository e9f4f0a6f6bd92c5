"""The graphs of the backend battery: small, written by hand, each about one thing.

All of them take the same input, so that a battery can pack many into one graph: starting a backend may be slow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from pumice.ir import (
    Accumulator,
    Conv,
    ConvTranspose,
    Cuba,
    Delta,
    Dense,
    Direct,
    Graph,
    Input,
    OneToOne,
    Population,
    Reset,
    Resonator,
    Sigma,
    SigmaDelta,
    Sparse,
    Synapse,
    TokenMixing,
)
from pumice.ir.builder import even_weights

SHAPE = (4, 3, 2)
"""Of the input: width, height and channels all differ."""
N = 24
TOKENS = 12
IN = "input"

Cases = dict[str, Graph]


def graph_of(populations: tuple[Population, ...], *synapses: Synapse, outputs: tuple[str, ...] = ()) -> Graph:
    """A graph on the battery's input; its output is the last population if none is named."""
    return Graph(Input(IN, SHAPE), populations, synapses, outputs or (populations[-1].name,))


def _rng(name: str) -> np.random.Generator:
    return np.random.default_rng(list(name.encode()))


# ---------------------------------------------------------------------------------------------- synapses


def synapse_cases(graded: bool) -> Cases:
    """Every kind of synapse with every option, each into leaky neurons that fire now and then."""
    return {synapse.target: _seen(synapse, shape) for synapse, shape in _synapses(graded)}


def _seen(synapse: Synapse, shape: tuple[int, ...]) -> Graph:
    vth = 200
    if synapse.graded and not isinstance(synapse, Direct):
        vth = 1000 if isinstance(synapse, OneToOne) and np.ndim(synapse.weight) == 0 else 20_000
    return graph_of((Cuba(synapse.target, shape, vth_mant=vth, i_decay_q12=1500, v_decay_q12=300),), synapse)


def _synapses(graded: bool) -> Iterator[tuple[Synapse, tuple[int, ...]]]:
    """Synapses from the input, each with its target's shape; the target's name is the case's."""
    for kind, make in _MAKERS.items():
        for option, changes in _options(kind).items():
            name = f"{kind}_{option}"
            synapse, shape = make(name, _rng(name), changes.pop("into", None))
            yield replace(synapse, graded=graded, **changes), shape


def _options(kind: str) -> dict[str, dict[str, Any]]:
    rng = _rng(kind)
    n = {"dense": N, "sparse": 30}.get(kind, SHAPE[2])  # sources, weights or channels that have a delay of their own
    delays = rng.permutation(np.arange(n) % 6 + 1)
    options: dict[str, dict[str, Any]] = {
        "plain": {},
        "one_delay": {"delay_steps": 3},
        "longest_delay": {"delay_steps": 62},
        "delays": {"delay_steps": delays},
        "balance": {"balance_steps": 2},
        "delays_and_balance": {"delay_steps": delays.astype(np.int32), "balance_steps": 3},  # as lowering gives them
        "channels": {"into": (1, 3)},
        "channels_delays_and_balance": {"into": (1, 3), "delay_steps": delays, "balance_steps": 1},
    }
    if kind == "dense":
        options["delay_per_weight"] = {"delay_steps": rng.integers(0, 6, (5, N))}
        options["delay_per_target"] = {"delay_steps": np.broadcast_to(np.arange(5)[:, None], (5, N))}
    if kind == "sparse":
        options["longest_with_balance"] = {"delay_steps": 40, "balance_steps": 22}
    if kind != "conv":
        options["weight_exp"] = {"weight_exp": 3}
    return options


def _dense(name: str, rng: np.random.Generator, into: tuple[int, int] | None) -> tuple[Synapse, tuple[int, ...]]:
    n = 5 if into is None else into[1] - into[0]
    return Dense(IN, name, weight=even_weights(rng, (n, N)), target_channels=into), (5,)


def _sparse(name: str, rng: np.random.Generator, into: tuple[int, int] | None) -> tuple[Synapse, tuple[int, ...]]:
    target, stop = (3, 2, 4), 12 if into else 24
    place = rng.permutation(stop * N)[:30]
    weights: Any = {"rows": place // N, "columns": place % N, "values": even_weights(rng, (30,))}
    return Sparse(IN, name, **weights, target_channels=into), target


def _conv(name: str, rng: np.random.Generator, into: tuple[int, int] | None) -> tuple[Synapse, tuple[int, ...]]:
    n = 3 if into is None else into[1] - into[0]
    conv = Conv(IN, name, weight=even_weights(rng, (n, 3, 2, 2)), padding=(1, 0), target_channels=into)
    return conv, (4, 2, 3)


def _conv_transpose(
    name: str, rng: np.random.Generator, into: tuple[int, int] | None
) -> tuple[Synapse, tuple[int, ...]]:
    n = 3 if into is None else into[1] - into[0]
    geometry: Any = {"stride": (1, 2), "padding": (1, 1), "output_padding": (0, 1)}
    weight = even_weights(rng, (n, 2, 3, 2))
    return ConvTranspose(IN, name, weight=weight, **geometry, target_channels=into), (3, 6, 3)


def _one_to_one(name: str, rng: np.random.Generator, into: tuple[int, int] | None) -> tuple[Synapse, tuple[int, ...]]:
    weight = even_weights(rng, SHAPE)
    return OneToOne(IN, name, weight=weight, target_channels=into), (4, 3, 4 if into else 2)


def _token_mixing(
    name: str, rng: np.random.Generator, into: tuple[int, int] | None
) -> tuple[Synapse, tuple[int, ...]]:
    weight = even_weights(rng, (2, TOKENS, TOKENS))
    return TokenMixing(IN, name, weight=weight, target_channels=into), (4, 3, 4 if into else 2)


_MAKERS: dict[str, Callable[..., tuple[Synapse, tuple[int, ...]]]] = {
    "dense": _dense,
    "sparse": _sparse,
    "conv": _conv,
    "conv_transpose": _conv_transpose,
    "one_to_one": _one_to_one,
    "token_mixing": _token_mixing,
}


_WIDE = [-(2**15), -257, -1, 0, 256, 2**15 - 1]
"""Kernels hold more than 8 bits in the arithmetic, though not on a chip."""


def _twice() -> dict[str, Any]:
    """Weights at one place add up, each after its own delay."""
    return {
        "rows": np.array([0, 0, 0, 1, 2]),
        "columns": np.array([3, 3, 3, 5, 7]),
        "values": np.array([100, -40, 250, 200, 180]),
        "delay_steps": np.array([0, 0, 2, 1, 0]),
    }


def weight_cases() -> Cases:
    """Weights at the ends of their ranges, of one sign, odd; and what is particular to one kind of synapse."""
    rng = _rng("weights")
    found: list[tuple[Synapse, tuple[int, ...]]] = []
    for name, weight in {
        "odd": rng.integers(-127, 128, (5, N)),
        "any": rng.integers(-256, 256, (5, N)),
        "excitatory": rng.integers(0, 256, (5, N)),
        "inhibitory": -rng.integers(0, 257, (5, N)),
        "extreme": rng.choice([-256, -255, -1, 0, 1, 254, 255], (5, N)),
        "zero": np.zeros((5, N), np.int64),
    }.items():
        found.append((Dense(IN, f"weights_{name}", graded=True, weight=weight), (5,)))
    for name, options, n_in, shape in (
        ("stride", {"stride": (2, 1), "padding": (1, 1)}, 2, (2, 4, 4)),
        ("dilation", {"dilation": (1, 2), "padding": (0, 1)}, 2, (2, 3, 4)),
        ("groups", {"groups": 2}, 1, (2, 2, 4)),
        ("groups_delays", {"groups": 2, "delay_steps": np.array([2, 0])}, 1, (2, 2, 4)),
        ("groups_channels", {"groups": 2, "target_channels": (2, 6)}, 1, (2, 2, 7)),
    ):
        conv = Conv(IN, f"conv_{name}", graded=True, weight=even_weights(rng, (4, 3, 2, n_in)), **options)
        found.append((conv, shape))
    found += [
        (OneToOne(IN, "one_to_one_scalar", graded=True, weight=-6), SHAPE),
        (OneToOne(IN, "one_to_one_channel", graded=True, weight=np.array([4, -254])), SHAPE),
        (TokenMixing(IN, "one_head", graded=True, weight=even_weights(rng, (1, TOKENS, TOKENS))), SHAPE),
        (Direct(IN, "direct", graded=True), SHAPE),
        (Conv(IN, "conv_16_bits", graded=True, weight=rng.choice(_WIDE, (4, 3, 2, 2))), (2, 2, 4)),
        (Dense(IN, "dense_weight_exp_7", graded=True, weight=even_weights(rng, (5, N)), weight_exp=7), (5,)),
        (Sparse(IN, "sparse_twice_at_one_place", graded=True, **_twice()), (3,)),
    ]
    geometry: Any = {"stride": (2, 2), "padding": (2, 1), "output_padding": (1, 0), "dilation": (2, 1)}
    transposed = ConvTranspose(
        IN, "conv_transpose_groups", graded=True, weight=even_weights(rng, (4, 2, 2, 1)), groups=2, **geometry
    )
    found.append((transposed, (6, 4, 4)))
    return {synapse.target: _seen(synapse, shape) for synapse, shape in found}


def binary_cases() -> Cases:
    """Which a stream of zeros and ones only may enter."""
    return {"direct_spikes": graph_of((Cuba("direct_spikes", SHAPE, vth_mant=3),), Direct(IN, "direct_spikes"))}


# ------------------------------------------------------------------------------------------- populations

DECAYS = np.array([0, 1, 300, 2048, 4095, 4096])
LEAKY: Any = {"i_decay_q12": 1500, "v_decay_q12": 300}


def population_cases() -> Cases:
    """Every kind of population with every option, behind a dense synapse that multiplies by the input."""
    return {p.name: _driven(p) for p in _populations()}


def _driven(p: Population) -> Graph:
    rng = _rng(p.name)
    if len(p.shape) == 3:
        return graph_of((p,), OneToOne(IN, p.name, graded=True, weight=even_weights(rng, (SHAPE[2],), 40)))
    synapses = [
        Dense(IN, p.name, graded=True, weight=2 * rng.integers(-3, 5, (p.size, N)), part=part) for part in p.parts
    ]
    return graph_of((p,), *synapses)


def _populations() -> Iterator[Population]:
    six = (6,)
    yield Cuba("cuba_decays_of_the_current", six, 900, i_decay_q12=DECAYS)
    yield Cuba("cuba_decays_of_the_voltage", six, 900, i_decay_q12=2000, v_decay_q12=DECAYS)
    yield Cuba("cuba_per_channel", SHAPE, 900, i_decay_q12=np.array([0, 700]), v_decay_q12=np.array([4096, 9]))
    yield Cuba("cuba_bias_per_neuron", six, 300, bias_mant=np.arange(-3000, 3000, 1000), **LEAKY)
    yield Cuba("cuba_bias_of_one_neuron", SHAPE, 300, bias_mant=np.arange(N).reshape(SHAPE) - 9, **LEAKY)
    for bias_exp in (0, 7):
        yield Cuba(f"cuba_bias_exp_{bias_exp}", six, 300, bias_mant=-4096 + 4500, bias_exp=bias_exp, **LEAKY)
    widest = np.array([-(2**15), -4097, 4096, 2**15 - 1, -1, 0])
    yield Cuba("cuba_bias_16_bits", six, 2**16, bias_mant=widest, bias_exp=4, **LEAKY)
    yield Cuba("cuba_threshold_zero", six, 0, **LEAKY)
    yield Cuba("cuba_at_the_threshold", six, 2, v_decay_q12=4096)
    yield Cuba("cuba_unreachable", six, 2**17, v_decay_q12=300)
    for interval, offset in ((1, 0), (5, 0), (5, 3), (4, 9), (64, 2)):
        yield Cuba(f"cuba_reset_{interval}_{offset}", six, 900, bias_mant=3, reset=Reset(interval, offset), **LEAKY)
        yield Accumulator(f"accumulator_reset_{interval}_{offset}", six, reset=Reset(interval, offset), **LEAKY)
    yield Accumulator("accumulator", six, i_decay_q12=DECAYS, v_decay_q12=DECAYS[::-1].copy())
    yield Accumulator("accumulator_bias", SHAPE, v_decay_q12=100, bias_mant=np.array([-7, 70]), bias_exp=3)
    yield Sigma("sigma", six)
    yield Sigma("sigma_image", SHAPE)
    for exps in ((6, 6), (0, 0), (3, 5)):
        for cumulative in (False, True):
            name = f"{exps[0]}_{exps[1]}" + "_cumulative" * cumulative
            options: Any = {"spike_exp": exps[0], "state_exp": exps[1], "cum_error": cumulative}
            yield Delta(f"delta_{name}", six, 150 << sum(exps), **options)
            yield SigmaDelta(f"sigma_delta_{name}", six, 40 << exps[1], bias=np.arange(-60, 60, 20) * 9, **options)
    yield Delta("delta_threshold_zero", SHAPE, 0)
    yield SigmaDelta("sigma_delta_linear", SHAPE, 900, bias=-500, relu=False, state_exp=3)
    for izhikevich in (False, True):
        name = "resonator_izhikevich" if izhikevich else "resonator"
        spread: Any = {
            "sin_decay": np.array([900, -900, 2500, 0, 4000, -50]),
            "cos_decay": 3900,
            "izhikevich": izhikevich,
        }
        yield Resonator(name, six, vth=9_000, **spread)
        yield Resonator(
            f"{name}_bits", six, 700, sin_decay=77, cos_decay=230, state_exp=2, decay_bits=8, izhikevich=izhikevich
        )


def threshold_cases() -> Cases:
    """Sums that meet the threshold exactly: no spike there, one just above."""
    weight = np.zeros((3, N), np.int64)
    weight[:, :4] = 16
    neurons = (Cuba("exactly", (3,), vth_mant=32), Cuba("without_leak", (3,), vth_mant=64, i_decay_q12=4096))
    return {p.name: graph_of((p,), Dense(IN, p.name, weight=weight)) for p in neurons}
