import json
import os
from dataclasses import replace

import pytest
import torch

import pumice
from pumice.data import load_digits
from pumice.errors import FileFormatError, InputError, LoweringError
from pumice.quantization import is_quantized
from pumice.train import Recipe, load_checkpoint, loop, restore, total_batches, train
from pumice.train.position import Position


class StopError(Exception):
    pass


def states_equal(a, b):
    assert a.keys() == b.keys()
    for key in a:
        assert torch.equal(a[key], b[key]), key


@pytest.fixture(scope="module")
def trained(tiny_recipe, digits, tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / "checkpoint.pt"
    return train(tiny_recipe, digits, checkpoint_path=path), path


def test_the_same_seed_gives_the_same_bits(trained, tiny_recipe):
    again = train(tiny_recipe, load_digits())
    states_equal(again.model.state_dict(), trained[0].model.state_dict())
    assert again.history == trained[0].history


def test_another_seed_gives_other_weights(trained, tiny_recipe, digits):
    other = train(tiny_recipe.overridden(["seed=1", "training.epochs=1", "training.finetune_epochs=0"]), digits)
    key = "conv1.synapse.weight"
    assert not torch.equal(other.model.state_dict()[key], trained[0].model.state_dict()[key])


def test_global_random_state_is_neither_used_nor_changed(tiny_recipe, digits):
    recipe = tiny_recipe.overridden(["training.epochs=1", "training.finetune_epochs=0"])
    torch.manual_seed(5)
    before = torch.get_rng_state()
    a = train(recipe, digits)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    states_equal(train(recipe, digits).model.state_dict(), a.model.state_dict())


@pytest.mark.parametrize("epochs", [1, 2])
def test_an_interrupted_run_continues_bit_for_bit(trained, tiny_recipe, digits, tmp_path, epochs):
    path = tmp_path / "checkpoint.pt"
    seen = []

    def stop(record):
        seen.append(record)
        if len(seen) == epochs:
            raise StopError

    with pytest.raises(StopError):
        train(tiny_recipe, digits, checkpoint_path=path, on_epoch=stop)
    resumed = train(tiny_recipe, digits, resume_from=load_checkpoint(path))
    states_equal(resumed.model.state_dict(), trained[0].model.state_dict())
    assert resumed.history == trained[0].history


def test_a_checkpoint_can_be_resumed_twice(trained, tiny_recipe, digits, tmp_path):
    recipe, path, seen = tiny_recipe.overridden(["training.checkpoint_every_steps=1"]), tmp_path / "c.pt", []

    def stop():
        seen.append(1)
        if len(seen) == 2:
            raise StopError

    with pytest.raises(StopError):
        train(recipe, digits, checkpoint_path=path, on_batch=stop)
    checkpoint = load_checkpoint(path)
    assert checkpoint.position.batches == 2
    for _ in range(2):
        resumed = train(recipe, digits, resume_from=checkpoint)
        states_equal(resumed.model.state_dict(), trained[0].model.state_dict())


def test_a_run_interrupted_while_fine_tuning_continues_too(tiny_recipe, digits, tmp_path):
    recipe = tiny_recipe.overridden(["training.epochs=1", "training.finetune_epochs=2", "data.encoding=rate"])
    path = tmp_path / "checkpoint.pt"

    def stop(record):
        if record.phase == "finetune":
            raise StopError

    whole = train(recipe, digits)
    with pytest.raises(StopError):
        train(recipe, digits, checkpoint_path=path, on_epoch=stop)
    resumed = train(recipe, digits, resume_from=load_checkpoint(path))
    states_equal(resumed.model.state_dict(), whole.model.state_dict())


def test_a_finished_run_has_nothing_left_to_do(trained, tiny_recipe, digits):
    done = train(tiny_recipe, digits, resume_from=load_checkpoint(trained[1]), on_epoch=pytest.fail)
    states_equal(done.model.state_dict(), trained[0].model.state_dict())


def test_resuming_with_another_recipe_names_what_differs(trained, tiny_recipe, digits):
    recipe = tiny_recipe.overridden(["training.lr=0.5", "network.args.channels=[5]"])
    with pytest.raises(InputError, match=r"network\.args\.channels, training\.lr differ"):
        train(recipe, digits, resume_from=load_checkpoint(trained[1]))


def test_resuming_with_changes_in_another_order(trained, tiny_recipe, digits):
    settings = ["data.augment.RandomCrop.size=8", "data.augment.RandomErasing.p=0.5"]
    before = replace(load_checkpoint(trained[1]), recipe=tiny_recipe.overridden(settings))
    with pytest.raises(InputError, match=r"another recipe \(data\.augment differ\)"):
        train(tiny_recipe.overridden(settings[::-1]), digits, resume_from=before)


def test_the_history_tells_both_phases(trained):
    phases = [(record.phase, record.epoch) for record in trained[0].history]
    assert phases == [("float", 1), ("float", 2), ("finetune", 1)]
    for record in trained[0].history:
        assert list(record.firing_rates) == ["conv1", "output"]
        assert all(0 < rate < 1 for rate in record.firing_rates.values())
        assert 0 <= record.train_accuracy <= 1
    assert trained[0].accuracy_float == trained[0].history[1].test_accuracy
    assert trained[0].test_accuracy() == trained[0].history[2].test_accuracy


def test_the_number_of_threads_is_the_recipes(tiny_recipe, digits):
    recipe = tiny_recipe.overridden(["training.epochs=1", "training.finetune_epochs=0", "training.threads=3"])
    before, seen = torch.get_num_threads(), set()
    train(recipe, digits, on_batch=lambda: seen.add(torch.get_num_threads()))
    assert seen == {3}
    assert torch.get_num_threads() == before


def test_training_learns(digits):
    recipe = Recipe().overridden(
        [
            "data.max_train=320",
            "data.max_test=100",
            "data.steps=4",
            "training.epochs=6",
            "training.finetune_epochs=1",
            "network.args.channels=[8]",
            "network.args.strides=[2]",
        ]
    )
    history = train(recipe, digits).history
    assert history[-2].loss < 0.5 * history[0].loss
    assert history[-1].train_accuracy > 0.8


@pytest.mark.parametrize(
    ("loss", "arguments"),
    [
        ("spike_count", {"true_count": 3, "false_count": 0.5, "tau": 2.0}),
        ("van_rossum", {"times": [1, 2, 3], "tau": 1.0}),
        ("spike_max", {}),
        ("membrane_cross_entropy", {"beta": 2.0}),
        ("spike_rate", {"true_rate": 0.8}),
    ],
)
def test_every_loss_trains_through_both_phases(tiny_recipe, digits, loss, arguments):
    recipe = tiny_recipe.overridden(
        [
            f"training.loss={loss}",
            f"training.loss_args={json.dumps(arguments)}",
            "training.epochs=4",
            "data.validation=0.2",
            "training.weight_decay=0",
        ]
    )
    history = train(recipe, digits).history
    assert history[3].loss < history[0].loss
    assert history[3].train_accuracy > history[0].train_accuracy
    assert all(record.validation_loss > 0 for record in history)


@pytest.fixture
def gradients(monkeypatch):
    """All gradients together, at each step of the optimiser."""
    seen, step = [], torch.optim.AdamW.step

    def watch(optimizer, *args, **kwargs):
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        seen.append(torch.cat([p.grad.flatten() for p in parameters if p.grad is not None]))
        return step(optimizer, *args, **kwargs)

    monkeypatch.setattr(torch.optim.AdamW, "step", watch)
    return seen


def test_accumulated_batches_are_one_larger_batch(tiny_recipe, digits, gradients):
    """Without batch statistics; float32 sums are taken in another order."""
    recipe = tiny_recipe.overridden(["neuron.norm=none", "training.epochs=1", "training.finetune_epochs=0"])
    whole = train(recipe.overridden(["training.batch_size=96"]), digits)
    parts = train(recipe.overridden(["training.batch_size=20", "training.accumulate=5"]), digits)
    assert whole.history[0].loss == pytest.approx(parts.history[0].loss, rel=1e-6)
    assert len(gradients) == 2
    torch.testing.assert_close(gradients[1], gradients[0], rtol=0, atol=1e-5 * float(gradients[0].abs().max()))


def test_gradients_are_clipped(tiny_recipe, digits, gradients):
    train(tiny_recipe.overridden(["training.clip_norm=0.01"]), digits)
    assert max(g.norm() for g in gradients) <= 0.010001
    gradients.clear()
    train(tiny_recipe, digits)
    assert max(g.norm() for g in gradients) > 0.1


def test_delays_learn_at_their_own_rate(tiny_recipe, digits):
    def delays(rate):
        recipe = tiny_recipe.overridden(
            [
                "network.name=feedforward",
                'network.args={"layers": 16, "delay": true, "max_delay": 2}',
                f"training.delay_lr={rate}",
                "neuron.voltage_decay=0.1",
            ]
        )
        return train(recipe, digits).model.dense1.delay.delay.detach()

    fixed, learned = delays(0.0), delays(50.0)
    assert not torch.equal(fixed, learned)
    assert ((fixed >= 0) & (fixed < 1)).all()  # as drawn
    assert learned.floor().max() >= 1


def test_training_stops_early(tiny_recipe, digits):
    recipe = tiny_recipe.overridden(
        [
            "training.epochs=9",
            "data.validation=0.3",
            'training.early_stopping={"monitor": "validation_accuracy", "patience": 1, "min_delta": 1.0}',
        ]
    )
    phases = [(record.phase, record.epoch) for record in train(recipe, digits).history]
    assert phases == [("float", 1), ("float", 2), ("finetune", 1)]


def test_mixed_precision_ends_with_the_chips_integers(tiny_recipe, digits):
    trained = train(tiny_recipe.overridden(["compute.precision=bf16-mixed"]), digits)
    plain = train(tiny_recipe, digits)
    assert not torch.equal(trained.model.conv1.synapse.weight, plain.model.conv1.synapse.weight)
    pumice.lower(trained.model, trained.example)  # raises if it is not exact


def test_a_device_that_is_not_there(tiny_recipe, digits):
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    for name in ("cuda", "mps"):
        with pytest.raises(InputError, match=rf"compute\.accelerator='{name}' cannot be used: .*\['cpu'\]"):
            train(tiny_recipe.overridden([f"compute.accelerator={name}"]), digits)


def test_another_process_that_has_ended_is_one_error(tiny_recipe, digits, monkeypatch, tmp_path):
    def closed(*_):
        raise RuntimeError("[gloo/transport/tcp/pair.cc:561] Connection closed by peer [127.0.0.1]:42118. This is")

    monkeypatch.setattr("pumice.train.loop.train_epoch", closed)
    with pytest.raises(InputError, match="another process of this run has ended"):
        train(tiny_recipe, digits, checkpoint_path=tmp_path / "checkpoint.pt")
    monkeypatch.setattr("lightning_fabric.Fabric.launch", closed)
    with pytest.raises(InputError, match="another process of this run has ended"):
        train(tiny_recipe, digits)


@pytest.mark.parametrize(
    "settings",
    [["training.loss=spike_rate"], ["neuron.norm=none"], ["data.noise=2"], ["training.finetune_epochs=0"]],
    ids=str,
)
def test_other_recipes_run(tiny_recipe, digits, settings):
    trained = train(tiny_recipe.overridden([*settings, "training.epochs=1"]), digits)
    assert is_quantized(trained.model) == (trained.recipe.training.finetune_epochs > 0)


def test_a_loss_that_is_not_finite_is_an_error(tiny_recipe, digits):
    recipe = tiny_recipe.overridden(["training.loss_args.beta=1e39"])
    with pytest.raises(InputError, match=r"diverged: the loss is nan .* in float epoch 1, batch \d of 3"):
        train(recipe, digits)


def test_batches_are_counted(tiny_recipe, digits):
    calls = []
    recipe = tiny_recipe.overridden(["training.batch_size=40"])
    train(recipe, digits, on_batch=lambda: calls.append(1))
    assert len(calls) == total_batches(recipe, digits) == 9
    assert total_batches(recipe, digits, epochs_done=2) == 3


def test_a_checkpoint_needs_no_data(trained):
    restored = restore(load_checkpoint(trained[1]))
    states_equal(restored.model.state_dict(), trained[0].model.state_dict())
    assert is_quantized(restored.model)
    x = trained[0].example
    assert torch.equal(restored.example, x)
    assert torch.equal(restored.model.eval()(x), trained[0].model.eval()(x))


def test_weights_of_another_network_are_refused(trained):
    checkpoint = load_checkpoint(trained[1])
    del checkpoint.model_state["output.synapse.weight"]
    with pytest.raises(FileFormatError, match="do not fit"):
        restore(checkpoint)


def test_a_second_run_in_the_same_folder_is_told_who_writes_there(small_recipe, digits, tmp_path):
    place, refused = tmp_path / "run" / "c.pt", []

    def second():
        if not refused:
            with pytest.raises(InputError, match=f"run: is in use by process {os.getpid()} on ") as caught:
                train(small_recipe("seed=1"), digits, checkpoint_path=place)
            refused.append(caught.value)

    train(small_recipe("training.finetune_epochs=0"), digits, checkpoint_path=place, on_batch=second)
    assert refused
    assert sorted(path.name for path in place.parent.iterdir()) == ["c.pt", "epochs.csv", "steps.csv"]
    assert load_checkpoint(place).recipe.seed == 0


def test_what_a_killed_run_left_is_removed(small_recipe, digits, tmp_path):
    left, other = tmp_path / ".c.pt.host-1-2-abc.tmp", tmp_path / ".d.pt.host-1-2-abc.tmp"
    left.touch()
    other.touch()
    train(small_recipe("training.finetune_epochs=0"), digits, checkpoint_path=tmp_path / "c.pt")
    assert other.exists()
    assert not left.exists()


def test_what_cannot_be_fine_tuned_is_refused_before_the_first_epoch(tiny_recipe, digits, tmp_path):
    mixer = ["network.name=stmixer", 'network.args={"embed_dim": 8, "depth": 1, "heads": 2}']
    recipe, path, epochs = tiny_recipe.overridden([*mixer, "neuron.current_decay=0.5"]), tmp_path / "run/a.pt", []
    with pytest.raises(LoweringError, match=r"^training.finetune_epochs=\d: block '.*; or set it to 0"):
        train(recipe, digits, checkpoint_path=path, on_epoch=epochs.append)
    assert not epochs
    assert not path.parent.exists()


def test_processes_begin_alike_whatever_figures_each_computed(trained):
    """Those of a validation may differ in the last bit, on processors of two kinds."""
    first, *others = trained[0].history
    mine = loop._facts(trained[0], Position())
    other = replace(first, test_accuracy=first.test_accuracy / 2)
    assert loop._facts(replace(trained[0], history=(other, *others)), Position()) == mine
    assert loop._facts(replace(trained[0], history=tuple(others)), Position()) != mine
