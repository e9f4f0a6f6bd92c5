"""Samples of unequal length: padding counts in no loss, no answer, no figure, in torch and on the graph alike."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

import pumice
from pumice import nn
from pumice.backends import get_backend
from pumice.cli import main
from pumice.data import SequenceDataset, load_folder, split_of_sequences
from pumice.errors import InputError
from pumice.ir import Timing, from_stream, to_stream
from pumice.ir.builder import chain
from pumice.pipeline import lower_trained
from pumice.pipeline.compare import run_test_split
from pumice.pipeline.lowered import encoded_test
from pumice.train import PRESETS, load_checkpoint, predict_counts, restore, train
from pumice.train.batches import Batches
from pumice.train.losses import AbstractLoss, make_loss, registry
from pumice.train.score import score_sum
from pumice.train.trained import start

STEPS = 12
NUMBERS = """
import torch
from pumice import nn

def make(neuron_params, image_shape, n_classes):
    params = {name: value for name, value in neuron_params.items() if name != "norm"}
    return torch.nn.Sequential(nn.Flatten(), nn.Dense(params, image_shape[0], 16, weight_scale=3),
                               nn.LeakyReadout(16, n_classes, voltage_decay=0.5))
"""
SETTINGS = [
    *("data.encoding=sequence", f"data.steps={STEPS}", "data.gray_levels=null", "data.noise=0.0", "data.augment={}"),
    *("data.validation=0.2", "neuron.voltage_decay=0.1", "training.batch_size=8", "training.lr=0.02"),
    *("training.epochs=2", "training.finetune_epochs=1"),
]
CLASSES = [*SETTINGS, "network.name=feedforward", 'network.args={"layers": "12"}']


def made(n=60, seed=0):
    """Sequences of 3 to 12 steps; which class is told by the features, how long it is by chance."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    steps = rng.integers(3, STEPS + 1, n)
    return [
        rng.integers(0, 4, (t, 5)) + 2 * label * (np.arange(5) % 2) for t, label in zip(steps, labels, strict=True)
    ], labels


def dataset(n=60):
    train_part, test_part = split_of_sequences(*made(n)), split_of_sequences(*made(n, seed=1))
    return SequenceDataset("waves", train_part, test_part, ("flat", "comb"), (0, 6))


@pytest.fixture(scope="module")
def trained():
    return train(PRESETS["digits"].overridden(CLASSES), dataset())


def test_the_deployed_answer_is_the_trained_one_exactly(trained):
    """The graph's answer of n steps is what leaves in n steps after its latency; so counted, all figures agree."""
    test, graph = trained.dataset.test, lower_trained(trained)
    counts = predict_counts(trained.model, trained.encoder, test.samples, lengths=test.lengths)
    x = encoded_test(trained)
    result = pumice.evaluate(graph, zip(x, test.labels, test.lengths, strict=True), check={"reference": 3})
    assert trained.test_accuracy() == result.accuracy == trained.accuracy_deployed
    assert np.array_equal(result.predictions, counts.argmax(1))
    outputs = get_backend("reference").run(graph, to_stream(graph, x)).spikes
    answers = from_stream(graph, outputs, len(x))
    for index, n in enumerate(test.lengths):
        assert np.array_equal(answers[index, :n].sum(0), counts[index])
    whole = from_stream(graph, outputs, len(x)).sum(1)
    assert not np.array_equal(whole, counts)  # the padded steps do spike: the test sees the mask
    assert "of a shorter sample of n steps" in graph.info["readout"]


def test_each_sample_answers_as_if_it_were_alone(trained):
    test = trained.dataset.test
    counts = predict_counts(trained.model, trained.encoder, test.samples, lengths=test.lengths)
    for index in range(10):
        n = test.lengths[index]
        alone = trained.model(torch.tensor(test.samples[index : index + 1, :, None, None, :n], dtype=torch.float32))
        assert np.array_equal(alone.detach().sum(-1)[0].numpy(), counts[index])


def test_the_files_own_test_goes_the_same_way(tmp_path, monkeypatch, capsys):
    """`pumice train`, `lower`, `evaluate` on a folder of unequal lengths, and samples given as arrays."""
    monkeypatch.chdir(tmp_path)
    for part, seed in (("train", 0), ("test", 1)):
        for index, (sequence, label) in enumerate(zip(*made(40, seed), strict=True)):
            folder = tmp_path / "waves" / part / f"c{label}"
            folder.mkdir(parents=True, exist_ok=True)
            np.save(folder / f"{index:02}.npy", sequence)
    settings = [part for setting in (*CLASSES, "data.dataset=folder") for part in ("--set", setting)]
    assert main(["train", "digits", "--data-root", "waves", "-o", "run.pt", *settings]) == 0
    checkpoint = "run.pt"
    assert main(["lower", str(checkpoint), "-o", "a.net"]) == 0
    capsys.readouterr()
    assert main(["evaluate", "a.net", "--data-root", "waves", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    trained = restore(load_checkpoint(checkpoint), load_folder("waves"))
    assert found["accuracy"] == trained.test_accuracy() == trained.accuracy_deployed
    x, test = encoded_test(trained), trained.dataset.test
    arrays = {"x": x, "labels": test.labels}
    np.savez("whole.npz", **arrays)
    np.savez("own.npz", lengths=test.lengths, **arrays)
    np.savez("bad.npz", lengths=test.lengths[1:], **arrays)
    assert main(["evaluate", "a.net", "--data", "own.npz", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["accuracy"] == found["accuracy"]
    assert main(["evaluate", "a.net", "--data", "bad.npz"]) == 2
    assert "labels and lengths (n,), got" in capsys.readouterr().err


def test_the_pipeline_answers_alike(trained):
    test = trained.dataset.test
    found = run_test_split(lower_trained(trained), trained, "fast").predictions
    own, whole = (
        predict_counts(trained.model, trained.encoder, test.samples, lengths=n).argmax(1)
        for n in (test.lengths, None)
    )
    assert np.array_equal(found, own)
    assert not np.array_equal(found, whole)


def test_what_is_behind_a_samples_end_changes_nothing_in_training():
    """With other numbers in the place of the zeros, the same losses, rates and weights come out, bit for bit."""
    clean = dataset(24)
    loud = {}
    for name in ("train", "test"):
        split = getattr(clean, name)
        samples = split.samples.copy()
        samples[np.broadcast_to(np.arange(STEPS) >= split.lengths[:, None, None], samples.shape)] = 6
        loud[name] = replace(split, samples=samples)
    recipe = PRESETS["digits"].overridden([*CLASSES, "neuron.norm=none", 'training.regularizers={"activity": {}}'])
    a, b = (train(recipe, data) for data in (clean, replace(clean, **loud)))
    assert [record.to_dict() for record in a.history] == [record.to_dict() for record in b.history]
    for name, value in a.model.state_dict().items():
        if "current_state" not in name and "voltage_state" not in name:  # as the last, padded step left them
            assert torch.equal(value, b.model.state_dict()[name]), name


def test_lengths_that_are_all_full_change_nothing():
    """Lengths that all are the samples' whole length give what no lengths give, up to rounding."""
    sequences, labels = made(24)
    full = split_of_sequences([np.resize(s, (STEPS, 5)) for s in sequences], labels)
    assert set(full.lengths) == {STEPS}
    told = SequenceDataset("waves", full, full, ("flat", "comb"), (0, 6))
    untold = replace(told, train=replace(full, lengths=None), test=replace(full, lengths=None))
    recipe = PRESETS["digits"].overridden([*CLASSES, "neuron.norm=none"])
    a, b = (train(recipe, data).history for data in (told, untold))
    assert [r.loss for r in a] == pytest.approx([r.loss for r in b], rel=1e-5)
    assert [r.test_accuracy for r in a] == [r.test_accuracy for r in b]


def test_a_folder_of_equal_lengths_has_none(tmp_path):
    for label in "ab":
        (tmp_path / "train" / label).mkdir(parents=True)
        for index in range(3):
            np.save(tmp_path / "train" / label / f"{index}.npy", np.ones((4, 2), int))
    assert load_folder(tmp_path).train.lengths is None
    np.save(tmp_path / "train" / "b" / "3.npy", np.ones((3, 2), int))
    assert sorted(int(n) for part in (load_folder(tmp_path).train, load_folder(tmp_path).test) for n in part.lengths)[
        :2
    ] == [3, 4]


LOSSES = {
    "count_margin": {"true_count": 3, "false_count": 1, "margin": 0},
    "membrane_cross_entropy": {"pool": "max"},
    "spike_count": {"true_count": 3, "false_count": 1, "tau": 2.0},
    "spike_count_cross_entropy": {},
    "spike_max": {"window": 2},
    "spike_rate": {},
    "surrogate_module": {},
    "van_rossum": {"times": [0, 2]},
    "mean_squared_error": {},
}
MORE = [
    ("membrane_cross_entropy", {"pool": "mean"}),
    ("membrane_cross_entropy", {"pool": "last"}),
    ("spike_max", {}),
    ("spike_max", {"window": 3, "class_weights": [1.0, 2.0, 3.0]}),
    ("spike_rate", {"class_weights": [1.0, 2.0, 3.0]}),
]


@pytest.mark.parametrize(("name", "arguments"), [*LOSSES.items(), *MORE])
def test_every_loss_is_the_mean_of_its_samples_alone(name, arguments):
    rng = torch.Generator().manual_seed(1)
    lengths = torch.tensor([4, 7, 3])
    spikes = (torch.rand(3, 3, 7, generator=rng) < 0.5).float().requires_grad_()
    labels: torch.Tensor = torch.tensor([2, 0, 1])
    if name == "mean_squared_error":
        labels = torch.rand(3, 3, generator=rng)
    loss = make_loss(name, **arguments)
    together = loss.of_batch(spikes, labels, lengths)
    (gradient,) = torch.autograd.grad(together, spikes)
    weights = torch.tensor(arguments.get("class_weights", [1.0, 1.0, 1.0]))
    weight = weights[labels] if name != "mean_squared_error" else torch.ones(3)
    alone = [loss(spikes[i : i + 1, :, : int(n)], labels[i : i + 1]) for i, n in enumerate(lengths)]
    expected = sum(w * x for w, x in zip(weight, alone, strict=True)) / weight.sum()
    torch.testing.assert_close(together, expected)
    (wanted,) = torch.autograd.grad(expected, spikes)
    torch.testing.assert_close(gradient, wanted)
    assert not gradient[0, :, 4:].any()
    assert gradient.any()


def test_targets_of_each_step_and_every_loss_is_here():
    rng = torch.Generator().manual_seed(1)
    y, target, lengths = torch.rand(2, 3, 5, generator=rng), torch.rand(2, 3, 5, generator=rng), torch.tensor([2, 5])
    alone = [(y[i, :, :n] - target[i, :, :n]).square().mean() for i, n in enumerate([2, 5])]
    torch.testing.assert_close(make_loss("mean_squared_error").of_batch(y, target, lengths), sum(alone) / 2)
    assert score_sum(y, target, lengths) == pytest.approx(float(sum(alone)), rel=1e-6)
    assert registry.LOSSES.keys() == LOSSES.keys()


class Told(torch.nn.Module):
    def forward(self, outputs, labels, lengths=None):
        return outputs[0].sum() * 0 + (0 if lengths is None else lengths.sum())


def test_losses_of_ones_own_are_told_or_get_zeros():
    outputs, labels, lengths = (torch.ones(2, 3, 5), torch.ones(2, 4)), torch.tensor([0, 1]), torch.tensor([2, 5])

    assert make_loss(f"{__name__}:Told").of_batch(outputs, labels, lengths) == 7
    assert make_loss(f"{__name__}:Told").of_batch(outputs, labels, None) == 0
    assert make_loss(f"{__name__}:Old").of_batch(outputs[0], labels, lengths) == 3 * 7
    assert make_loss(f"{__name__}:untold_").of_batch(outputs, labels, lengths) == 3 * 7 + 8


class Old(AbstractLoss):
    """As one was written before there were lengths."""

    def forward(self, answer, labels):
        return answer.sum()


def untold_():
    return lambda outputs, labels: outputs[0].sum() + outputs[1].sum()


@pytest.mark.parametrize("per_step", [False, True])
def test_numbers_are_answered_over_own_steps(tmp_path, monkeypatch, per_step):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "ragged_numbers", raising=False)
    (tmp_path / "ragged_numbers.py").write_text(NUMBERS)
    parts = []
    for seed in (0, 1):
        sequences, _ = made(30, seed)
        split = split_of_sequences(sequences, np.zeros(30))
        target = np.stack([s.mean(0)[:2] for s in sequences]).astype(np.float32) / 4
        if per_step:
            target = np.repeat(target[..., None], STEPS, -1)
            target[np.broadcast_to(np.arange(STEPS) >= split.lengths[:, None, None], target.shape)] = 1e4
        parts.append(replace(split, labels=target))
    data = SequenceDataset("numbers", *parts, ("a", "b"), (0, 6))
    settings = [*SETTINGS, "network.name=ragged_numbers:make", "network.args={}", "neuron.norm=none"]
    trained = train(PRESETS["digits"].overridden([*settings, "training.loss=mean_squared_error"]), data)
    test = trained.dataset.test
    result = pumice.evaluate(
        lower_trained(trained), zip(encoded_test(trained), test.labels, test.lengths, strict=True)
    )
    assert trained.history[-1].test_error == pytest.approx(result.error, rel=1e-6)
    assert result.error < 10
    assert result.lengths is not None


def test_batches_carry_lengths_through_checkpoints_and_shares(tmp_path):
    recipe = PRESETS["digits"].overridden([*CLASSES, "training.epochs=1", "training.finetune_epochs=0"])
    whole = start(recipe, dataset(24))
    by_sample = {
        x.tobytes(): n for x, n in zip(whole.dataset.train.samples, whole.dataset.train.lengths, strict=True)
    }
    for x, _, lengths, *_ in Batches(whole).epoch(1):
        for sample, n in zip(x.numpy()[:, :, 0, 0].astype(np.int32), lengths, strict=True):
            assert by_sample[sample.tobytes()] == n
    path = tmp_path / "a.pt"
    train(recipe, dataset(24), checkpoint_path=path)
    again = restore(load_checkpoint(path)).dataset
    assert again.train.lengths.tolist() == whole.dataset.train.lengths[:4].tolist()


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        (np.array([1, 13]), r"waves, train split: lengths must lie in 1\.\.12, got 1 to 13"),
        (np.array([0, 3]), r"lengths must lie in 1\.\.12, got 0 to 3"),
        (np.array([1]), r"lengths must be integers of shape \(2,\)"),
        (np.array([1.0, 2.0]), "lengths must be integers of shape"),
        (None, "one split says how long its sequences are"),
    ],
)
def test_lengths_that_do_not_fit(lengths, message):
    split = split_of_sequences([np.ones((STEPS, 1), int), np.ones((2, 1), int)], np.array([0, 1]))
    with pytest.raises(InputError, match=message):
        SequenceDataset("waves", replace(split, lengths=lengths), split, ("a", "b"), (0, 6))


def test_a_window_beyond_the_shortest_sample_is_refused():
    spikes, labels, lengths = torch.zeros(2, 2, 9), torch.tensor([0, 1]), torch.tensor([4, 9])
    with pytest.raises(InputError, match=r"window 0\.\.6 does not lie within the sample's 4 steps"):
        make_loss("spike_count", true_count=3, false_count=0, stop=6).of_batch(spikes, labels, lengths)
    with pytest.raises(InputError, match="must name steps below 4"):
        make_loss("van_rossum", times=[5]).of_batch(spikes, labels, lengths)


@pytest.mark.parametrize("length", [0, 6, 2.5])
def test_evaluate_refuses_lengths_that_are_none(length):
    graph = chain((4,), [2], seed=0).replace(timing=Timing(5, 5))
    with pytest.raises(InputError, match=r"sample 0: the steps that count must be an integer in 1\.\.5"):
        pumice.evaluate(graph, [(np.ones((5, 4), int), 1, length)])


def test_norms_are_told_of_padding_in_training():
    """Through `train` itself: large numbers behind the ends would move the running estimates of a first layer."""
    clean = dataset(24)
    split = clean.train
    samples = split.samples.copy()
    samples[np.broadcast_to(np.arange(STEPS) >= split.lengths[:, None, None], samples.shape)] = 6
    loud = replace(clean, train=replace(split, samples=samples))
    recipe = PRESETS["digits"].overridden([*CLASSES, "training.epochs=1", "training.finetune_epochs=0"])
    a, b = (train(recipe, data).model for data in (clean, loud))
    norms = [(m, n) for m, n in zip(a.modules(), b.modules(), strict=True) if isinstance(m, nn.TDBN)]
    assert norms
    for one, other in norms:
        torch.testing.assert_close(one.running_mean, other.running_mean, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(one.running_var, other.running_var, rtol=1e-4, atol=1e-5)
