from dataclasses import replace

import pytest
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

import pumice
from pumice.errors import FileFormatError, InputError
from pumice.pipeline.lowered import lower_trained
from pumice.train import Recipe, load_checkpoint, loop, restore, save_checkpoint, train
from pumice.train.averaging import WeightAverage


def network():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))


def step(model):
    model(torch.randn(8, 3))
    for parameter in model.parameters():
        parameter.data += torch.randn_like(parameter)


def test_follows_as_torchs_own_averages_do():
    model, decay = network(), 0.9
    wanted = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
    wanted.update_parameters(model)  # begins as the weights
    average = WeightAverage(model, decay, steps=1000)
    for _ in range(5):
        step(model)
        average.update()
        wanted.update_parameters(model)
    state = average.state_dict()
    for name, tensor in wanted.module.state_dict().items():
        assert name == "1.num_batches_tracked" or torch.equal(state[name], tensor)
    assert not torch.equal(state["0.weight"], model[0].weight)
    assert average.steps == 1005


def test_the_first_steps_forget_faster():
    model = network()
    average = WeightAverage(model, 0.9999)
    model[0].weight.data.fill_(1.0)
    for _ in range(100):
        average.update()
    assert torch.allclose(average.state_dict()["0.weight"], torch.ones(4, 3), atol=1e-3)


def test_takes_the_weights_place_for_a_while():
    model = network()
    average = WeightAverage(model, 0.9)
    step(model)
    average.update()
    before, averages = {k: t.clone() for k, t in model.state_dict().items()}, average.state_dict()
    places = [t.data_ptr() for t in model.state_dict().values()]
    with average.in_place():
        assert all(torch.equal(t, averages[k]) for k, t in model.state_dict().items())
        assert [t.data_ptr() for t in model.state_dict().values()] == places  # as CUDA graphs want it
    assert all(torch.equal(t, before[k]) for k, t in model.state_dict().items())
    assert [t.data_ptr() for t in model.state_dict().values()] == places


def test_tied_weights_have_one_average():
    model = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 3))
    model[1].weight = model[0].weight
    average = WeightAverage(model, 0.5)
    model[0].weight.data += 1
    average.update()
    state = average.state_dict()
    assert torch.equal(state["0.weight"], state["1.weight"])
    assert not torch.equal(state["0.weight"], model[0].weight)


def test_a_statistic_of_another_shape_is_refused():
    model = network()
    average = WeightAverage(model, 0.5)
    model[1].running_mean = torch.zeros(7)
    with pytest.raises(InputError, match=r"'1.running_mean' of the network changes its shape, from \(4,\) to \(7,\)"):
        average.update()


@pytest.mark.parametrize("decay", [0, 1, 1.5, -0.1])
def test_a_decay_that_is_none_is_refused(decay):
    with pytest.raises(ValueError, match=r"training.ema"):
        Recipe(training={"ema": decay})


SETTINGS = ("training.epochs=2", "training.ema=0.9", "training.lr=0.05")


def test_what_is_tested_kept_and_lowered_is_the_average(small_recipe, digits, tmp_path):
    path = tmp_path / "checkpoint.pt"
    seen = []

    def on_epoch(record):
        checkpoint = load_checkpoint(path)
        seen.append(checkpoint)
        assert restore(checkpoint, digits).test_accuracy() == record.test_accuracy

    trained = train(small_recipe(*SETTINGS), digits, checkpoint_path=path, on_epoch=on_epoch)
    between, done = seen[0], seen[-1]
    assert any(not torch.equal(tensor, between.learning.state[key]) for key, tensor in between.model_state.items())
    assert between.learning.steps == between.position.steps == 3
    assert seen[1].learning.steps == 6
    assert done.learning is None
    assert done.is_deployed
    assert all(torch.equal(tensor, trained.model.state_dict()[key]) for key, tensor in done.model_state.items())
    graph = lower_trained(trained)
    pumice.verify(graph, backends=("reference", "fast"))
    plain = train(small_recipe(*SETTINGS, "training.ema=null"), digits)
    assert any(not torch.equal(t, plain.model.state_dict()[key]) for key, t in trained.model.state_dict().items())


def test_the_best_epochs_average_is_kept(small_recipe, digits, tmp_path, monkeypatch):
    path, states = tmp_path / "checkpoint.pt", []
    monkeypatch.setattr(loop, "kept_record", lambda _recipe, history, _phase: history[0])  # the first is the best
    trained = train(
        small_recipe(*SETTINGS, "training.keep_best=train_loss", "training.finetune_epochs=0"),
        digits,
        checkpoint_path=path,
        on_epoch=lambda _: states.append(load_checkpoint(path).model_state),
    )
    assert len(states) == 2
    assert all(torch.equal(tensor, states[0][key]) for key, tensor in trained.model.state_dict().items())


def test_a_finished_run_goes_on_from_its_average(small_recipe, digits, tmp_path):
    path = tmp_path / "checkpoint.pt"
    settings = (*SETTINGS, "training.finetune_epochs=0")
    train(small_recipe(*settings), digits, checkpoint_path=path)
    more = small_recipe(*settings, "training.epochs=3")
    trained = train(more, digits, checkpoint_path=path, resume_from=load_checkpoint(path), extend=True)
    assert [record.epoch for record in trained.history] == [1, 2, 3]


@pytest.mark.parametrize("damage", [{"steps": -1}, {"steps": "3"}, {"state": None}])
def test_a_damaged_checkpoint_is_refused(small_recipe, digits, tmp_path, damage):
    path = tmp_path / "checkpoint.pt"
    kept = []
    train(
        small_recipe(*SETTINGS), digits, checkpoint_path=path, on_epoch=lambda _: kept.append(load_checkpoint(path))
    )
    save_checkpoint(replace(kept[0], learning=kept[0].learning._replace(**damage)), path)
    with pytest.raises(FileFormatError, match="the checkpoint is damaged"):
        load_checkpoint(path)
