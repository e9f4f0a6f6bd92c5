"""Small random graphs, for tests, doctests and benchmarks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pumice.fixedpoint.formats import MIXED_WEIGHT
from pumice.ir.graph import Graph
from pumice.ir.input import Input
from pumice.ir.populations import Cuba
from pumice.ir.synapses import Dense, OneToOne


def even_weights(
    rng: np.random.Generator, shape: tuple[int, ...], limit: int = MIXED_WEIGHT.high
) -> npt.NDArray[np.int64]:
    """Random even integers in [-limit, limit]: what an 8-bit synapse of mixed sign holds."""
    return 2 * rng.integers(-(limit // 2), limit // 2 + 1, size=shape)


def chain(input_shape: tuple[int, ...], sizes: Sequence[int], *, seed: int, vth_mant: int = 64) -> Graph:
    """A chain of dense layers with random weights.

    Args:
        input_shape: Shape of the input.
        sizes: Neurons of each layer.
        seed: Seed of the weights.
        vth_mant: Threshold of every layer.
    """
    rng = np.random.default_rng(seed)
    source = Input("input", input_shape)
    populations, synapses = [], []
    name, n_source = source.name, source.size
    for index, n in enumerate(sizes):
        target = Cuba(f"dense{index}", (n,), vth_mant=vth_mant, i_decay_q12=1024, v_decay_q12=128)
        synapses.append(Dense(name, target.name, weight=even_weights(rng, (n, n_source))))
        populations.append(target)
        name, n_source = target.name, n
    return Graph(source, tuple(populations), tuple(synapses), outputs=(name,))


def diamond(length: int, *, seed: int = 0, vth_mant: int = 100) -> Graph:
    """A chain of 4 neurons each, and a shortcut from its first population to its last."""
    graph = chain((4,), [4] * (length + 1), seed=seed, vth_mant=vth_mant)
    skip = OneToOne("dense0", f"dense{length}", weight=60)
    return graph.replace(synapses=(*graph.synapses, skip))


def loop(seed: int = 0, bias: int = 40) -> Graph:
    """A recurrent population with a bias, and a delayed synapse behind it."""
    rng = np.random.default_rng(seed)
    populations = (
        Cuba("a", (5,), vth_mant=200, i_decay_q12=2048, v_decay_q12=300, bias_mant=bias),
        Cuba("b", (3,), vth_mant=200, v_decay_q12=300, bias_mant=bias),
    )
    synapses = (
        Dense("input", "a", weight=even_weights(rng, (5, 4), 100)),
        Dense("a", "a", weight=even_weights(rng, (5, 5), 100), delay_steps=2),
        Dense("a", "b", weight=even_weights(rng, (3, 5), 100), delay_steps=np.array([0, 1, 5, 3, 2])),
    )
    return Graph(Input("input", (4,), (0, 1)), populations, synapses, outputs=("b",))
