import math

import pytest

from pumice.errors import InputError
from pumice.train import PRESETS, Recipe
from pumice.train.learning_rate import learning_rate
from pumice.train.schedules import SCHEDULES


def test_warm_up_and_cosine():
    recipe = Recipe(training={"epochs": 10, "lr": 2.0, "warmup_epochs": 2, "finetune_lr": 0.5})
    assert learning_rate(recipe, "float", 0.0, 0.5) == pytest.approx(2.0 * 0.25)
    assert learning_rate(recipe, "float", 5.0, 0.5) == pytest.approx(1.0)
    assert learning_rate(recipe, "finetune", 0.0, 0.5) == 0.5


@pytest.mark.parametrize("name", [name for name, recipe in PRESETS.items() if recipe.training.warmup_epochs])
def test_the_warm_up_of_each_preset_begins_above_0(name):
    """With its first batch; of an epoch of 400, those of the warm-up have on average half of what it ends with."""
    recipe, step = PRESETS[name], 1 / 400
    epochs = min(1.0, recipe.training.warmup_epochs)
    first = [learning_rate(recipe, "float", k * step, step) for k in range(round(400 * epochs))]
    once = recipe.training.lr / recipe.training.warmup_epochs
    assert first[0] == pytest.approx(once * step, rel=1e-3)
    assert sum(first) / len(first) == pytest.approx(once * epochs / 2, rel=0.01)


def rates(**training):
    recipe = Recipe(training={"epochs": 4, "lr": 0.5, **training})
    return [learning_rate(recipe, "float", done, 0.5) for done in (0, 1, 2, 3)]


def test_each_schedule_is_its_equation():
    expected = {
        "constant": [0.5] * 4,
        "cosine": [0.25 * (1 + math.cos(math.pi * k / 4)) for k in range(4)],
        "linear": [0.5, 0.375, 0.25, 0.125],
        "exponential": [0.5 * 0.01 ** (k / 4) for k in range(4)],
        "step": [0.5, 0.5, 0.05, 0.005],
    }
    assert expected.keys() == SCHEDULES.keys()
    for name, values in expected.items():
        assert rates(schedule=name) == pytest.approx(values), name
    assert rates(schedule="linear", schedule_args={"last": 0.5}) == pytest.approx([0.5, 0.4375, 0.375, 0.3125])


def test_the_cosine_is_bit_for_bit_what_it_was():
    for epochs in (3, 7, 20):
        recipe = Recipe(training={"epochs": epochs, "lr": 0.013})
        for k in range(50):
            done = epochs * k / 50
            assert learning_rate(recipe, "float", done, 0.1) == 0.013 * (1 + math.cos(math.pi * done / epochs)) / 2


def test_a_schedule_of_ones_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_schedule.py").write_text("def halves(done, epochs, by=2):\n    return by ** -done\n")
    assert rates(schedule="my_schedule:halves", schedule_args={"by": 4}) == [0.5, 0.125, 0.03125, 0.0078125]


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ({"schedule": "linear", "schedule_args": {"first": 1}}, "takes no argument first; its arguments are: last"),
        ({"schedule": "linear", "schedule_args": {"last": -9.0}}, "gives .*, and must give a number >= 0"),
    ],
)
def test_what_is_no_schedule_is_refused(training, message):
    with pytest.raises(InputError, match=message):
        rates(**training)
