"""What surrounds a CUDA graph, with one that Python plays: on a GPU `benchmarks/gpu.py` compares losses."""

from contextlib import nullcontext

import pytest
import torch

from pumice.errors import InputError
from pumice.train.runtime import cuda_graph
from pumice.train.runtime.cuda_graph import EAGER, CudaGraphs


class Played:
    """Replays by calling the passes again on the memory that they were recorded with."""

    replays = 0

    def __init__(self):
        self.recorded = None

    def pool(self):
        return "pool"

    def replay(self):
        Played.replays += 1
        weight.grad = None
        figures, _ = self.recorded.passes(*self.recorded.given)
        self.recorded.figures.copy_(figures)
        self.recorded.gradients[0].copy_(weight.grad)
        weight.grad = None


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(3))
        self.register_buffer("calls", torch.zeros(1))


model = Model()
weight = model.weight


def passes(x, labels):
    loss = ((x @ weight - labels) ** 2).sum()
    loss.backward()
    return loss.detach().reshape(1), {"block": len(x)}


@pytest.fixture
def graphs(monkeypatch):
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Played)
    monkeypatch.setattr(torch.cuda, "graph", lambda *_args, **_options: nullcontext())
    record = CudaGraphs._record

    def recorded(self, *args):
        found = record(self, *args)
        found.graph.recorded = found
        return found

    monkeypatch.setattr(cuda_graph.CudaGraphs, "_record", recorded)
    Played.replays = 0
    return CudaGraphs(model)


@pytest.mark.parametrize("sizes", [[4] * 7, [4, 4, 4, 4, 4, 3, 3, 3, 3, 3, 4]])
def test_figures_and_gradients_are_those_of_the_passes(graphs, sizes):
    torch.manual_seed(0)
    kept = []
    for size in sizes:
        x, labels = torch.randn(size, 3), torch.randn(size)
        weight.grad = None
        wanted, _ = passes(x, labels)
        gradient = weight.grad
        weight.grad = None
        figures, known = graphs.run(passes, x, labels)
        kept.append((figures, wanted))
        assert known == {"block": size}
        assert torch.equal(weight.grad, gradient)
    assert all(torch.equal(figures, wanted) for figures, wanted in kept)  # none is overwritten by a later batch
    assert Played.replays == sum(max(0, sizes.count(size) - EAGER) for size in set(sizes))


def test_a_replaced_tensor_is_refused(graphs):
    x, labels = torch.randn(4, 3), torch.randn(4)
    for _ in range(EAGER + 1):
        graphs.run(passes, x, labels)
    model.calls = torch.ones(1)
    with pytest.raises(InputError, match="'calls' is another one now"):
        graphs.run(passes, x, labels)


def test_passes_that_ask_for_a_value_are_refused(graphs):
    def asking(x, labels):
        if asking.calls == EAGER:
            raise RuntimeError("operation not permitted when stream is capturing\nmore")
        asking.calls += 1
        return passes(x, labels)

    asking.calls = 0
    x, labels = torch.randn(4, 3), torch.randn(4)
    for _ in range(EAGER):
        graphs.run(asking, x, labels)
    with pytest.raises(InputError, match=r"asks the GPU for a value.*capturing\); leave compute.cuda_graphs out"):
        graphs.run(asking, x, labels)
