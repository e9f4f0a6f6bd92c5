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


def test_image_files_may_have_their_random_crops_in_their_arguments():
    data = {"dataset": "image_folder", "args": {"transforms": {}}}
    assert Recipe(data=data, training={"no_augment_epochs": 2}).training.last_augmented_epoch == 22


@pytest.mark.parametrize(
    ("data", "training", "message"),
    [
        ({}, {"no_augment_epochs": 1}, "there are none"),
        (
            {"noise": 1.0},
            {"no_augment_epochs": 3, "epochs": 2, "finetune_epochs": 1},
            "leaves no epoch .* give at most 2",
        ),
        ({"noise": 1.0}, {"no_augment_epochs": -1}, "greater than or equal to 0"),
    ],
)
def test_values_that_do_not_fit_are_refused(data, training, message):
    with pytest.raises(ValueError, match=message):
        Recipe(data=data, training=training)
