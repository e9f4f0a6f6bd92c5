from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from pumice.backends import get_backend, run
from pumice.errors import InputError
from pumice.ir import Conv, Cuba, Dense, Direct, Graph, Input, Reset, Timing
from pumice.ir.builder import chain

pytestmark = pytest.mark.usefixtures("on_reference_and_fast")


def one_neuron(n_steps=12, **neuron):
    """One neuron behind a weight that never matters."""
    p = Cuba("n", (1,), **{"vth_mant": 1000, **neuron})
    graph = Graph(Input("input", (1,)), (p,), (Dense("input", "n", weight=np.array([[0]])),), outputs=("n",))
    return run(graph, np.zeros((n_steps, 1), int), record=True).records["n"]


def test_lif_reset_as_lava_does_it():
    """LAVA.md 1.6: LIFReset(4, offset 0) with bias 1 holds v = 1 2 3 1 2 3 4 1 2 3 4 1 after steps 1 to 12."""
    v = one_neuron(bias_mant=1, bias_exp=0, reset=Reset(4, 0)).v[:, 0]
    assert v.tolist() == [1, 2, 3, 1, 2, 3, 4, 1, 2, 3, 4, 1]


def test_a_synapse_costs_one_step_and_a_delay_adds_its_own():
    weight = np.array([[100, 100]])
    p = Cuba("n", (1,), vth_mant=1000)
    graph = Graph(
        Input("input", (2,)),
        (p,),
        (Dense("input", "n", weight=weight, delay_steps=np.array([0, 3])),),
        outputs=("n",),
    )
    x = np.zeros((8, 2), int)
    x[1] = 1
    x[5] = 1, 0  # the other is silent
    u = run(graph, x, record=True).records["n"].u
    assert u[:, 0].tolist() == [0, 0, 6400, 0, 0, 6400, 6400, 0]


def test_direct_input_acts_in_the_same_step():
    p = Cuba("n", (2,), vth_mant=1000)
    graph = Graph(Input("input", (2,)), (p,), (Direct("input", "n", graded=True),), outputs=("n",))
    x = np.array([[3, -4], [0, 1]])
    assert_array_equal(run(graph, x, record=True).records["n"].u, x * 64)


def test_only_graded_synapses_see_values():
    graph = chain((1,), [1], seed=0)
    x = np.full((2, 1), 7)
    weight = int(graph.synapses[0].weight[0, 0])
    assert run(graph, x, record=True).records["dense0"].u[1, 0] == 64 * weight
    graded = graph.replace(synapses=(replace(graph.synapses[0], graded=True),))
    assert run(graded, x, record=True).records["dense0"].u[1, 0] == 7 * 64 * weight


def test_a_neuron_can_excite_itself():
    p = Cuba("n", (1,), vth_mant=10)
    loop = Dense("n", "n", weight=np.array([[20]]))
    graph = Graph(Input("input", (1,)), (p,), (Dense("input", "n", weight=np.array([[20]])), loop), outputs=("n",))
    x = np.zeros((6, 1), int)
    x[0] = 1
    assert run(graph, x).spikes[:, 0].tolist() == [0, 1, 1, 1, 1, 1]


def test_conv_delays_are_per_channel():
    p = Cuba("n", (1, 1, 1), vth_mant=1000)
    synapse = Conv("input", "n", weight=np.array([[[[10, 20]]]]), delay_steps=np.array([2, 0]))
    graph = Graph(Input("input", (1, 1, 2)), (p,), (synapse,), outputs=("n",))
    x = np.zeros((5, 1, 1, 2), int)
    x[0] = 1
    assert run(graph, x, record=True).records["n"].u.ravel().tolist() == [0, 20 * 64, 0, 10 * 64, 0]


def test_flat_input_of_an_image_is_channel_first():
    rng = np.random.default_rng(0)
    graph = chain((4, 3, 2), [5], seed=0)
    x = rng.integers(0, 2, (6, 4, 3, 2))
    flat = x.transpose(0, 3, 2, 1).reshape(6, -1)
    assert_array_equal(run(graph, flat).spikes, run(graph, x).spikes)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((3, 4)), "input must be integers"),
        (np.zeros((3, 5), int), r"input must have shape \(T, 4\), got \(3, 5\)"),
        (np.zeros((0, 4), int), "no time step"),
        (np.full((3, 4), 2**23), "24 bits"),
        (np.full((3, 4), 9), r"made for input values 0\.\.8, got 9 to 9"),
    ],
)
def test_bad_input_is_refused(x, message):
    graph = chain((4,), [3], seed=0)
    graph = graph.replace(input=replace(graph.input, value_range=(0, 8) if x.max(initial=0) < 2**20 else None))
    with pytest.raises(InputError, match=message):
        run(graph, x)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ([[1, 0, 0, 1], [1]], "input must be an array of integers, got list"),
        (np.zeros((3, 4), "m8[s]"), r"input must be integers \(or bool\), got timedelta64"),
        (np.ma.masked_array(np.ones((3, 4), int), np.eye(3, 4)), "input has masked values"),
    ],
)
def test_what_is_no_array_of_numbers_is_refused(x, message):
    backend = get_backend("fast")
    with pytest.raises(InputError, match=message):
        backend.run(chain((4,), [3], seed=0), x)
    with pytest.raises(InputError, match=message):
        backend.run_batch(chain((4,), [3], seed=0), x if isinstance(x, list) else x[None])


@pytest.mark.parametrize("x", [[[[1, 0], [1]]], np.ma.masked_array(np.ones((1, 4, 5)), np.ones((1, 4, 5)))])
def test_samples_that_are_no_array_are_refused(x):
    graph = chain((4,), [3], seed=0).replace(timing=Timing(5, 5))
    with pytest.raises(InputError, match=r"must be an array of integers|masked values"):
        run(graph, x, layout="torch")


def test_unknown_backends_are_named():
    with pytest.raises(InputError, match="unknown backend 'gpu'; there are: reference, fast, lava"):
        get_backend("gpu")
