"""An epoch: what its samples are."""

import pytest
import torch

from pumice.data import load_digits
from pumice.train import Recipe, train
from pumice.train.build import build_network
from pumice.train.epoch import _seed_of


def test_the_last_epochs_of_both_phases_together(small_recipe, digits):
    recipe = small_recipe(
        "training.epochs=2", "training.finetune_epochs=1", 'data.augment={"RandomCrop": {"size": 8, "padding": 2}}'
    )
    always, one, two = (
        [record.loss for record in train(recipe.overridden([f"training.no_augment_epochs={n}"]), digits).history]
        for n in (0, 1, 2)
    )
    assert always[:2] == one[:2]
    assert always[2] != one[2]
    assert always[0] == two[0]
    assert always[1] != two[1]


def test_of_a_run_of_few_epochs_none_changes_samples(small_recipe, digits):
    recipe = small_recipe("training.epochs=1", "training.finetune_epochs=0", "training.no_augment_epochs=3")
    plain, crops = (
        [record.loss for record in train(recipe.overridden(more), digits).history]
        for more in ([], ['data.augment={"RandomCrop": {"size": 8, "padding": 2}}'])
    )
    assert plain == crops


def test_a_negative_number_is_refused():
    with pytest.raises(ValueError, match="no_augment_epochs"):
        Recipe(training={"no_augment_epochs": -1})


def test_dropout_is_drawn_anew_in_each_epoch(small_recipe, digits):
    recipe = small_recipe("training.epochs=2", "training.finetune_epochs=2", "training.batch_size=60")
    model, draws = build_network(recipe, load_digits()), []
    model.register_forward_pre_hook(lambda *_: draws.append(torch.rand(()).item()) if model.training else None)
    train(recipe, digits, model=model)
    assert len(draws) >= 4
    assert len({*draws}) == len(draws)


def test_dropout_is_drawn_anew_in_each_process():
    """Torch's generator on the CPU takes the lower 32 bits of a seed."""
    draws = [
        torch.rand((), generator=torch.Generator().manual_seed(_seed_of(*given))).item()
        for given in [(0, 1, 0), (0, 1, 1), (0, 2, 0), (1, 1, 0)]
    ]
    assert len({*draws}) == 4
