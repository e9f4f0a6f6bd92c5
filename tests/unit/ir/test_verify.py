from dataclasses import replace

import numpy as np
import pytest

from pumice.errors import GraphError, InputError
from pumice.ir import Conv, Cuba, Direct, Graph, Input, Reset, Timing, verify_graph
from pumice.ir.builder import chain


@pytest.fixture
def image():
    """An image into a convolution."""
    source, target = Input("input", (6, 5, 2)), Cuba("conv", (4, 3, 4), vth_mant=64)
    synapse = Conv("input", "conv", weight=np.ones((4, 3, 3, 2), int))
    return Graph(source, (target,), (synapse,), outputs=("conv",))


def with_synapse(graph, **changes):
    return graph.replace(synapses=(replace(graph.synapses[0], **changes), *graph.synapses[1:]))


def with_population(graph, **changes):
    return graph.replace(populations=(replace(graph.populations[0], **changes), *graph.populations[1:]))


def test_a_good_graph_passes(image):
    assert verify_graph(image) is image
    verify_graph(chain((4,), [3, 2], seed=0))


def test_an_output_is_named_once(image):
    """Each output is one port, and one entry of a result."""
    with pytest.raises(GraphError, match="output 'conv' is named 2 times"):
        verify_graph(image.replace(outputs=("conv", "conv")))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vth_mant": -1}, r"conv: vth_mant must lie in 0\.\.262143, got -1"),
        ({"vth_mant": 1.5}, "vth_mant must be integers, got float64"),
        ({"i_decay_q12": 4097}, r"i_decay_q12 must lie in 0\.\.4096, got 4097"),
        ({"v_decay_q12": np.zeros(3, int)}, r"v_decay_q12 of shape \(3,\) does not fit"),
        ({"bias_mant": 2**15}, r"bias_mant must lie in -32768\.\.32767"),
        ({"bias_exp": 8}, r"bias_exp must lie in 0\.\.7"),
        ({"reset": Reset(0)}, r"reset interval must lie in 1\.\.2147483647, got 0"),
        ({"shape": (4, 3)}, r"shape must be \(x, y, channel\)"),
        ({"name": "other"}, "output 'conv' is no population"),
    ],
)
def test_bad_populations_are_named(image, changes, message):
    with pytest.raises(GraphError, match=message):
        verify_graph(with_population(image, **changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weight": np.ones((4, 3, 3))}, "4 dimensions"),
        ({"weight": np.ones((4, 3, 3, 2)) * 0.5}, "weight must be integers, got float64"),
        ({"weight": np.full((4, 3, 3, 2), 2**15)}, r"weight must lie in -32768\.\.32767"),
        ({"weight": np.ones((4, 3, 3, 1), int)}, "1 channel in each of 1 group, the source has 2"),
        ({"groups": 3}, "groups = 3 must divide"),
        ({"stride": (0, 1)}, "stride must be two integers"),
        ({"stride": (2, 1)}, r"gives shape \(2, 3, 4\), its target has \(4, 3, 4\)"),
        ({"delay_steps": 63}, r"delay_steps must lie in 0\.\.62, got 63"),
        ({"delay_steps": np.zeros(3, int)}, "one per channel"),
        ({"source": "nobody"}, "there is no source 'nobody'"),
        ({"target": "nobody"}, "there is no target population 'nobody'"),
    ],
)
def test_bad_convolutions_are_named(image, changes, message):
    with pytest.raises(GraphError, match=message):
        verify_graph(with_synapse(image, **changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weight": np.ones((3, 5), int)}, r"\(n_target, n_source\) = \(3, 4\), got \(3, 5\)"),
        ({"weight": np.full((3, 4), 256)}, r"weight must lie in -256\.\.255, got 256"),
        ({"weight_exp": -1}, r"weight_exp must lie in 0\.\.7"),
        ({"delay_steps": np.zeros(3, int)}, "one per source neuron"),
        ({"delay_steps": -1}, r"delay_steps must lie in 0\.\.62"),
    ],
)
def test_bad_dense_synapses_are_named(changes, message):
    with pytest.raises(GraphError, match=message):
        verify_graph(with_synapse(chain((4,), [3], seed=0), **changes))


def test_all_violations_come_in_one_error():
    graph = with_population(chain((4,), [3], seed=0), vth_mant=-1, i_decay_q12=5000)
    with pytest.raises(GraphError, match=r"vth_mant[\s\S]*i_decay_q12"):
        verify_graph(graph)


def test_direct_comes_from_the_input_only():
    graph = chain((3,), [3, 3], seed=0)
    with pytest.raises(GraphError, match="only the network's input may feed"):
        verify_graph(graph.replace(synapses=(graph.synapses[0], Direct("dense0", "dense1"))))


@pytest.mark.parametrize(
    ("part", "changes", "message"),
    [
        ("synapse", {"weight": [[1, 2]]}, "synapse 'input' -> 'conv': weight must be an array of integers"),
        ("synapse", {"weight": np.array(3)}, "weight must be an array of integers, got 3"),
        ("synapse", {"weight": np.zeros((4, 0, 3, 2), int)}, r"4 dimensions .*, got shape \(4, 0, 3, 2\)"),
        ("synapse", {"delay_steps": float("nan")}, "delay_steps must be integers, got float64"),
        ("synapse", {"delay_steps": "3"}, "delay_steps must be one number or an array of integers, got '3'"),
        ("synapse", {"balance_steps": np.array([3])}, r"balance_steps must be one number, got array\(\[3\]\)"),
        ("synapse", {"stride": (1, "1")}, r"stride must be two integers, got \(1, '1'\)"),
        ("synapse", {"stride": (2**15 + 1, 1)}, r"stride must be two integers \(x, y\) in 1\.\.32768, got"),
        ("synapse", {"groups": 1.0}, "groups = 1.0 must divide"),
        ("synapse", {"graded": 2}, "graded must be True or False, got 2"),
        ("synapse", {"target_channels": 3}, "target_channels must be two integers, got 3"),
        ("population", {"shape": None}, "population 'conv': shape must be a tuple of integers, got None"),
        ("population", {"name": 5}, "population 5: name must be a text, got 5"),
        ("population", {"bias_mant": np.array(["1"])}, "bias_mant must be one number or an array of integers"),
        ("population", {"reset": 8}, "population 'conv': reset must be of the kind Reset, got 8"),
        ("population", {"reset": Reset("8")}, "population 'conv': reset: interval must be one number, got '8'"),
        ("population", {"reset": Reset(2**31)}, r"reset interval must lie in 1\.\.2147483647, got 2147483648"),
        ("graph", {"populations": None}, "populations must be a tuple, got None"),
        ("graph", {"synapses": (3,)}, r"synapses\[0\] must be of the kind Synapse, got 3"),
        ("graph", {"outputs": ("conv", 3)}, "outputs must be a tuple of names"),
        ("graph", {"timing": (5, 8)}, r"timing must be of the kind Timing, got \(5, 8\)"),
        ("graph", {"timing": Timing(5, 2**31)}, "all steps must be integers of at most 2147483647"),
        ("graph", {"info": {"accuracy": 0.93}}, "info must be texts by name, got {'accuracy': 0.93}"),
        ("graph", {"input": Input("input", (6, 5, 2), (1, 0))}, "value_range must be the smallest and the largest"),
        ("graph", {"input": Input("input", (6, 5, 2), (0, 2**31))}, "value_range must lie in -2147483648"),
        ("graph", {"input": Input("input", (6, 5, 2), 255)}, "the input: value_range must be two integers, got 255"),
    ],
)
def test_what_stands_in_the_wrong_place_is_named(image, part, changes, message):
    """One error for each: some had ended in a traceback, others in a file that could not be read back."""
    change = {"synapse": with_synapse, "population": with_population, "graph": Graph.replace}[part]
    with pytest.raises(GraphError, match=message):
        verify_graph(change(image, **changes))


def test_names_are_unique_and_time_is_positive():
    graph = chain((3,), [3], seed=0)
    with pytest.raises(GraphError, match="'dense0' is used 2 times"):
        verify_graph(graph.replace(populations=graph.populations * 2))
    with pytest.raises(GraphError, match="sample_steps <= period_steps"):
        verify_graph(graph.replace(timing=Timing(5, 4)))


def test_an_input_that_goes_nowhere_is_reported():
    graph = chain((3,), [3], seed=0)
    with pytest.raises(GraphError, match="is not connected to anything"):
        verify_graph(graph.replace(synapses=()))


def test_a_model_and_a_number_are_no_graphs():
    class Model:
        state_dict = None

    with pytest.raises(InputError, match=r"got a model \(Model\); pumice\.lower makes one of it"):
        verify_graph(Model())
    with pytest.raises(InputError, match=r"a Graph is needed, got int"):
        verify_graph(3)
