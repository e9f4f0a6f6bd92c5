import numpy as np
import pytest

from pumice.backends import get_backend
from pumice.backends.lava import LavaBackend
from pumice.backends.lava.delays import DELAYED, kept
from pumice.backends.lava.memory import shared_array
from pumice.ir import Cuba, Dense, Graph, Input, OneToOne

pytestmark = pytest.mark.lava

STEPS = 9


@pytest.fixture
def graph():
    """One `DelayDense`, one `DelaySparse`."""
    weight = np.random.default_rng(0).integers(-90, 90, (5, 4))
    synapses = Dense("input", "a", weight=weight, delay_steps=3), OneToOne("a", "b", weight=80, delay_steps=2)
    return Graph(Input("input", (4,)), (Cuba("a", (5,), 1), Cuba("b", (5,), 1)), synapses, ("b",))


@pytest.fixture
def splits(monkeypatch):
    """How often each of Lava's models split its weights, in whichever process."""
    counts = shared_array((len(DELAYED),), np.int64)

    def counting(place, split):
        def count(*arguments):
            counts[place] += 1
            return split(*arguments)

        return staticmethod(count)

    for place, model in enumerate(DELAYED):
        monkeypatch.setattr(model, "get_delay_wgts_mat", counting(place, model.get_delay_wgts_mat))
    return counts


@pytest.mark.parametrize("in_threads", [False, True])
def test_a_run_splits_weights_once_and_spikes_as_lava_does(graph, splits, in_threads, monkeypatch):
    x = np.random.default_rng(1).integers(0, 2, (STEPS, 4))
    spikes = LavaBackend(in_threads=in_threads).run(graph, x).spikes
    assert splits.tolist() == [1, 1]
    assert spikes.any()
    np.testing.assert_array_equal(spikes, get_backend("reference").run(graph, x).spikes)
    monkeypatch.setattr("pumice.backends.lava.backend.split_weights_once", lambda: None)
    np.testing.assert_array_equal(LavaBackend(in_threads=in_threads).run(graph, x).spikes, spikes)
    assert splits.tolist() == [1 + STEPS, 1 + STEPS]


def test_a_run_leaves_the_callers_models_alone(graph):
    before = [model.get_delay_wgts_mat for model in DELAYED]
    LavaBackend(in_threads=True).run(graph, np.ones((3, 4), int))
    assert [model.get_delay_wgts_mat for model in DELAYED] == before


def test_other_arrays_are_split_anew():
    split = kept(lambda weights, delays, longest: (weights.sum(), delays.sum(), longest))
    weights, late = np.ones(3), np.full(3, 2)
    assert split(weights, late, 2) == (3, 6, 2)
    assert split(weights, late, 4) == (3, 6, 4)
    assert split(2 * weights, late, 2) == (6, 6, 2)
    assert split(weights, late - 1, 2) == (3, 3, 2)
