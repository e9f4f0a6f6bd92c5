"""Numbers as answers: regression of samples and of sequences, from the data to `pumice evaluate`."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

import pumice
from pumice.cli import main
from pumice.data import ImageDataset, Split, load_digits, load_folder
from pumice.errors import InputError
from pumice.pipeline import lower_trained
from pumice.pipeline.lowered import encoded_test
from pumice.train import PRESETS, MeanSquaredErrorLoss, load_checkpoint, restore, train
from pumice.train.score import score_sum

NETWORK = """
import torch
from pumice import nn

def make(neuron_params, image_shape, n_classes):
    n = image_shape[0] * image_shape[1] * image_shape[2]
    neuron_params = {name: value for name, value in neuron_params.items() if name != "norm"}
    return torch.nn.Sequential(nn.Flatten(), nn.Dense(neuron_params, n, 32, weight_scale=2),
                               nn.LeakyReadout(32, n_classes, voltage_decay=0.5))
"""
SETTINGS = [
    *("network.name=number_net:make", "network.args={}"),
    *("neuron.norm=none", "neuron.surrogate=arctan", "neuron.voltage_decay=0.5"),
    *("data.steps=6", "data.max_train=200", "data.max_test=60", "data.validation=0.1"),
    *("training.epochs=6", "training.finetune_epochs=1", "training.batch_size=20", "training.lr=0.01"),
    *("training.weight_decay=0.0", "training.loss=mean_squared_error"),
]


def ink(images):
    """How much ink there is in the upper and in the lower half of an image, against the usual."""
    return 4 * (images.reshape(len(images), 2, -1).mean(-1).astype(np.float32) / 16 - 0.3)


@pytest.fixture(scope="module")
def inked():
    """The bundled digits, with their ink as targets."""
    digits = load_digits()
    return ImageDataset("ink", *(Split(s.images, ink(s.images)) for s in (digits.train, digits.test)),
                        ("upper", "lower"), (0, 16))  # fmt: skip


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "number_net", raising=False)
    (tmp_path / "number_net.py").write_text(NETWORK)
    return tmp_path


def test_numbers_are_trained_lowered_and_evaluated_alike(inked, here):
    recipe = PRESETS["digits"].overridden(SETTINGS)
    path = here / "c.pt"
    trained = train(recipe, inked, checkpoint_path=path)
    first, last = trained.history[0], trained.history[-1]
    spread = float(inked.test.labels[:60].std(0).mean())
    assert last.test_error < first.test_error
    assert last.test_error < 0.8 * spread  # better than always saying the mean
    assert last.train_accuracy is last.test_accuracy is None
    assert last.validation_error is not None
    assert trained.error_deployed == last.test_error
    with pytest.raises(InputError, match="there is no accuracy"):
        _ = trained.accuracy_float
    header = (here / "epochs.csv").read_text().splitlines()[0]
    assert "train_error,test_error,validation_error" in header
    again = restore(load_checkpoint(path), inked)
    assert again.test_score() == {"test_error": last.test_error}
    graph = lower_trained(trained)
    assert graph.info["error_deployed"] == f"{last.test_error:.6g}"
    targets = trained.dataset.test.labels
    result = pumice.evaluate(graph, zip(encoded_test(trained), targets, strict=True), check={"reference": 2})
    assert result.error == pytest.approx(last.test_error, rel=1e-6)
    x = torch.tensor(trained.encoder.encode(trained.dataset.test.samples, np.random.default_rng(0))).float()
    expected = trained.model(x).detach().double().mean(-1)
    np.testing.assert_allclose(result.predictions, expected, rtol=1e-6, atol=1e-9)
    with pytest.raises(InputError, match="there is no accuracy"):
        _ = result.accuracy


@pytest.mark.filterwarnings("ignore:.*(could reach|rounding its weights)")
def test_the_command_line_says_the_error(inked, here, capsys):
    np.savez(here / "train.npz", images=inked.train.images[:200], labels=inked.train.labels[:200])
    np.savez(here / "test.npz", images=inked.test.images[:40], labels=inked.test.labels[:40])
    data = load_folder(here)
    assert data.has_targets
    np.testing.assert_array_equal(data.test.labels, inked.test.labels[:40])
    (here / "net_of_the_command_line.py").write_text(NETWORK)
    settings = [s for s in SETTINGS if not s.startswith(("training.epochs", "network.name"))]
    settings.append("network.name=net_of_the_command_line:make")
    arguments = [f"--set={s}" for s in (*settings, "training.epochs=1", "data.dataset=folder", "data.augment={}")]
    assert main(["train", "digits", *arguments, f"--data-root={here}", "-o", "run/c.pt"]) == 0
    assert "root mean squared error of the test split" in capsys.readouterr().out
    code = main(["lower", "run/c.pt", "-o", "a.net"])
    assert code == 0, capsys.readouterr().err
    capsys.readouterr()
    assert main(["evaluate", "a.net", f"--data-root={here}", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["error"] == pytest.approx(float(pumice.load("a.net").info["error_deployed"]), rel=1e-4)
    assert "accuracy" not in told


def test_a_target_for_each_step(inked, here):
    """A sequence is compared step by step, in the loss, the score, and the graph's answers."""
    steps = np.linspace(0, 1, 6, dtype=np.float32)
    both = {
        name: Split(s.images, s.labels[..., None] * steps)
        for name, s in (("train", inked.train), ("test", inked.test))
    }
    ramps = replace(inked, **both)
    trained = train(PRESETS["digits"].overridden([*SETTINGS, "training.epochs=2"]), ramps)
    graph = lower_trained(trained)
    targets = trained.dataset.test.labels
    assert targets.shape == (60, 2, 6)
    result = pumice.evaluate(graph, zip(encoded_test(trained), targets, strict=True))
    assert result.predictions.shape == targets.shape
    assert result.error == pytest.approx(trained.error_deployed, rel=1e-6)
    by_step = np.sqrt(np.square(result.predictions - targets).mean())
    assert result.error == pytest.approx(by_step, rel=1e-9)


def test_score_and_loss_are_the_same_mean():
    answer = torch.rand(5, 3, 7, generator=torch.Generator().manual_seed(0))
    for shape in ((5, 3), (5, 3, 7)):
        target = torch.rand(shape, generator=torch.Generator().manual_seed(1))
        assert score_sum(answer, target) == pytest.approx(5 * float(MeanSquaredErrorLoss()(answer, target)), rel=1e-6)
    assert score_sum(answer, torch.tensor([0, 1, 2, 0, 1])) == int(score_sum(answer, torch.tensor([0, 1, 2, 0, 1])))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros((4, 3), np.float32), r"targets \(N, 2\) or \(N, 2, time\), .*; got 4 and \(4, 3\)"),
        (np.zeros(4, np.float32), "images and labels must be integers"),
        (np.full((4, 2), np.nan), "targets must be finite"),
        (np.zeros((4, 2, 5)), r"train targets have shape \(2,\), test targets \(2, 5\)"),
        (np.zeros(4, int), "one split has targets"),
    ],
)
def test_targets_that_do_not_fit_are_refused(labels, message):
    images = np.zeros((4, 1, 2, 2), np.uint8)
    with pytest.raises(InputError, match=message):
        ImageDataset("d", Split(images, np.zeros((4, 2), np.float32)), Split(images, labels), ("a", "b"), (0, 1))


def test_what_is_about_classes_is_refused(inked, here):
    recipe = PRESETS["digits"].overridden(SETTINGS)
    for setting, message in (
        ("training.class_weights=balanced", "has targets, numbers, and no classes"),
        ("data.folds=3", "balanced by class"),
    ):
        with pytest.raises(InputError, match=message):
            train(recipe.overridden([setting]), inked)
    wrong = NETWORK.replace("n_classes, voltage", "3, voltage").replace("def make", "def wrong")
    (here / "number_net2.py").write_text(wrong)
    with pytest.raises(InputError, match=r"answers with shape .* and the targets have shape \(\d+, 2\)"):
        train(recipe.overridden(["network.name=number_net2:wrong"]), inked)
