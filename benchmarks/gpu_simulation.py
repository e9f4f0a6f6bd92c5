"""`gpu.py`, stage `simulate`: the torch backend on the device, exact, and how fast."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

import pumice
from pumice.backends import get_backend
from pumice.backends.compare import compare_records
from pumice.backends.torch import TorchBackend
from pumice.ir import Graph, recorded_samples
from pumice.testing import cases, example

ROOT = Path(__file__).resolve().parents[1]
NETWORKS = {  # file: samples in all, and those whose every neuron and state is compared
    "netx_exports/digits-resnet/network.net": (4096, 32),
    "netx_exports/cifar10-resnet/network.net": (1024, 4),
    "netx_exports/cifar10-stmixer/network.net": (1024, 4),
    "docs/results/cifar10-resnet19.net": (256, 1),
}
TOY_NETWORKS = {"netx_exports/digits/network.net": (16, 2)}
GRAPHS, TOY_GRAPHS = 60, 4


def simulation(args: argparse.Namespace, device: torch.device) -> None:
    """Equality with the reference and `fast`, then samples per second."""
    backend = TorchBackend(device.type)
    with lower_precision(device):
        check_graphs(backend, TOY_GRAPHS if args.toy else GRAPHS)
        for file, (n, compared) in (TOY_NETWORKS if args.toy else NETWORKS).items():
            time_network(file, backend, n, compared)


@contextmanager
def lower_precision(device: torch.device) -> Iterator[None]:
    """TF32 and autocast, which must not reach the integers."""
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("medium")
    torch.backends.cudnn.allow_tf32 = True
    try:
        with torch.autocast(device.type, torch.bfloat16):
            yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]


def check_graphs(backend: TorchBackend, n: int) -> None:
    """Random graphs of all kinds of synapses and neurons."""
    compared = 0
    for case in range(n):
        graph, x = example(cases(8, longest_delay=62 if case % 3 == 0 else 9), case)
        expected = get_backend("reference").run(graph, x, record=True).records
        layers = compare_records(expected, backend.run(graph, x, record=True).records)
        if bad := [layer.population for layer in layers if layer.s or layer.states]:
            raise SystemExit(f"torch on {backend.device} differs from the reference in graph {case}: {bad}")
        compared += sum(layer.compared * layer.quantities for layer in layers)
    print(f"{n} random graphs on the reference: {compared:,} integers compared, 0 differ")


def time_network(file: str, backend: TorchBackend, n: int, compared: int) -> None:
    """One network's samples on the device and on `fast`."""
    graph = pumice.load(ROOT / file)
    few = min(n, 64)
    spikes, seconds = timed(graph, backend, n)
    expected, seconds_fast = timed(graph, "fast", few)
    if differ := [name for name in expected if not np.array_equal(spikes[name][:few], expected[name])]:
        raise SystemExit(f"{file}: torch on {backend.device} counts other spikes than fast: {', '.join(differ)}")
    pumice.evaluate(graph, samples_of(graph, compared), backend=backend, check={"fast": compared})
    rates = f"{n / seconds:.0f} and {few / seconds_fast:.0f} samples/s on torch and fast"
    print(f"{file}: {rates}, every state of {compared} equal", flush=True)


def timed(graph: Graph, backend: TorchBackend | str, n: int) -> tuple[dict[str, np.ndarray], float]:
    """Spikes of each population in each of `n` samples, and how long that took, the second time."""
    pairs = samples_of(graph, n)
    pumice.evaluate(graph, pairs, backend=backend)  # a device chooses kernels, fast's loops are compiled
    start = time.perf_counter()
    found = pumice.evaluate(graph, pairs, backend=backend)
    return dict(found.spikes), time.perf_counter() - start


def samples_of(graph: Graph, n: int) -> list[tuple[np.ndarray, int]]:
    """Those of its certificate, over and over."""
    recorded = recorded_samples(graph)
    return [(recorded[i % len(recorded)], 0) for i in range(n)]
