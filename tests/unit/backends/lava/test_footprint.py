import numpy as np
import pytest

from pumice.backends.lava import LavaBackend, backend, memory
from pumice.backends.lava.footprint import processes_bytes
from pumice.errors import BackendError
from pumice.ir import Conv, Cuba, Dense, Graph, Input, OneToOne
from pumice.ir.builder import chain

pytestmark = pytest.mark.lava


def one(synapse, source, target):
    return Graph(Input("input", source), (Cuba("a", target, 5),), (synapse,), ("a",))


@pytest.mark.parametrize(
    ("graph", "weights", "values"),
    [
        (one(Dense("input", "a", weight=np.ones((3, 4), int)), (4,), (3,)), 12, 7),
        (one(Dense("input", "a", weight=np.ones((3, 4), int), delay_steps=9), (4,), (3,)), 120, 7),
        (one(Conv("input", "a", weight=np.ones((2, 3, 3, 1), int)), (8, 8, 1), (6, 6, 2)), 18, 136),
        (one(OneToOne("input", "a", weight=2, delay_steps=9), (8, 8, 1), (8, 8, 1)), 64, 128),
    ],
    ids=["dense", "delayed", "conv", "one to one"],
)
def test_weights_and_channels(graph, weights, values):
    assert processes_bytes(graph) == 4 * (weights + 64 * values)


def test_a_run_that_no_memory_holds_is_refused_before_it_starts(monkeypatch):
    graph, x = chain((2,), [3], seed=0), np.zeros((1000, 2), int)
    monkeypatch.setattr(memory, "available_bytes", lambda: 40_000)
    monkeypatch.setattr(backend, "supervise", lambda *_: pytest.fail("it was started"))
    with pytest.raises(BackendError, match=r"a Lava run of 1000 steps needs at least .* record less"):
        LavaBackend().run(graph, x, record=True)
