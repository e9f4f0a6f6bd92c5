import pytest
import torch

from pumice import nn
from pumice.errors import FileFormatError
from pumice.train import train
from pumice.train.optimizer import load_optimizer_state, make_optimizer
from pumice.train.recipe import TrainingSection

PARAMS = {"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 0.25}


@pytest.mark.parametrize(
    ("name", "kind"), [("adamw", torch.optim.AdamW), ("adam", torch.optim.Adam), ("sgd", torch.optim.SGD)]
)
def test_each_name_with_its_settings(name, kind):
    model = torch.nn.Sequential(nn.Dense(PARAMS, 3, 2, delay=True), nn.Dense(PARAMS, 2, 2))
    settings = TrainingSection(optimizer=name, lr=0.25, weight_decay=0.125, momentum=0.75, delay_lr=4.0)
    optimizer = make_optimizer(model, settings)
    assert type(optimizer) is kind
    weights, delays = optimizer.param_groups
    assert (weights["lr"], weights["weight_decay"], weights.get("momentum", 0.75)) == (0.25, 0.125, 0.75)
    assert (delays["weight_decay"], delays["lr_scale"], len(delays["params"])) == (0, 4.0, 1)
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(list(model.parameters()))


@pytest.mark.parametrize("kind", [{}, {"dynamics": "float"}])
@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_decays_that_learn_move_in_units_of_a_decay(kind, name):
    """By the learning rate with Adam, by rate and derivative with SGD; towards where the loss falls, undecayed."""
    learns = {"learns_decays": True} if kind else {"requires_grad": True}
    params = {"threshold": 100.0, "current_decay": 1.0, "voltage_decay": 0.5, **kind, **learns}
    block = nn.Merge(params, nn.IdentitySynapse(1))
    neuron = block.neuron
    settings = TrainingSection(optimizer=name, lr=0.02, weight_decay=0.5, momentum=0.0)
    optimizer = make_optimizer(block, settings)
    for group in optimizer.param_groups:
        group["lr"] *= group.get("lr_scale", 1.0)  # as `train` does
    (-neuron.dynamics(torch.full((1, 1, 2), 0.25))[1][..., -1].sum()).backward()  # v = 0.25 (2 - decay)
    optimizer.step()
    lost = 0.02 if name == "adam" else 0.02 * 0.25
    assert neuron.voltage_decay.item() / neuron.p_scale == pytest.approx(0.5 - lost, rel=1e-5)


def test_learned_decays_find_those_of_a_teacher():
    """With lava-dl's sign they go to 0 and 1."""
    params = {"threshold": 0.5, "current_decay": 0.9, "voltage_decay": 0.2, "tau_grad": 0.3, "scale_grad": 1.0}
    teacher = nn.Dense(params, 20, 30, weight_scale=3)
    learner = nn.Dense({**params, "voltage_decay": 0.7, "requires_grad": True}, 20, 30)
    learner.synapse.load_state_dict(teacher.synapse.state_dict())
    learner.synapse.requires_grad_(False)
    x = (torch.rand(16, 20, 40) < 0.3).float()
    rates = teacher(x).mean(-1).detach()
    optimizer = make_optimizer(learner, TrainingSection(optimizer="adam", lr=0.01))
    for group in optimizer.param_groups:
        group["lr"] *= group.get("lr_scale", 1.0)
    for _ in range(100):
        optimizer.zero_grad()
        (learner(x).mean(-1) - rates).square().mean().backward()
        optimizer.step()
    found = learner.neuron.cx_current_decay / 4096, learner.neuron.cx_voltage_decay / 4096
    assert found == pytest.approx((0.9, 0.2), abs=0.03)


def test_a_step_of_sgd_by_hand():
    model = torch.nn.Linear(1, 1, bias=False)
    optimizer = make_optimizer(model, TrainingSection(optimizer="sgd", lr=0.5, weight_decay=0.1, momentum=0.9))
    model.weight.data.fill_(2.0)
    for _ in range(2):
        optimizer.zero_grad()
        model(torch.ones(1, 1)).sum().backward()
        optimizer.step()
    first = 2 - 0.5 * (1 + 0.1 * 2)
    second = first - 0.5 * (0.9 * 1.2 + 1 + 0.1 * first)
    assert model.weight.item() == pytest.approx(second)


def test_the_recipe_chooses(tiny_recipe, digits):
    losses = set()
    for settings in (["adamw"], ["adam"], ["sgd"], ["sgd", "training.momentum=0"]):
        recipe = tiny_recipe.overridden(["training.optimizer=" + settings[0], *settings[1:], "training.epochs=1"])
        losses.add(train(recipe, digits).history[-1].loss)
    assert len(losses) == 4


def test_an_optimiser_of_other_groups_says_why_it_cannot_go_on():
    weight, decay = (torch.nn.Parameter(torch.ones(1)) for _ in range(2))
    before = torch.optim.Adam([weight, decay]).state_dict()
    apart = torch.optim.Adam([{"params": [weight]}, {"params": [decay]}])
    with pytest.raises(FileFormatError, match="has 1 group of parameters, the network's 2: it was written before"):
        load_optimizer_state(apart, before)
