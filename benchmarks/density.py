"""From which share of non-zero values on a matrix product beats a walk over events; see
`fast.matrix.DENSE_ABOVE`.

Times both on the same frames, for dense and convolutional synapses, spikes and values.

    OPENBLAS_NUM_THREADS=1 python benchmarks/density.py
"""

from __future__ import annotations

import statistics
import time

import numpy as np

from pumice.backends.fast import matrix
from pumice.backends.fast.links import Link, links
from pumice.ir import Conv, Cuba, Dense, Graph, Input, Synapse

FRAMES = 64
REPEATS = 5


def one_link(synapse: Synapse, source: tuple[int, ...], target: tuple[int, ...]) -> Link:
    value_range = (0, 255) if synapse.graded else (0, 1)
    graph = Graph(Input("input", source, value_range), (Cuba("a", target, vth_mant=1),), (synapse,), ("a",))
    return links(graph)[0]


def cases() -> dict[str, Link]:
    rng = np.random.default_rng(0)

    def weight(*shape: int) -> np.ndarray:
        return 2 * rng.integers(-60, 61, shape)

    found = {}
    for graded in (False, True):
        kind = "values" if graded else "spikes"
        for n in (256, 2048):
            found[f"dense {n} x {n}, {kind}"] = one_link(Dense("input", "a", graded, weight=weight(n, n)), (n,), (n,))
        conv = Conv("input", "a", graded, weight=weight(32, 3, 3, 16), padding=(1, 1))
        found[f"conv 3 x 3, 16 -> 32 channels, {kind}"] = one_link(conv, (32, 32, 16), (32, 32, 32))
        conv = Conv("input", "a", graded, weight=weight(24, 5, 5, 3), stride=(2, 2))
        found[f"conv 5 x 5 / 2, 3 -> 24 channels, {kind}"] = one_link(conv, (200, 66, 3), (98, 31, 24))
    return found


def ms_per_frame(link: Link, frames: np.ndarray, *, dense: bool) -> float:
    matrix.DENSE_ABOVE = -1.0 if dense else 2.0
    activation = np.zeros((FRAMES, link.ends.n_target), link.ends.dtype)
    found = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        link._add(frames[:, 0], activation)
        found.append(time.perf_counter() - began)
    return 1e3 * statistics.median(found) / FRAMES


def main() -> None:
    rng = np.random.default_rng(1)
    for name, link in cases().items():
        n, graded = link.ends.n_source, link.synapse.graded
        print(f"{name}: share, ms per frame as events, as a matrix product")
        for share in (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.9):
            frames = np.zeros((FRAMES, 1, -(-n // 8) * 8), np.int32 if graded else np.int8)
            frames[:, 0, :n] = (rng.random((FRAMES, n)) < share) * rng.integers(1, 256 if graded else 2, (FRAMES, n))
            events, product = (ms_per_frame(link, frames, dense=dense) for dense in (False, True))
            print(f"  {share:4.2f}  {events:8.4f}  {product:8.4f}  {'events' if events < product else 'product'}")


if __name__ == "__main__":
    main()
