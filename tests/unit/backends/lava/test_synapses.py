"""Every weight acts on Lava exactly as the graph says, or is refused."""

import numpy as np
import pytest
from lava.utils.weightutils import SignMode, clip_weights, truncate_weights

from pumice.backends.lava import GraphProcess, LavaBackend
from pumice.backends.lava.synapses import _stored, needs_binary_input
from pumice.errors import BackendError
from pumice.ir import Conv, Cuba, Direct, Graph, Input


def acting(arguments: dict) -> np.ndarray:
    """What Lava's models make of the weights in their first step."""
    mode = arguments["sign_mode"]
    return truncate_weights(clip_weights(arguments["weights"], mode, num_bits=8), mode, arguments["num_weight_bits"])


@pytest.mark.parametrize(
    ("weight", "bits", "weight_exp"),
    [
        ([[-256, 254]], 8, 0),
        ([[0, 255]], 8, 0),
        ([[-255, 0]], 8, 0),
        ([[-256, 0]], 8, 0),
        ([[-3, 101]], 8, -1),
        ([[-255, 255]], 9, 0),
        ([[0, 0]], 8, 0),
    ],
)
def test_weights_act_as_they_are(weight, bits, weight_exp):
    weight = np.array(weight)
    arguments = _stored(weight, 0, 1)
    np.testing.assert_array_equal(acting(arguments), weight * 2**-weight_exp)
    assert (arguments["num_weight_bits"], arguments["weight_exp"]) == (bits, weight_exp)
    assert isinstance(arguments["sign_mode"], SignMode)


def test_weights_are_not_doubled_where_the_sum_might_leave_32_bits():
    weight = np.array([[-3, 101]])
    assert _stored(weight, 0, 2**23)["num_weight_bits"] == 8
    assert _stored(weight, 0, 2**24)["num_weight_bits"] == 9
    assert _stored(weight, 1, 2**24) | {"weights": None} == {
        "weights": None, "weight_exp": 0, "num_weight_bits": 8, "sign_mode": SignMode.MIXED
    }  # fmt: skip


def conv_graph(weight: int, delay_steps: int, value_range: tuple[int, int] | None = None) -> Graph:
    conv = Conv("input", "a", graded=True, weight=np.full((1, 1, 1, 1), weight), delay_steps=delay_steps)
    return Graph(Input("input", (2, 2, 1), value_range), (Cuba("a", (2, 2, 1), 5),), (conv,), ("a",))


@pytest.mark.parametrize(
    ("graph", "value", "message"),
    [
        (conv_graph(2**15 - 1, 0), 2**17, r"the sum of the convolution might reach 4294836224.*2\^31"),
        (conv_graph(254, 1), 2**16, r"input -> a: .*do not wrap.*might reach 16646144.*2\^23"),
        (conv_graph(256, 1), 1, r"weights must lie in -256\.\.255, got 256\.\.256"),
    ],
)
def test_what_lava_would_compute_otherwise_is_refused(graph, value, message):
    with pytest.raises(BackendError, match=message):
        LavaBackend().run(graph, np.full((3, 2, 2, 1), value))


def test_undeclared_input_range_counts_as_24_bits():
    with pytest.raises(BackendError, match="declare the input's value_range"):
        GraphProcess(conv_graph(2, 1))
    GraphProcess(conv_graph(2, 1, (-128, 127)))


def test_needs_binary_input():
    def graph(graded: bool) -> Graph:
        direct = Direct("input", "a", graded=graded)
        return Graph(Input("input", (3,)), (Cuba("a", (3,), 5),), (direct,), ("a",))

    assert needs_binary_input(graph(False))
    assert not needs_binary_input(graph(True))
