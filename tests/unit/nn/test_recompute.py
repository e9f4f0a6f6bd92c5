"""Gradient checkpointing: the same gradients, statistics and figures, from less memory."""

import pytest
import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from pumice import nn, quantize_
from pumice.data import load_digits
from pumice.errors import InputError
from pumice.models import feedforward, resnet, stmixer
from pumice.nn import recompute
from pumice.nn.recompute import checkpointed_
from pumice.train import PRESETS, load_checkpoint, train
from pumice.train.runtime.precision import neurons_in_float32

LIF = {"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 0.75}
TDBN = {**LIF, "norm": nn.TDBN}
MIXER = {"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 0.5, "surrogate": "dspike"}
PERSISTENT = {**LIF, "persistent_state": True}
IMAGES, LARGER = (3, 8, 8), (3, 16, 16)

MODELS = {
    "resnet": lambda: resnet(TDBN, IMAGES, 5, layers="18", width=1 / 16, readout="membrane"),
    "mixer": lambda: stmixer(MIXER, IMAGES, 5, embed_dim=16, depth=2, heads=2, surrogates=True),
    "dropout and delays": lambda: feedforward(TDBN, IMAGES, 5, layers="4c3s2-16", dropout=0.5, delay=True),
    "recurrent": lambda: torch.nn.Sequential(nn.Flatten(), nn.Recurrent(LIF, 192, 16), nn.Dense(TDBN, 16, 5)),
    "persistent": lambda: torch.nn.Sequential(
        nn.Flatten(), nn.Dense(PERSISTENT, 192, 16, weight_scale=2), nn.Dense(LIF, 16, 5, weight_scale=2)
    ),
    "torch's norm": lambda: torch.nn.Sequential(
        nn.Flatten(), nn.Dense(LIF, 192, 16, weight_scale=2), torch.nn.BatchNorm1d(16), nn.Dense(TDBN, 16, 5)
    ),
}


def forgetting_chance(*args, **options):
    return torch.utils.checkpoint.checkpoint(*args, **options, preserve_rng_state=False)


def batches(n=2):
    generator = torch.Generator().manual_seed(1)
    return [torch.randint(0, 9, (4, *IMAGES, 3), generator=generator).float() for _ in range(n)]


def made(name, *, deployed=False):
    torch.manual_seed(0)
    model = MODELS[name]().eval()
    x = batches(1)[0]
    with torch.no_grad():
        model(x)
    return (quantize_(model, x) if deployed else model).train()


def learned(model, *, checkpointing, autocast=False):
    """Gradients, buffers and states after two batches."""
    torch.manual_seed(2)
    with recompute.nullcontext() if not checkpointing else checkpointed_(model):
        for x in batches():
            with neurons_in_float32(model), torch.autocast("cpu", torch.bfloat16, enabled=autocast):
                answer = model(x)
                answer.float().sum(-1).square().sum().backward()
    chance = torch.rand(1)
    states = [m.voltage_state for m in model.modules() if isinstance(m, nn.CubaNeuron) and m.persistent_state]
    return [*(p.grad for p in model.parameters()), *model.buffers(), *states, chance]


def assert_same(got, expected):
    assert len(got) == len(expected)
    assert any(x is not None and x.abs().sum() > 0 for x in expected)
    for mine, theirs in zip(got, expected, strict=True):
        assert (mine is None) == (theirs is None)
        assert mine is None or torch.equal(mine, theirs)


@pytest.mark.parametrize("name", MODELS)
def test_gradients_and_statistics_are_the_same_bits(name):
    kept, again = (learned(made(name), checkpointing=checkpointing) for checkpointing in (False, True))
    assert_same(again, kept)


@pytest.mark.parametrize("name", ["resnet", "mixer"])
def test_so_they_are_in_integers_and_in_half_precision(name):
    for options in ({"deployed": True}, {}):
        kept, again = (
            learned(made(name, **options), checkpointing=checkpointing, autocast=not options)
            for checkpointing in (False, True)
        )
        assert_same(again, kept)


@pytest.mark.parametrize(
    ("name", "defect"),
    [
        ("resnet", {"_states": lambda part: []}),
        ("torch's norm", {"_states": lambda part: []}),
        ("persistent", {"_states": lambda part: []}),
        (
            "dropout and delays",
            {"checkpoint": forgetting_chance},
        ),
    ],
)
def test_planted_defects_are_seen(name, defect, monkeypatch):
    kept = learned(made(name), checkpointing=False)
    for attribute, value in defect.items():
        monkeypatch.setattr(recompute, attribute, value)
    with pytest.raises(AssertionError):
        assert_same(learned(made(name), checkpointing=True), kept)


class Peak(TorchDispatchMode):
    """The most bytes that tensors of torch's take at one time, of those made within the context."""

    def __init__(self):
        super().__init__()
        self._live, self._at_most, self.most = {}, 0, 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(found):
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                self._at_most += storage.nbytes() - self._live.get(storage._cdata, (None, 0))[1]
                self._live[storage._cdata] = StorageWeakRef(storage), storage.nbytes()
        if self._at_most > self.most:  # else what is gone need not be looked for
            self._live = {key: value for key, value in self._live.items() if not value[0].expired()}
            self._at_most = sum(size for _, size in self._live.values())
            self.most = max(self.most, self._at_most)
        return found


@pytest.mark.parametrize(
    ("make", "at_most"),
    [
        (lambda: resnet(TDBN, LARGER, 5, layers="18", width=1 / 16), 0.6),
        (lambda: stmixer(MIXER, LARGER, 5, embed_dim=16, depth=4, heads=2, downsampling=1), 0.5),
    ],
)
def test_memory_is_that_of_the_inputs(make, at_most):
    torch.manual_seed(0)
    model, x, peaks = make().eval(), torch.rand(8, *LARGER, 4), []
    model(x)
    for context in (recompute.nullcontext(), checkpointed_(model.train())):
        with context, Peak() as peak:
            model(x).sum().backward()
        model.zero_grad()
        peaks.append(peak.most)
    assert peaks[1] < at_most * peaks[0]


SETTINGS = [
    *("data.max_train=60", "data.max_test=8", "data.steps=3", "data.validation=0.2"),
    *("training.epochs=1", "training.finetune_epochs=1", "training.batch_size=32"),
]


@pytest.mark.parametrize(
    "settings",
    [
        [
            'network={"name": "feedforward", "args": {"layers": "4c3s2-16", "dropout": 0.3}}',
            "training.loss=membrane_cross_entropy",
        ],
        [
            'network={"name": "stmixer", "args": {"embed_dim": 16, "depth": 2, "heads": 2, "surrogates": true}}',
            *("training.loss=surrogate_module", 'training.regularizers={"activity": {"min_rate": 0.1}}'),
        ],
    ],
)
def test_a_training_is_the_same_with_its_figures(settings, tmp_path):
    recipe = PRESETS["digits"].overridden([*SETTINGS, *settings])
    found = []
    for name, run in (("kept", recipe), ("again", recipe.overridden(["compute.checkpointing=true"]))):
        path = tmp_path / name / "checkpoint.pt"
        history = train(run, load_digits(), checkpoint_path=path).history
        found.append((history, load_checkpoint(path).model_state, (path.parent / "steps.csv").read_text()))
    (history, state, log), (history_again, state_again, log_again) = found
    assert history_again == history
    assert log_again == log
    for name, value in state.items():
        assert torch.equal(state_again[name], value), name


def test_what_it_cannot_do_is_refused():
    with pytest.raises(InputError, match=r"checkpointing draws anew .* cuda_graphs cannot record; leave one of them"):
        PRESETS["digits"].overridden(["compute.checkpointing=true", "compute.cuda_graphs=true"])
    with pytest.raises(InputError, match="Linear has no parts with parameters"), checkpointed_(torch.nn.Linear(2, 2)):
        pass
    other = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Identity())
    other[1].persistent_state = True  # as lava-dl's neurons of other kinds
    with pytest.raises(InputError, match="'1' is a Identity with persistent_state"), checkpointed_(other):
        pass


def test_the_model_is_as_it_was():
    model = made("resnet")
    before = {module: dict(vars(module)) for module in model.modules()}
    with checkpointed_(model):
        assert any("forward" in vars(module) for module in model.modules())
    assert all(vars(module).keys() == before[module].keys() for module in model.modules())
