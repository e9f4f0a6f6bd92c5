"""What each kind of loss reads of each kind of network."""

import pytest
import torch

from pumice import nn
from pumice.errors import InputError
from pumice.models import build_model
from pumice.train.answer import answers_in_numbers, watch_answer
from pumice.train.losses import make_loss

LIF = {"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 0.5}


@pytest.fixture
def x():
    return torch.randint(0, 9, (4, 1, 8, 8, 2)).float()


def test_the_membrane_of_neurons_or_the_numbers_of_a_read_out(x):
    loss = make_loss("membrane_cross_entropy")
    for readout in ("spikes", "membrane"):
        model = build_model(
            "resnet", {**LIF, "norm": nn.TDBN}, (1, 8, 8), 5, layers=18, width=1 / 16, readout=readout
        )
        assert answers_in_numbers(model) is (readout == "membrane")
        with watch_answer(model, loss) as answer_of:
            output = model(x)
            answer = answer_of(output)
        assert answer.shape == (4, 5, 2)
        assert torch.equal(answer, output) is (readout == "membrane")


def test_surrogate_modules_answer_with_each_output(x):
    model = build_model("stmixer", LIF, (1, 8, 8), 5, embed_dim=16, depth=2, heads=2, surrogates=True)
    with watch_answer(model, make_loss("surrogate_module")) as answer_of:
        for _ in range(2):
            output, surrogates = answer_of(model(x))
            assert (output.shape, [z.shape for z in surrogates]) == ((4, 5, 2), [(4, 5)])
        assert answer_of(model.eval()(x))[1] == []


def test_other_losses_read_the_output_itself(x):
    model = build_model("stmixer", LIF, (1, 8, 8), 5, embed_dim=16, depth=1, heads=2)
    with watch_answer(model, make_loss("spike_count_cross_entropy")) as answer_of:
        output = model(x)
        assert answer_of(output) is output


def test_a_loss_of_shares_of_spikes_is_refused_where_numbers_are_answered(x):
    model = build_model("stmixer", LIF, (1, 8, 8), 5, embed_dim=16, depth=1, heads=2)
    with (
        pytest.raises(InputError, match=r'SpikeMaxLoss is defined for spikes, .*loss_args.mode = "softmax"'),
        watch_answer(model, make_loss("spike_max")),
    ):
        pass
    with watch_answer(model, make_loss("spike_max", mode="softmax")) as answer_of:
        assert make_loss("spike_max", mode="softmax")(answer_of(model(x)), torch.arange(4)).isfinite()
