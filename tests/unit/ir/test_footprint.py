import tracemalloc

import numpy as np
import pytest

from pumice.backends.reference import ReferenceBackend
from pumice.errors import ResourceError
from pumice.ir import Conv, ConvTranspose, Cuba, Graph, Input, Sparse, Timing
from pumice.ir.builder import chain
from pumice.ir.footprint import run_bytes, sample_bytes, step_bytes


def image(kind, shape, **options):
    weight = np.ones((2, 3, 3, 2), int)
    return Graph(
        Input("in", (40, 40, 2)),
        (Cuba("a", shape, vth_mant=9),),
        (kind("in", "a", weight=weight, **options),),
        ("a",),
    )


GRAPHS = {
    "dense": chain((3000,), [2000, 100], seed=0),
    "conv": image(Conv, (240, 240, 2), padding=(101, 101)),
    "dilated": image(Conv, (40, 40, 2), padding=(400, 400), dilation=(400, 400)),
    "transposed": image(ConvTranspose, (198, 198, 2), stride=(5, 5)),
    "cut off": image(ConvTranspose, (2, 2, 2), stride=(5, 5), padding=(98, 98)),
    "delayed": image(Conv, (38, 38, 2), delay_steps=60),
}


@pytest.mark.parametrize("name", sorted(GRAPHS))
def test_the_estimate_is_of_the_size_of_the_truth(name):
    """Of what a run of the reference takes on top of the graph where all sources send, to a factor of 3."""
    graph, n_steps = GRAPHS[name], 3
    x = np.ones((n_steps, *graph.input.shape), np.int32)
    tracemalloc.start()
    try:
        ReferenceBackend().run(graph, x, record=True)
        truth = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert truth / 3 < run_bytes(graph, n_steps, record=True) < 3 * truth


def test_sizes_of_any_kind_cost_nothing():
    huge = Graph(Input("in", (2**40, 2**40, 2)), (Cuba("a", (2**60,), vth_mant=1),), (), ("a",))
    assert step_bytes(huge) > 2**60


def test_a_sample_has_all_its_steps():
    graph = GRAPHS["dense"]
    timed = graph.replace(timing=Timing(4, 6, 3))
    assert sample_bytes(timed) == run_bytes(graph, 9, record=False) > sample_bytes(graph)


def test_a_run_that_no_memory_holds_is_not_begun():
    weight = {"rows": np.array([0]), "columns": np.array([0]), "values": np.array([1])}
    huge = Graph(Input("in", (1,)), (Cuba("a", (2**44,), vth_mant=1),), (Sparse("in", "a", **weight),), ("a",))
    with pytest.raises(ResourceError, match="a run of 3 steps would take about"):
        ReferenceBackend().run(huge, np.ones((3, 1), int))


class Hungry(ReferenceBackend):
    def _run(self, graph, x, record):
        raise MemoryError


def test_memory_that_runs_out_on_the_way_is_our_error():
    for run, x in ((Hungry().run, np.ones((3, 3000), int)), (Hungry().run_batch, np.ones((1, 3, 3000), int))):
        with pytest.raises(ResourceError, match=r"not enough memory for a run of 3 steps \(about"):
            run(GRAPHS["dense"], x)
