"""Compares three exact constructions of a convolution with delays from Lava's own processes.

(a) every weight a synapse of its own, in one DelaySparse;
(b) a delayed identity (DelaySparse) into relays, then an ordinary Conv; channels without delay have a second Conv;
(c) a chain of relays, one Conv behind each that has channels of its delay.

Prints time per step and memory; all three must give the same numbers. Run: python benchmarks/delayed_conv.py
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from lava_cost import Cost, measure

from pumice.backends.lava.neurons import neuron_process
from pumice.backends.lava.synapses import connect
from pumice.fixedpoint import conv_accumulate, conv_output_shape
from pumice.ir import Conv, Cuba, Graph, Input, OneToOne, Sparse, flatten_whc

STEPS = 13
# (source shape, channels out, kernel, longest delay, smallest delay)
LAYERS = [
    ((6, 6, 2), 2, 3, 3, 0),
    ((16, 16, 8), 16, 3, 1, 1),
    ((16, 16, 8), 16, 3, 7, 0),
    ((16, 16, 8), 16, 3, 62, 0),
    ((32, 32, 16), 32, 3, 1, 1),
]


def as_single_weights(conv: Conv, shape: tuple[int, int, int]) -> Sparse:
    """Candidate (a): the matrix's columns are what the convolution makes of single spikes."""
    impulses = np.eye(int(np.prod(shape)), dtype=np.int64).reshape(-1, *shape)
    columns = [flatten_whc(conv_accumulate(conv.weight, x, padding=conv.padding)) for x in impulses]
    order = flatten_whc(np.arange(len(columns)).reshape(shape))
    matrix = np.stack([columns[i] for i in order], axis=1)
    rows, sources = np.nonzero(matrix)
    delays = np.broadcast_to(np.asarray(conv.delay_steps)[:, None, None], shape[::-1]).reshape(-1)
    return Sparse(conv.source, conv.target, rows=rows, columns=sources, values=matrix[rows, sources],
                  delay_steps=delays[sources])  # fmt: skip


def chain(graph: Graph, conv: Conv):
    """Candidate (c)."""

    def build(source, target) -> None:
        hop = OneToOne(conv.source, conv.source, weight=2)
        for delay in range(int(conv.delay_steps.max()) + 1):
            if delay:
                relay = neuron_process(Cuba(f"relay{delay}", source.shape, 1, v_decay_q12=4096))
                connect(graph, hop, source, relay.a_in)
                source = relay.s_out
            now = conv.delay_steps == delay
            if now.any():
                connect(graph, replace(conv, weight=conv.weight * now, delay_steps=0), source, target)

    return build


def candidates(layer) -> dict[str, Cost]:
    shape, n_out, kernel, longest, shortest = layer
    rng = np.random.default_rng(0)
    delays = rng.integers(shortest, longest + 1, shape[2])
    delays[:2] = shortest, longest
    weight = 2 * rng.integers(-128, 128, (n_out, kernel, kernel, shape[2]))
    conv = Conv("input", "n", weight=weight, padding=(1, 1), delay_steps=delays)
    target = conv_output_shape(shape, weight.shape, (1, 1), (1, 1), (1, 1))
    graph = Graph(Input("input", shape, (0, 1)), (Cuba("n", target, 1),), (conv,), ("n",))
    single = as_single_weights(conv, shape)
    x = (rng.random((STEPS, *shape)) < 0.1).astype(np.int32)
    builds = {
        "a single weights": lambda s, t: connect(graph, single, s, t),
        "b relays": lambda s, t: connect(graph, conv, s, t),
        "c chain": chain(graph, conv),
    }
    return {name: measure(x, target, build) for name, build in builds.items()}


def main() -> None:
    print(f"{'layer':>34} {'candidate':>18} {'processes':>9} {'ms/step':>9} {'MB':>8}")
    for layer in LAYERS:
        costs = candidates(layer)
        outs = [cost.out for cost in costs.values()]
        assert outs[0].any(), "nothing came out"
        assert all(np.array_equal(outs[0], out) for out in outs), "the candidates differ"
        for name, cost in costs.items():
            text = f"{layer[0]} -> {layer[1]}, delay {layer[4]}..{layer[3]}"
            print(f"{text:>34} {name:>18} {cost.n_processes:>9} {cost.ms_per_step:>9.1f} {cost.memory_mb:>8.0f}")


if __name__ == "__main__":
    main()
