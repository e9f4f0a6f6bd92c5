"""A network, loss, regulariser, surrogate, encoder, optimiser and dataset of one's own, and resuming them."""

import sys
import textwrap

import numpy as np
import pytest
import torch

import pumice
from pumice import nn
from pumice.data.recipe.own_code import check_own_code
from pumice.errors import InputError
from pumice.pipeline import lower_trained
from pumice.train import load_checkpoint, restore, train
from pumice.train.recipe import make_recipe

PARAMS = {"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 0.75}
TDBN = {**PARAMS, "norm": nn.TDBN}
OWN = '''
    import numpy as np
    import torch
    from pumice.data import AbstractEncoder, ImageDataset, Split
    from pumice.data import load_digits as load_ours
    from pumice.nn import Dense, Flatten, TDBN
    from pumice.nn.surrogate import Triangle

    def load(root=None, n=48):
        digits = load_ours()
        part = lambda split: Split(split.samples[:n], split.labels[:n])
        return ImageDataset("mine", part(digits.train), part(digits.test), digits.class_names, (0, 16))

    class Net(torch.nn.Sequential):
        def __init__(self, neuron_params, n_classes, hidden=12):
            super().__init__(Flatten(), Dense(neuron_params, 64, hidden), Dense(neuron_params, hidden, n_classes))

    class Loss(torch.nn.Module):
        def __init__(self, sharpness=1.0):
            super().__init__()
            self.sharpness = sharpness
        def forward(self, spikes, labels):
            return torch.nn.functional.cross_entropy(self.sharpness * spikes.sum(-1), labels)

    class Quiet:
        def __init__(self, model, weight=0.1):
            self.weight = weight
        def __call__(self, spikes):
            return self.weight * sum(s.mean() for s in spikes.values())

    class Wide(Triangle):
        pass

    class Halves(AbstractEncoder):
        """Dark pixels in even steps only."""
        def __init__(self, steps, image_range, divisor=2):
            super().__init__(steps)
            object.__setattr__(self, "_range", (0, image_range[1] // divisor))
            object.__setattr__(self, "_divisor", divisor)
        @property
        def value_range(self):
            return self._range
        def encode(self, samples, rng):
            return np.repeat((samples // self._divisor)[..., None], self.steps, -1)

    number = 3
'''


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(textwrap.dedent(OWN))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    yield
    sys.modules.pop("mine", None)


RECIPE = {
    "name": "mine",
    "data": {
        "dataset": "mine:load", "args": {"n": 40}, "steps": 4,
        "encoding": "mine:Halves", "encoding_args": {"divisor": 4},
    },
    "neuron": {"surrogate": "mine:Wide", "surrogate_args": {"width": 2.0}},
    "network": {"name": "mine:Net", "args": {"hidden": 16}},
    "training": {
        "epochs": 2, "finetune_epochs": 1, "batch_size": 10, "checkpoint_every_steps": 1,
        "loss": "mine:Loss", "loss_args": {"sharpness": 0.5},
        "optimizer": "torch.optim:RAdam", "optimizer_args": {"eps": 1e-7},
        "regularizers": {"mine:Quiet": {"weight": 0.2}},
    },
}  # fmt: skip


class KilledError(Exception):
    pass


def killed_after(n):
    batches = []

    def on_batch():
        batches.append(1)
        if len(batches) == n:
            raise KilledError

    return on_batch


def assert_same(a, b):
    for key, value in a.state_dict().items():
        assert torch.equal(value, b.state_dict()[key]), key


def dataset_of(recipe):
    from pumice.data import load_dataset

    return load_dataset(recipe.data.dataset, **recipe.data_arguments())


@pytest.mark.filterwarnings("ignore:block .* deploying changes")
def test_all_of_it_is_ones_own_killed_and_resumed(own, tmp_path):
    recipe = make_recipe(RECIPE, "mine")
    dataset = dataset_of(recipe)
    whole = train(recipe, dataset)
    path = tmp_path / "checkpoint.pt"
    for n in (3, 4, 2):
        resumed = load_checkpoint(path) if path.exists() else None
        with pytest.raises(KilledError):
            train(recipe, dataset, checkpoint_path=path, resume_from=resumed, on_batch=killed_after(n))
    again = train(recipe, dataset, checkpoint_path=path, resume_from=load_checkpoint(path))
    assert_same(whole.model, again.model)
    from mine import Halves, Net, Wide

    assert type(again.model) is Net
    assert type(again.encoder) is Halves
    assert again.encoder.value_range == (0, 4)
    assert type(again.model[1].neuron.chosen_surrogate) is Wide
    graph = lower_trained(restore(load_checkpoint(path)))
    assert pumice.verify(graph, ("reference", "fast"))


class Residual(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.flatten = nn.Flatten()
        self.first = nn.Dense(TDBN, 64, 16)
        half = {"norm": lambda: nn.TDBN(alpha=0.7)}
        self.sum = nn.Merge(PARAMS, nn.DenseSynapse(16, 16, **half), nn.IdentitySynapse(16, **half))
        self.recurrent = nn.Recurrent(PARAMS, 16, 16)
        self.out, self.auxiliary = nn.Dense(TDBN, 16, 10), nn.Dense(TDBN, 16, 10)

    def forward(self, x):
        h = self.first(self.flatten(x))
        h = self.sum(h, h)
        return {"main": self.out(self.recurrent(h)), "auxiliary": self.auxiliary(h)}


def seeded():
    torch.manual_seed(3)
    return Residual()


@pytest.mark.filterwarnings("ignore:block .* deploying changes")
def test_a_network_given_as_an_object_with_two_outputs(tiny_recipe, digits, tmp_path):
    settings = ["training.checkpoint_every_steps=1", "data.validation=0.2"]
    recipe, path = tiny_recipe.overridden(settings), tmp_path / "checkpoint.pt"
    model = seeded()
    whole = train(recipe, digits, model=model)
    assert whole.model is model
    with pytest.raises(KilledError):
        train(recipe, digits, model=seeded(), checkpoint_path=path, on_batch=killed_after(2))
    again = train(recipe, digits, model=seeded(), checkpoint_path=path, resume_from=load_checkpoint(path))
    assert_same(whole.model, again.model)
    with pytest.raises(InputError, match=r"given as train\(\.\.\., model=\.\.\.\).*restore\(checkpoint, model="):
        restore(load_checkpoint(path))
    graph = lower_trained(restore(load_checkpoint(path), model=Residual()))
    assert len(graph.outputs) == 2
    assert pumice.verify(graph, ("reference", "fast"))
    with pytest.raises(InputError, match=r"another recipe \(network"):
        train(recipe, digits, resume_from=load_checkpoint(path))


class Nothing(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Dense(TDBN, 64, 10)

    def forward(self, x):
        self.layer(x.flatten(1, 3))
        return {}


def test_a_network_that_returns_no_tensor_is_refused(tiny_recipe, digits):
    with pytest.raises(InputError, match=r"must return spikes .* it returned a dict"):
        train(tiny_recipe, digits, model=Nothing())


class Summing(torch.nn.Sequential):
    def __init__(self, n_classes=10):
        super().__init__(nn.Flatten(), nn.Dense(TDBN, 64, n_classes))

    def forward(self, x):
        return super().forward(x).sum(-1)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Summing(), r"\(batch, class, time\) with at least 10 classes, .* got shape \(4, 10\); sums over time"),
        (torch.nn.Sequential(*Summing(3)), r"with at least 10 classes, .* got shape \(4, 3, \d+\)"),
        (Summing, "model must be a torch.nn.Module, got the class Summing; give an object of it"),
        (lambda x: x, "model must be a torch.nn.Module, got function"),
        (torch.compile(torch.nn.Sequential(*Summing()), backend="eager"), "what torch.compile made"),
    ],
)
def test_a_network_that_cannot_be_trained_is_refused(tiny_recipe, digits, model, message):
    with pytest.raises(InputError, match=message):
        train(tiny_recipe, digits, model=model)


def test_what_is_no_recipe_or_dataset_is_refused(tiny_recipe, digits):
    for recipe, got in (("digits", "str"), ({"training": {}}, "dict"), (None, "NoneType")):
        with pytest.raises(InputError, match=rf"a Recipe is needed, got {got}; pumice.train.find_recipe\("):
            train(recipe, digits)
    samples = torch.utils.data.TensorDataset(torch.zeros(4, 1, 8, 8), torch.zeros(4))
    for dataset in (samples, [(np.zeros((1, 8, 8)), 0)], None):
        with pytest.raises(InputError, match=f"dataset must be a pumice.data.*, got {type(dataset).__name__}"):
            train(tiny_recipe, dataset)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("training.loss", "spike_cont", "training.loss: unknown loss 'spike_cont'; did you mean 'spike_count'"),
        ("training.optimizer", "lion", "unknown optimiser 'lion'; there are: adamw, adam, sgd"),
        ("data.dataset", "minst", "unknown dataset 'minst'; did you mean 'mnist'"),
        ("data.encoding", "rates", "unknown encoding 'rates'; did you mean 'rate'"),
        ("neuron.surrogate", "arctam", "unknown surrogate 'arctam'; did you mean 'arctan'"),
    ],
)
def test_a_name_of_no_table_is_refused_when_the_recipe_is_read(tiny_recipe, key, value, message):
    with pytest.raises(InputError, match=message):
        tiny_recipe.overridden([f"{key}={value}"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["network.name=mine:number", 'network.args={"hidden": 3}'], "network 'mine:number'"),
        (["network.name=mine:Net", 'network.args={"hiden": 3}'], "takes no argument hiden; .* are: hidden"),
        (["network.name=mine:Net", 'network.args={"n_classes": 3}'], "n_classes is given by pumice"),
        (["network.name=mine:Loss"], "layer|must|forward|Loss"),
        (["training.loss=mine:Lost"], r"mine.py holds no 'Lost'"),
        (["training.optimizer=mine:Loss"], "gives a Loss, no torch Optimizer"),
        (["data.encoding=mine:Loss"], "gives a Loss, no AbstractEncoder"),
        (["neuron.surrogate=mine:Loss"], "gives a Loss, no Surrogate"),
        (["data.encoding_args={\"divisor\": 2}"], "data.encoding_args are those of an encoding of your own"),
    ],
)  # fmt: skip
def test_an_object_that_does_not_fit_is_refused(own, tiny_recipe, digits, settings, message):
    with pytest.raises((InputError, TypeError), match=message):
        train(tiny_recipe.overridden(settings), digits)


def test_a_dataset_of_ones_own_must_be_one(own):
    with pytest.raises(InputError, match=r"dataset 'mine:Quiet'.*needs the argument model"):
        dataset_of(make_recipe({"data": {"dataset": "mine:Quiet"}}, "x"))
    with pytest.raises(InputError, match=r"gives a Loss, and must give a pumice\.data.Dataset"):
        dataset_of(make_recipe({"data": {"dataset": "mine:Loss"}}, "x"))


def test_a_file_may_name_what_is_made_in_the_current_folder_only(own, tmp_path, monkeypatch):
    check_own_code(make_recipe({"network": {"name": "mine:Net"}}, "x"), "x")
    for name in ("os:system", "mine:np.save", "mine:load_ours"):
        recipe = make_recipe({"network": {"name": name}}, "x")
        with pytest.raises(InputError, match=f"names code .*network.name = '{name}'.*--trust"):
            check_own_code(recipe, "x")
    check_own_code(recipe, "x", trust=["mine"])
    (tmp_path / "else").mkdir()
    monkeypatch.chdir(tmp_path / "else")
    with pytest.raises(InputError, match="not in the current folder"):
        check_own_code(make_recipe({"network": {"name": "mine:Net"}}, "x"), "x")


def test_names_in_a_recipe_are_recorded_in_the_file_only_where_used(tiny_recipe):
    assert "encoding_args" not in tiny_recipe.record()["data"]
    assert "optimizer_args" not in tiny_recipe.record()["training"]
    assert np.isclose(make_recipe(RECIPE, "x").record()["training"]["optimizer_args"]["eps"], 1e-7)


@pytest.mark.parametrize(
    ("gives", "message"),
    [
        ("None", r"must give one number, a tensor of shape \(\), got None"),
        ("outputs.flatten(1).sum(1)", r"must give one number, .* got a tensor of shape \(\d+,\); take its mean"),
        ("outputs.sum().detach()", r"training\.loss gives a number without a gradient"),
    ],
)
def test_a_loss_that_gives_no_number_is_refused(monkeypatch, tiny_recipe, digits, gives, message):
    module = type(sys)("loose_loss")
    module.make = lambda: eval(f"lambda outputs, labels: {gives}")
    monkeypatch.setitem(sys.modules, "loose_loss", module)
    with pytest.raises(InputError, match=message):
        train(tiny_recipe.overridden(["training.loss=loose_loss:make"]), digits)


def test_a_regulariser_that_gives_no_number_is_refused(monkeypatch, tiny_recipe, digits):
    module = type(sys)("loose_regularizer")
    module.make = lambda: lambda spikes: [*spikes]
    monkeypatch.setitem(sys.modules, "loose_regularizer", module)
    chosen = 'training.regularizers={"loose_regularizer:make": {}}'
    with pytest.raises(InputError, match=r"a regularizer of training\.regularizers must give one number"):
        train(tiny_recipe.overridden([chosen]), digits)
