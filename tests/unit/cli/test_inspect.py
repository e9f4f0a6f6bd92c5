import json

import numpy as np
import pytest

from pumice.cli.summary import summarize
from pumice.ir import (
    Accumulator,
    Conv,
    Cuba,
    Delta,
    Dense,
    Direct,
    Graph,
    Input,
    OneToOne,
    Resonator,
    Sparse,
    Timing,
    with_reset_schedule,
)
from pumice.netx import save


def test_table(command, graph, tmp_path):
    save(with_reset_schedule(graph, 8, 1).replace(timing=Timing(5, 8)), tmp_path / "a.net")
    code, out, err = command("inspect a.net")
    assert (code, err) == (0, "")
    for text in (
        "dense1",
        "8@2",
        "input -> dense0",
        "outputs: dense1; latency 2 steps",
        "5 neurons, 18 parameters; 18 bytes of weights (8 bits each), 30 bytes of state",
        "a sample takes 5 steps, one every 8 steps",
        "certificate of 6 steps",
        "data: none",
    ):
        assert text in out


def test_json(command, net, graph):
    code, out, _ = command("inspect a.net --json")
    assert code == 0
    found = json.loads(out)
    assert found == json.loads(json.dumps(summarize(graph)))
    assert found["totals"] == {"neurons": 5, "parameters": 18, "weight_bytes": 18, "state_bytes": 30}
    assert [p["name"] for p in found["populations"]] == ["dense0", "dense1"]


def test_outputs_of_other_latency_are_told_apart(command, graph, tmp_path):
    save(graph.replace(outputs=("dense0", "dense1"), certificate=None), tmp_path / "a.net")
    assert "outputs: dense0, dense1; latency 1, 2 steps\n" in command("inspect a.net")[1]


@pytest.mark.parametrize("use", ["inspect", "plan"])
def test_a_shape_beside_the_one_that_the_file_states_is_refused(command, refused, net, use):
    assert "a.net: states its input's shape, 4, so it cannot be 2,2,1; leave out --input-shape" in refused(
        f"{use} a.net --input-shape 2,2,1"
    )
    assert command(f"{use} a.net --input-shape 4")[0] == 0


def test_names_are_not_markup(command, graph, tmp_path):
    save(graph.replace(info={"[red]note": "[/red]"}), tmp_path / "a.net")
    assert "[red]note: [/red]" in command("inspect a.net")[1]


def test_summary_of_a_convolution():
    conv = Conv("in", "a", weight=np.full((2, 2, 3, 1), 4), stride=(2, 1))
    found = summarize(Graph(Input("in", (4, 3, 1)), (Cuba("a", (2, 1, 2), vth_mant=3),), (conv,), outputs=("a",)))
    assert found["synapses"][0]["stride"] == (2, 1)
    assert found["synapses"][0]["weight_range"] == 4


def test_every_kind_is_shown(command, tmp_path):
    populations = (
        Delta("a", (3,), 5),
        Resonator("b", (2,), 7, np.array([1, 9]), -4),
        Cuba("clock", (1,), 6, bias_mant=5),
        Accumulator("c", (4,)),
    )
    synapses = (
        Direct("in", "a", graded=True),
        Dense("a", "b", weight=np.ones((2, 3), int), part="imag"),
        Sparse("b", "c", rows=np.arange(2), columns=np.arange(2), values=np.array([6, -6]), target_channels=(1, 3)),
        OneToOne("b", "c", weight=4, delay_steps=9, balance_steps=0, target_channels=(2, 4)),
    )
    graph = Graph(Input("in", (3,)), populations, synapses, ("c",))
    save(graph, tmp_path / "a.net")
    code, out, _ = command("inspect a.net")
    assert code == 0
    for text in (
        "delta",
        "vth 5, spike_exp 6",
        "sin_decay 1..9, cos_decay -4",
        "a -> b imag",
        "b -> c 1:3",
        "one_to_one",
        "-6..6",
    ):
        assert text in out
    found = summarize(graph)
    assert [p["kind"] for p in found["populations"]] == ["delta", "resonator", "cuba", "accumulator"]
    assert [p["latency_steps"] for p in found["populations"]] == [0, 1, None, 2]
    assert found["totals"]["state_bytes"] == 3 * (3 * 3 + 2 * 2 + 2 * 1 + 2 * 4)


def test_files_without_input_shape(command, refused, tmp_path):
    import h5py

    with h5py.File(tmp_path / "a.net", "w") as file:
        fields = {"type": "conv", "shape": [1, 2, 2], "weight": np.ones((1, 1, 2, 2)), "groups": 1}
        fields |= {"stride": 1, "padding": 0, "dilation": 1, "neuron/type": "CUBA", "neuron/vThMant": 9}
        for name, value in {**fields, "neuron/iDecay": 1, "neuron/vDecay": 1}.items():
            file[f"layer/0/{name}"] = value
    assert "does not state the input's shape" in refused("inspect a.net")
    assert "--input-shape must be like 28,28,1" in refused("inspect a.net --input-shape 3x3")
    assert command("inspect a.net --input-shape 3,3,1")[0] == 0


@pytest.mark.parametrize("line", ["inspect none.net", "inspect ."])
def test_bad_files(refused, line):
    assert refused(line)


def test_as_stock_runs_what_training_refuses(command, tmp_path, write_net):
    """A delay of 125, which stock clamps: the message names the option, and it is there."""
    neuron = {"type": "CUBA", "iDecay": 1024, "vDecay": 128, "vThMant": 60}
    layer = {"type": np.array([b"dense"]), "shape": [3], "weight": np.full((3, 4), 20.0), "neuron": neuron}
    write_net(tmp_path / "a.net", {**layer, "delay": [125, 0, 0]})
    code, _, err = command("inspect a.net")
    assert code == 2
    assert "--as-stock clamps them to 62" in err
    code, out, _ = command("inspect a.net --as-stock")
    assert code == 0
    assert "layer0" in out
