import pytest

from pumice.errors import InputError
from pumice.train import Recipe
from pumice.train.cross_validate import cross_validate, fold_recipes


def test_each_fold_is_trained_on_the_rest(tiny_recipe):
    recipe = tiny_recipe.overridden(["data.folds=3", "data.max_train=64", "data.max_test=null", "training.epochs=1"])
    seen = []
    results = cross_validate(recipe, on_fold=seen.append)
    assert [result.name for result in results] == ["fold0", "fold1", "fold2"]
    assert results == seen
    assert sum(result.held_back for result in results) == 1437  # the digits' whole training split
    assert all(0 < result.accuracy_float <= 1 and result.accuracy_deployed is not None for result in results)


def test_groups_are_left_out_in_turn():
    names = [(name, fold.data.args) for name, fold in fold_recipes(Recipe(), ["ann", "bob"])]
    assert names == [("ann", {"leave_out": "ann"}), ("bob", {"leave_out": "bob"})]


@pytest.mark.parametrize(("folds", "groups"), [(None, []), (3, ["ann"])])
def test_one_kind_of_folds(folds, groups):
    with pytest.raises(InputError, match=r"either data\.folds"):
        list(fold_recipes(Recipe(data={"folds": folds}), groups))
