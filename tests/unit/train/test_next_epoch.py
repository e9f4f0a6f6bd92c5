from pumice.train import EpochRecord, Recipe
from pumice.train.next_epoch import kept_record, next_epoch, stops_early


def epochs(losses, phase="float", **more):
    return [EpochRecord(phase, k, loss, 0.5, 0.5, {}, **more) for k, loss in enumerate(losses, start=1)]


def run_through(recipe, loss_of):
    history = []
    while (following := next_epoch(recipe, history)) is not None:
        history.append(EpochRecord(*following, loss_of(len(history)), 0.5, 0.5, {}))
    return [(record.phase, record.epoch) for record in history]


def test_all_epochs_of_both_phases():
    recipe = Recipe(training={"epochs": 2, "finetune_epochs": 2})
    assert run_through(recipe, lambda k: 1.0) == [("float", 1), ("float", 2), ("finetune", 1), ("finetune", 2)]


def test_stopping_early_goes_on_to_fine_tuning():
    recipe = Recipe(training={"epochs": 9, "finetune_epochs": 1, "early_stopping": {"patience": 2}})
    assert run_through(recipe, lambda k: [5.0, 3.0, 3.5, 3.1, 1.0][k])[-2:] == [("float", 4), ("finetune", 1)]
    assert len(run_through(recipe, lambda k: 10.0 - k)) == 10  # it improves all the time


def test_small_improvements_do_not_count():
    recipe = Recipe(training={"early_stopping": {"patience": 2, "min_delta": 0.5}})
    assert stops_early(recipe, epochs([3.0, 2.8, 2.7]))
    assert not stops_early(recipe, epochs([3.0, 2.8, 2.4]))


def test_validation_is_what_is_asked_for():
    def recipe(monitor):
        return Recipe(data={"validation": 0.1}, training={"early_stopping": {"monitor": monitor, "patience": 1}})

    history = [
        EpochRecord("float", 1, 2.0, 0.5, 0.5, {}, validation_loss=1.0, validation_accuracy=0.5),
        EpochRecord("float", 2, 1.0, 0.5, 0.5, {}, validation_loss=0.9, validation_accuracy=0.4),
    ]
    verdicts = [stops_early(recipe(m), history) for m in ("train_loss", "validation_loss", "validation_accuracy")]
    assert verdicts == [False, False, True]


def test_without_a_rule_nothing_stops():
    assert not stops_early(Recipe(), epochs([1.0, 2.0, 3.0] * 5))


def test_the_best_epoch_is_the_first_of_the_best():
    recipe = Recipe(data={"validation": 0.1}, training={"keep_best": "validation_accuracy"})
    history = [
        EpochRecord("float", k, 1.0, 0.5, 0.5, {}, validation_loss=1.0, validation_accuracy=accuracy)
        for k, accuracy in enumerate([0.5, 0.75, 0.75, 0.7], start=1)
    ]
    assert kept_record(recipe, history, "float").epoch == 2
    assert kept_record(Recipe(), history, "float").epoch == 4
    assert kept_record(recipe, history, "finetune") is None
