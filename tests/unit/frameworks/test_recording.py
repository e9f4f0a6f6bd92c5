import pytest
import torch
from torch import nn
from torch.nn import functional as F

from pumice.frameworks.recording import Recording


class Doubles(nn.Module):
    """A layer that writes into what it takes."""

    def forward(self, x):
        return x.mul_(2)


class Calls(nn.Module):
    """A Linear, and what a function does with what it gives."""

    def __init__(self, then):
        super().__init__()
        self.fc, self.doubles, self.then = nn.Linear(3, 3), Doubles(), then

    def forward(self, x):
        y = self.fc(x)
        return self.then(self, y), y


def recorded(then):
    model = Calls(then)
    recording = Recording(model, lambda name, module: isinstance(module, (nn.Linear, Doubles, nn.Dropout)))
    with torch.no_grad(), recording.watching():
        result, y = model(recording.enter(torch.ones(2, 3)))
    return recording, result, y


def zeroed(_, y):
    y[0] = 0
    return y


def added(_, y):
    y += y
    return y


@pytest.mark.parametrize(
    ("then", "name"),
    [
        (lambda _, y: F.relu(y, inplace=True), "relu"),
        (lambda _, y: y.relu_(), "relu_"),
        (lambda _, y: torch.add(y, 1, out=y), "add"),
        (zeroed, "__setitem__"),
        (added, "add_"),
    ],
)
def test_a_function_that_writes_into_a_layers_output_is_its_maker(then, name):
    recording, result, y = recorded(then)
    assert result is y
    made = recording.maker(y)
    assert made.function.__name__ == name
    assert {x.by for x in made.inputs} == {"fc"}
    assert not recording.calls["fc"][0][0].is_as_made


def test_a_layer_that_writes_into_its_own_input_is_its_maker():
    recording, result, _ = recorded(lambda model, y: model.doubles(y))
    made = recording.maker(result)
    assert (made.by, made.inputs[0].by) == ("doubles", "fc")


def test_what_is_behind_a_written_view_is_not_known():
    recording, _, y = recorded(lambda _, y: y[0].zero_())
    assert recording.maker(y) is None


@pytest.mark.parametrize(
    "then", [lambda _, y: F.dropout(y, training=False), lambda _, y: F.dropout(y, training=False, inplace=True)]
)
def test_what_writes_nothing_changes_no_maker(then):
    recording, result, y = recorded(then)
    assert result is y
    assert recording.maker(y).by == "fc"


def test_tensors_of_inference_mode_are_known():
    with torch.inference_mode():
        recording, result, _ = recorded(lambda _, y: y + 1)
        assert recording.maker(result).inputs[0].by == "fc"
