"""Going on with a finished run, the weights of the best epoch, and the gradient that a recipe chooses."""

import pytest
import torch

from pumice.data import load_digits
from pumice.errors import InputError
from pumice.nn import STBP, CubaNeuron
from pumice.train import EpochRecord, epoch, load_checkpoint, restore, train


@pytest.fixture(scope="module")
def recipe(small_recipe):
    """Two epochs in real numbers, then the test's own settings."""
    return lambda *more: small_recipe("training.epochs=2", "training.finetune_epochs=0", *more)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, recipe):
    train(recipe(), load_digits(), checkpoint_path=(path := tmp_path_factory.mktemp("finished") / "c.pt"))
    return load_checkpoint(path)


def equal(a, b):
    return all(torch.equal(value, b[name]) for name, value in a.items())


def test_a_finished_run_goes_on(finished, tmp_path, recipe):
    longer = recipe("training.epochs=3", "training.lr=1e-3", "training.schedule=constant")
    path = tmp_path / "c.pt"
    train(recipe(), load_digits(), checkpoint_path=path)
    more = train(longer, load_digits(), resume_from=finished, extend=True, checkpoint_path=path)
    assert [record.epoch for record in more.history] == [1, 2, 3]
    assert more.history[:2] == finished.history
    saved = load_checkpoint(path)
    assert len((tmp_path / "steps.csv").read_text().splitlines()) == 1 + 9
    assert saved.recipe == longer
    assert saved.position.steps == 9
    again = train(longer, load_digits(), resume_from=finished, extend=True)
    assert equal(again.model.state_dict(), more.model.state_dict())
    assert not equal(again.model.state_dict(), finished.model_state)


def test_fine_tuning_may_follow_later_as_if_it_had_been_asked_for_at_once(finished, recipe):
    both = recipe("training.finetune_epochs=1")
    later = train(both, load_digits(), resume_from=finished, extend=True)
    assert equal(later.model.state_dict(), train(both, load_digits()).model.state_dict())


def test_what_cannot_be_extended_says_why(finished, tmp_path, recipe):
    digits = load_digits()
    with pytest.raises(InputError, match=r"nothing is left to do: raise training.epochs or training.finetune_epochs"):
        train(recipe(), digits, resume_from=finished, extend=True)
    with pytest.raises(InputError, match=r"another recipe \(training.batch_size differ\)"):
        train(recipe("training.epochs=3", "training.batch_size=30"), digits, resume_from=finished, extend=True)
    with pytest.raises(InputError, match=r"another recipe \(training.epochs differ\); .*network.weights"):
        train(recipe("training.epochs=3"), digits, resume_from=finished)

    class StopError(Exception):
        pass

    def stop(record):
        raise StopError

    path = tmp_path / "c.pt"
    with pytest.raises(StopError):
        train(recipe(), digits, checkpoint_path=path, on_epoch=stop)
    with pytest.raises(InputError, match="the run is not finished: resume it first"):
        train(recipe("training.epochs=3"), digits, resume_from=load_checkpoint(path), extend=True)
    tuned = tmp_path / "tuned" / "c.pt"
    train(recipe("training.epochs=1", "training.finetune_epochs=1"), digits, checkpoint_path=tuned)
    wanted = recipe("training.epochs=4", "training.finetune_epochs=1")
    with pytest.raises(InputError, match=r"raise training.finetune_epochs; its network computes in integers now"):
        train(wanted, digits, resume_from=load_checkpoint(tuned), extend=True)


@pytest.fixture
def losses(monkeypatch):
    """Records whose loss is what the test says, whatever was trained."""
    told = []

    def record(phase, number, *, loss, **figures):
        return EpochRecord(phase, number, loss=told.pop(0), **figures)

    monkeypatch.setattr(epoch, "EpochRecord", record)
    return told


def states(recipe, **options):
    """The weights after each epoch, and the network in the end."""
    seen = []
    path = options["checkpoint_path"]

    def keep(record):
        seen.append(load_checkpoint(path).model_state)

    return seen, train(recipe, load_digits(), on_epoch=keep, **options)


def test_each_phase_ends_with_its_best_epoch(losses, tmp_path, recipe):
    wanted = recipe("training.keep_best=train_loss", "training.epochs=3", "training.finetune_epochs=2")
    losses += [2.0, 1.0, 3.0, 1.0, 2.0]
    path = tmp_path / "c.pt"
    seen, trained = states(wanted, checkpoint_path=path)
    kept = {name: value for name, value in seen[1].items() if name in trained.model.state_dict()}
    assert not equal(kept, seen[2])
    assert equal(load_checkpoint(path).model_state, seen[3])
    assert equal(trained.model.state_dict(), seen[3])
    assert trained.accuracy_deployed == trained.history[3].test_accuracy
    assert trained.accuracy_float == trained.history[1].test_accuracy
    assert load_checkpoint(path).best_state is None


def test_fine_tuning_begins_with_the_best_epoch(losses, tmp_path, recipe):
    """Killed in the phase before and resumed, the run ends with the same bits."""
    wanted = recipe("training.keep_best=train_loss", "training.epochs=3", "training.finetune_epochs=1")
    figures = [1.0, 2.0, 3.0, 1.0]
    losses += figures
    _, whole = states(wanted, checkpoint_path=tmp_path / "a" / "c.pt")
    losses[:] = [1.0, 1.0]
    short = recipe("training.epochs=3", "training.finetune_epochs=1")
    other = states(short.overridden(["training.epochs=1"]), checkpoint_path=tmp_path / "b" / "c.pt")[0][0]

    class StopError(Exception):
        pass

    def stop(record):
        if record.epoch == 2:
            raise StopError

    losses[:] = figures
    path = tmp_path / "c.pt"
    with pytest.raises(StopError):
        train(wanted, load_digits(), checkpoint_path=path, on_epoch=stop)
    saved = load_checkpoint(path)
    assert not equal(saved.best_state, saved.model_state)
    assert equal(restore(saved).best_state, saved.best_state)
    assert saved.best_state.keys() == other.keys()
    resumed = train(wanted, load_digits(), resume_from=saved)
    assert equal(resumed.model.state_dict(), whole.model.state_dict())


def test_the_recipe_chooses_the_gradient_of_every_neuron(tmp_path, monkeypatch, recipe):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_gradient.py").write_text(
        "from pumice import nn\nclass Mine(nn.STBP):\n    name = 'mine'\nclass No:\n    pass\n"
    )
    plain, stbp, mine = (
        train(recipe("training.epochs=1", *more), load_digits())
        for more in ((), ["neuron.gradient=stbp"], ["neuron.gradient=my_gradient:Mine"])
    )
    neurons = [module for module in stbp.model.modules() if isinstance(module, CubaNeuron)]
    assert neurons
    assert all(neuron.gradient == STBP() for neuron in neurons)
    assert equal(mine.model.state_dict(), stbp.model.state_dict())
    assert not equal(plain.model.state_dict(), stbp.model.state_dict())
    with pytest.raises(InputError, match=r"'my_gradient:No' gives a No, no pumice\.nn\.Gradient"):
        train(recipe("neuron.gradient=my_gradient:No"), load_digits())
    with pytest.raises(InputError, match="unknown gradient 'stpb'; did you mean 'stbp'"):
        recipe("neuron.gradient=stpb")


def test_an_extension_that_is_worse_ends_with_the_best_weights(losses, tmp_path, recipe):
    """Those that the run had ended with before."""
    path = tmp_path / "c.pt"
    losses += [1.0, 2.0]
    states(recipe("training.keep_best=train_loss"), checkpoint_path=path)
    best = load_checkpoint(path)
    losses[:] = [3.0, 4.0]
    longer = recipe("training.keep_best=train_loss", "training.epochs=4", "training.lr=0.5")
    more = train(longer, load_digits(), resume_from=best, extend=True, checkpoint_path=path)
    assert equal(more.model.state_dict(), best.model_state)
    assert more.accuracy_float == more.test_accuracy() == best.history[0].test_accuracy
    losses[:] = [0.5, 4.0]
    better = train(longer, load_digits(), resume_from=best, extend=True)
    assert not equal(better.model.state_dict(), best.model_state)
    assert better.accuracy_float == better.test_accuracy() == better.history[2].test_accuracy


def test_what_the_best_epoch_is_cannot_change_afterwards(finished, recipe):
    with pytest.raises(InputError, match=r"another recipe \(training.keep_best differ\)"):
        train(
            recipe("training.epochs=3", "training.keep_best=train_loss"),
            load_digits(),
            resume_from=finished,
            extend=True,
        )
