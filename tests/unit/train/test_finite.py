import pytest
import torch
from torch.nn.utils import parametrizations

from pumice import nn
from pumice.errors import InputError
from pumice.train import check_finite, load_checkpoint, loop, train
from pumice.train.finite import FiniteCheck, first_not_finite

VALUES = pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf], ids=str)


def lif(**options):
    return {"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 0.75, **options}


def sequential(**options):
    return torch.nn.Sequential(nn.Dense(lif(**options), 20, 16), nn.Dense(lif(**options), 16, 10))


def weight_normed(model):
    parametrizations.weight_norm(model[0].synapse)
    return model


class Merging(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.merge = nn.Merge(lif(), nn.DenseSynapse(20, 8, norm=nn.TDBN(alpha=0.7)), nn.DenseSynapse(20, 8))

    def forward(self, x):
        return self.merge(x, x)


NETWORKS = {
    "0.synapse.weight": sequential,
    "1.neuron.norm.scale": lambda: sequential(norm=nn.TDBN),
    "0.neuron.norm.shift": lambda: sequential(norm=nn.TDBN),
    "0.neuron.norm.running_mean": lambda: sequential(norm=nn.TDBN),
    "1.neuron.norm.running_var": lambda: sequential(norm=nn.BiasFreeNorm),
    "0.synapse.parametrizations.weight.original0": lambda: weight_normed(sequential()),
    "0.delay.delay": lambda: torch.nn.Sequential(nn.Dense(lif(), 20, 16, delay=True)),
    "0.recurrent_synapse.weight": lambda: torch.nn.Sequential(nn.Recurrent(lif(), 20, 16)),
    "merge.synapses.1.weight": Merging,
    "merge.synapses.0.norm.scale": Merging,
}


@VALUES
@pytest.mark.parametrize("name", NETWORKS)
def test_one_number_that_is_not_finite_is_found_by_name(name, value):
    model = NETWORKS[name]()
    model(torch.rand(4, 20, 6))
    check_finite(model)
    {**dict(model.named_parameters()), **dict(model.named_buffers())}[name].data.view(-1)[-1] = value
    with pytest.raises(InputError, match=rf"the {name} is {value}; use a smaller learning rate"):
        check_finite(model)


@VALUES
def test_gradients_are_looked_at_too(value):
    model = sequential()
    model(torch.rand(4, 20, 6)).sum().backward()
    check_finite(model)
    model[1].synapse.weight.grad.view(-1)[3] = value
    with pytest.raises(InputError, match=rf"the gradient of 1\.synapse\.weight is {value}"):
        check_finite(model)


def test_what_cannot_be_squared_is_no_gradient():
    """Adam's second moment would be infinite, and its step 0 for ever."""
    model = torch.nn.Linear(2, 1)
    model.weight.grad = torch.tensor([[0.0, 1e20]])
    assert FiniteCheck(model).gradients() == "gradient of weight is as large as 1.0e+20"


def test_whole_numbers_and_nothing_are_finite():
    assert first_not_finite([]) is None
    assert first_not_finite([("n", torch.tensor([3])), ("x", torch.zeros(0))]) is None


def test_states_that_no_checkpoint_keeps_are_not_looked_at():
    model = torch.nn.Module()
    model.register_buffer("state", torch.tensor([torch.nan]), persistent=False)
    assert FiniteCheck(model).weights() is None


def test_a_weight_that_becomes_nan_stops_training_and_keeps_the_checkpoint(
    tiny_recipe, digits, tmp_path, monkeypatch
):
    seen, step = [], torch.optim.AdamW.step

    def spoiled(optimizer, *args, **kwargs):
        result = step(optimizer, *args, **kwargs)
        seen.append(1)
        if len(seen) == 5:  # of three in each epoch
            next(p for p in optimizer.param_groups[0]["params"] if p.ndim > 1).data.view(-1)[0] = torch.nan
        return result

    monkeypatch.setattr(torch.optim.AdamW, "step", spoiled)
    path = tmp_path / "c.pt"
    message = r"diverged: conv1\.synapse\.weight is nan in float epoch 2, batch 2 of 3, step 5; use a smaller"
    with pytest.raises(InputError, match=message):
        train(tiny_recipe.overridden(["training.checkpoint_every_steps=1"]), digits, checkpoint_path=path)
    assert load_checkpoint(path).position.steps == 4  # it refuses what is not finite


@pytest.mark.parametrize("settings", [[], ["training.clip_norm=1"]], ids=str)
def test_a_gradient_that_is_nan_stops_training_before_the_step(tiny_recipe, digits, tmp_path, monkeypatch, settings):
    make, calls, weights = loop.make_optimizer, [], []

    def spoiling(model, training):
        def spoil(grad):
            calls.append(1)
            return grad * torch.nan if len(calls) == 2 else grad

        weights.append(model.output.synapse.weight)
        weights[0].register_hook(spoil)
        return make(model, training)

    monkeypatch.setattr(loop, "make_optimizer", spoiling)
    path, recipe = tmp_path / "c.pt", tiny_recipe.overridden(["training.checkpoint_every_steps=1", *settings])
    message = r"the gradient of output\.synapse\.weight is nan in float epoch 1, batch 2 of 3, step 2"
    with pytest.raises(InputError, match=message):
        train(recipe, digits, checkpoint_path=path)
    assert torch.equal(load_checkpoint(path).model_state["output.synapse.weight"], weights[0].detach())


@pytest.mark.parametrize(
    "settings",
    [
        ["training.lr=1e10"],
        ["training.lr=1e10", "neuron.norm=none"],
        ["training.lr=1e10", "training.clip_norm=1"],
        ["training.lr=1e10", "training.optimizer=sgd"],
        ["training.finetune_lr=1e10"],
        ["training.lr=1e10", "training.loss=spike_rate"],
    ],
    ids=str,
)
def test_a_learning_rate_far_too_large_ends_in_an_error(tiny_recipe, digits, settings):
    with pytest.raises(InputError, match=r"diverged: .* in (float|finetune) epoch 1, batch \d of 3, step \d"):
        train(tiny_recipe.overridden(settings), digits)
