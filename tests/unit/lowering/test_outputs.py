"""The graph answers what the model returns, in its order."""

import numpy as np
import pytest
import torch

import pumice
from pumice import ir, nn
from pumice.errors import LoweringError, PumiceWarning
from pumice.quantization import is_quantized
from pumice.testing import check_exact

LIF = {"threshold": 0.5, "current_decay": 0.3, "voltage_decay": 0.1}


class Heads(torch.nn.Module):
    def __init__(self, answer):
        super().__init__()
        self.body, self.answer = nn.Dense(LIF, 6, 12, weight_scale=4), answer
        self.aux, self.deep = (nn.Dense(LIF, 12, 3, weight_scale=4) for _ in range(2))
        self.main = nn.Dense(LIF, 3, 3, weight_scale=6)

    def forward(self, x):
        h = self.body(x)
        aux = self.aux(h)
        return self.answer(h, aux, self.main(self.deep(h)))


ORDERS = {
    "main first": (lambda h, aux, main: (main, aux), ("main", "aux")),
    "aux first": (lambda h, aux, main: (aux, main), ("aux", "main")),
    "hidden too": (lambda h, aux, main: [main, {"hidden": h}, aux], ("main", "body", "aux")),
    "hidden first": (lambda h, aux, main: (h, main, aux), ("body", "main", "aux")),
    "twice": (lambda h, aux, main: (main, main, aux), ("main", "aux")),
    "named": (lambda h, aux, main: {"class": main, "early": aux}, ("main", "aux")),
}


def answers(graph, x):
    """For each output its spikes, of every sample streamed back to back."""
    stream = ir.to_stream(graph, ir.torch_to_lava(x.numpy()).astype(int))
    steps = ir.latencies(graph)
    found = pumice.run(graph, stream).outputs
    return {name: ir.from_stream(graph, spikes, len(x), latency=steps[name]) for name, spikes in found.items()}


def tensors(returned):
    if isinstance(returned, torch.Tensor):
        return [returned]
    parts = returned.values() if isinstance(returned, dict) else returned
    return [tensor for part in parts for tensor in tensors(part)]


@pytest.fixture
def x():
    torch.manual_seed(0)
    return (torch.rand(4, 6, 20) > 0.5).float()


@pytest.mark.parametrize("order", ORDERS)
def test_outputs_are_what_the_model_returns_in_its_order(order, x, tmp_path):
    answer, names = ORDERS[order]
    model = Heads(answer)
    graph = pumice.lower(model, x)
    assert graph.outputs == names
    pumice.save(graph, tmp_path / "heads.net")
    returned = {id(t): t for t in tensors(model(x))}
    for made in (graph, pumice.load(tmp_path / "heads.net")):
        got = answers(made, x)
        assert tuple(got) == names
        for spikes, tensor in zip(got.values(), returned.values(), strict=True):
            assert np.array_equal(spikes, ir.torch_to_lava(tensor.detach().numpy()))


def test_keys_of_a_dictionary_are_the_names_of_outputs(x):
    graph = pumice.lower(Heads(ORDERS["named"][0]), x)
    assert graph.info["outputs"] == "class, early"


def test_a_head_that_is_not_returned_is_left_out_with_a_notice(x):
    with pytest.warns(PumiceWarning, match=r"calls 'aux' .* left out of the graph; .*keep=\('aux',\)"):
        graph = pumice.lower(Heads(lambda h, aux, main: main), x)
    assert graph.outputs == ("main",)
    assert "aux" not in {p.name for p in graph.populations}


def test_a_head_is_kept_by_name(x):
    graph = pumice.lower(Heads(lambda h, aux, main: main), x, keep=("aux",))
    assert graph.outputs == ("main", "aux")


def test_an_unknown_name_is_not_kept(x):
    model = Heads(lambda h, aux, main: main)
    with pytest.raises(LoweringError, match=r"keep names 'auxiliary', .* there are: body, aux, deep, main"):
        pumice.lower(model, x, keep=("auxiliary",))
    assert not is_quantized(model)


def test_zero_gain_in_a_residual_branch_is_lowered(lowered_equals_model):
    params = {"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 0.25, "norm": nn.TDBN}
    torch.manual_seed(0)
    x = (torch.rand(4, 1, 4, 4, 8) > 0.5).float()
    model = torch.nn.Sequential(
        nn.Conv(params, 1, 4, 3, padding=1), nn.ResidualBlock(params, 4, 4), nn.Flatten(), nn.Dense(params, 64, 3)
    )
    model(x)
    with torch.no_grad():
        model[1].sum.synapses[0].norm.scale.zero_()
        model[1].sum.synapses[1].norm.shift += 0.5
    lowered_equals_model(model, x)


class Returned(torch.nn.Module):
    """Returns what is only the shape of something else."""

    def __init__(self, what):
        super().__init__()
        self.what, self.flatten = what, nn.Flatten()
        self.conv = nn.Conv(LIF, 1, 2, 3, weight_scale=4)

    def forward(self, x):
        y = self.conv(x)
        flat = self.flatten(x if self.what.startswith("input") else y)
        return {"input first": (flat, y), "input": (y, flat), "twice": {"a": y, "b": flat}}[self.what]


def test_a_flattened_input_is_no_output():
    x = (torch.rand(2, 1, 4, 4, 6) < 0.5).float()
    with pytest.raises(LoweringError, match="the model returns its input"):
        pumice.lower(Returned("input first"), x)
    with pytest.warns(PumiceWarning, match="what the model returns beside its blocks' outputs is not lowered"):
        graph = pumice.lower(Returned("input"), x)
    assert graph.outputs == ("conv",)


def test_an_output_and_its_flattened_form_are_one():
    model, x = Returned("twice"), (torch.rand(2, 1, 4, 4, 6) < 0.5).float()
    graph = pumice.lower(model, x)
    assert graph.outputs == ("conv",)
    assert graph.info["outputs"] == "a"
    assert check_exact(model, graph, x) > 0
