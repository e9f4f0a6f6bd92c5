"""Compares token mixing, and a one-to-one synapse, as Lava's Sparse and as its grouped 1x1 Conv.

For the mixing, the grouped Conv has the tokens as its channels, head by head, so that a transposed port leads in
and one out. Both must give the same numbers. Run: python benchmarks/token_mixing.py
"""

from __future__ import annotations

import numpy as np
from lava_cost import measure

from pumice.backends.lava.synapses import connect
from pumice.ir import Conv, Cuba, Graph, Input, OneToOne, TokenMixing

STEPS = 43
WIDTH = HEIGHT = 8
# (channels, heads); 0 heads: one to one
CASES = [(64, 1), (64, 16), (384, 1), (384, 8), (384, 16), (64, 0), (96, 0)]


def grouped_conv(synapse: TokenMixing, shape: tuple[int, int, int]):
    """(x, y, channel) -> (channel in head, 1, head * tokens + token) and back."""
    heads, tokens, _ = synapse.weight.shape
    per_head = shape[2] // heads
    weight = synapse.weight.reshape(heads * tokens, 1, 1, tokens)
    mixed = (per_head, 1, heads * tokens)
    place = Graph(Input("input", mixed), (Cuba("n", mixed, 1),), (), ("n",))
    conv = Conv("input", "n", weight=weight, groups=heads)

    def build(source, target) -> None:
        from lava.proc.conv.process import Conv as LavaConv

        process = LavaConv(weight=weight.astype(np.int32), input_shape=place.input.shape, groups=conv.groups)
        # (x, y, c) -> (channel in head, head, y, x)
        by_head = source.transpose([2, 1, 0]).reshape((heads, per_head, tokens)).transpose([1, 0, 2])
        by_head.reshape(mixed).connect(process.s_in)
        out = process.a_out.reshape((per_head, heads, tokens)).transpose([1, 0, 2])
        out.reshape(shape[::-1]).transpose([2, 1, 0]).connect(target)

    return build


def depthwise(weight: np.ndarray, shape: tuple[int, int, int]):
    def build(source, target) -> None:
        from lava.proc.conv.process import Conv as LavaConv

        process = LavaConv(weight=weight[:, None, None, None].astype(np.int32), input_shape=shape, groups=shape[2])
        source.connect(process.s_in)
        process.a_out.connect(target)

    return build


def main() -> None:
    rng = np.random.default_rng(0)
    print(f"{WIDTH * HEIGHT} tokens")
    print(f"{'channels':>8} {'heads':>8} {'process':>14} {'weights':>9} {'ms/step':>8} {'MB':>6}")
    for channels, heads in CASES:
        shape, tokens = (WIDTH, HEIGHT, channels), WIDTH * HEIGHT
        if heads:
            weight = 2 * rng.integers(-128, 128, (heads, tokens, tokens))
            synapse = TokenMixing("input", "n", weight=weight)
            other = grouped_conv(synapse, shape)
        else:
            weight = 2 * rng.integers(-128, 128, channels)
            synapse = OneToOne("input", "n", weight=weight)
            other = depthwise(weight, shape)
        graph = Graph(Input("input", shape, (0, 1)), (Cuba("n", shape, 1),), (synapse,), ("n",))
        x = (rng.random((STEPS, *shape)) < 0.1).astype(np.int32)
        n_single = int(np.prod(shape)) * (tokens if heads else 1)
        builds = {
            "Sparse": (n_single, lambda s, t, g=graph, y=synapse: connect(g, y, s, t)),
            "grouped Conv": (weight.size, other),
        }
        outs = []
        for name, (n_weights, build) in builds.items():
            cost = measure(x, shape, build)
            outs.append(cost.out)
            print(
                f"{channels:>8} {heads or 'one-to-one':>8} {name:>14} {n_weights:>9} "
                f"{cost.ms_per_step:>8.1f} {cost.memory_mb:>6.0f}",
                flush=True,
            )
        assert outs[0].any(), "nothing came out"
        assert np.array_equal(outs[0], outs[1]), "the candidates differ"


if __name__ == "__main__":
    main()
