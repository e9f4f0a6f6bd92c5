"""An epoch: what its samples are."""

import pytest

from pumice.train import Recipe, train


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
