"""Residual networks: their sizes, and whole ones lowered and run without a difference."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

import pumice
from pumice import nn
from pumice.errors import InputError
from pumice.ir import Accumulator, from_stream, to_stream, torch_to_lava
from pumice.models import build_model, resnet
from pumice.nn.norms.tdbn import momentum_of
from pumice.passes.check_ranges import check_ranges
from pumice.pipeline import lower_trained
from pumice.pipeline.compare import run_test_split
from pumice.train import Recipe, train

PARAMS = {"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 0.75, "norm": nn.TDBN}
LAYERS = ("18", "19", "34", "34-large", "50")


def n_parameters(model):
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def image_batch(n, size, steps=4):
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (n, 3, size, size, 1), generator=generator)
    return images.float().repeat(1, 1, 1, 1, steps)


def lively(layers, x, **options):
    """A network with statistics of `x`, whose head fires."""
    torch.manual_seed(0)
    model = resnet(PARAMS, tuple(x.shape[1:4]), 10, layers=layers, **options)
    with torch.no_grad(), momentum_of(model, 1.0):
        for synapse in (synapse for synapse in model.modules() if isinstance(synapse, nn.LinearSynapse)):
            synapse.weight.mul_(6)
        for norm in (norm for norm in model.modules() if isinstance(norm, nn.TDBN)):
            norm.shift.add_(0.05)
        model(x)
    return model.eval()


def assert_runs_without_difference(graph, model, x, backend):
    expected = torch_to_lava(model(x).detach().numpy())
    stream = to_stream(graph, torch_to_lava(x.numpy()).astype(int))
    got = from_stream(graph, pumice.run(graph, stream, backend=backend).spikes, len(x))
    assert_array_equal(got, expected)
    assert 0.01 < expected.mean() < 0.99


@pytest.fixture
def undrawn(monkeypatch):
    """Weights of networks are counted, and not drawn."""
    monkeypatch.setattr(torch.Tensor, "normal_", lambda weight, *_, **_options: weight)


@pytest.mark.usefixtures("undrawn")
def test_parameters_of_resnet_19():
    """Oracle 3h: as in the paper, and with a stem of 64 channels and bare identities."""
    assert n_parameters(resnet(PARAMS, (3, 32, 32), 10)) == 12_700_810
    assert n_parameters(resnet(PARAMS, (3, 32, 32), 10, stem_channels=64, identity_norm=False)) == 12_630_858


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("layers", "reference", "projection"),
    [
        ("18", 11_689_512, 64 * 64 + 2 * 64),
        ("34", 21_797_672, 64 * 64 + 2 * 64),
        ("34-large", 86_110_824, 128 * 128 + 2 * 128),
        ("50", 25_557_032, 0),
    ],
)
def test_parameters_are_those_of_he_et_al_and_the_shortcuts_norms(layers, reference, projection):
    """He et al., CVPR 2016, as in torchvision, and 34 layers with all channels doubled.

    Ours of two convolutions have a projection in the first stage, too, where torchvision's pooling halves the image,
    and norms on identities.
    """
    model = resnet(PARAMS, (3, 224, 224), 1000, layers=layers, stem_kernel=7, identity_norm=False)
    assert n_parameters(model) == reference + projection
    normed = resnet(PARAMS, (3, 224, 224), 1000, layers=layers, stem_kernel=7)
    channels = [a.out_channels for a in normed.modules() if isinstance(a, nn.IdentitySynapse)]
    assert n_parameters(normed) - n_parameters(model) == 2 * sum(channels)


@pytest.mark.parametrize(("layers", "weighted"), [("18", 18), ("19", 19), ("34", 34), ("34-large", 34), ("50", 50)])
def test_layers_are_counted_along_the_longest_path(layers, weighted):
    model = resnet(PARAMS, (3, 8, 8), 10, layers=layers, width=1 / 32)
    assert sum(isinstance(module, nn.Merge) for module in model.modules()) == weighted
    assert not any(isinstance(module, nn.Pool) for module in model.modules())


@pytest.mark.usefixtures("undrawn")
def test_large_is_twice_as_wide():
    def widest(layers):
        return max(m.out_channels for m in resnet(PARAMS, (3, 8, 8), 10, layers=layers).modules() if is_conv(m))

    def is_conv(module):
        return isinstance(module, nn.ConvSynapse)

    assert (widest("34"), widest("34-large")) == (512, 1024)


@pytest.mark.parametrize(
    ("layers", "stem_kernel", "sides"),
    [
        ("18", 3, [16, 8, 4, 2]),
        ("19", 3, [16, 8, 4]),
        ("34", 3, [16, 8, 4, 2]),
        ("34-large", 3, [16, 8, 4, 2]),
        ("50", 3, [16, 8, 4, 2]),
        ("18", 7, [16, 8, 4, 2, 1]),
        ("50", 7, [16, 8, 4, 2, 1]),
    ],
)
def test_whole_networks_lower_and_run_without_difference(layers, stem_kernel, sides):
    """For small images, and in the form for ImageNet, whose stem halves the image too."""
    x = image_batch(6, 16 if stem_kernel == 3 else 32)
    model = lively(layers, x, width=1 / 16, stem_kernel=stem_kernel)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # no state can leave its bits
        graph = pumice.lower(model, x[:4])
    assert check_ranges(graph) == []
    assert graph.latency == int(layers.partition("-")[0])
    assert list(dict.fromkeys(p.shape[0] for p in graph.populations if len(p.shape) == 3)) == sides
    offsets = [p.reset.offset for p in graph.populations]
    assert offsets == [(1 + k) % graph.timing.period_steps for k in range(1, graph.latency + 1)]
    shortcuts = [s.balance_steps for s in graph.synapses if s.balance_steps]
    assert set(shortcuts) == {2 if layers == "50" else 1}
    assert len(shortcuts) == {"18": 8, "19": 8, "34": 16, "34-large": 16, "50": 16}[layers]
    assert_runs_without_difference(graph, model, x, "fast")


@pytest.mark.filterwarnings("ignore:block .* deploying changes")  # norms of eight values: 8 bits are few for them
@pytest.mark.parametrize("layers", LAYERS)
def test_the_reference_agrees_and_a_step_too_much_is_seen(layers):
    x = image_batch(2, 8)
    model = lively(layers, x, width=1 / 16)
    graph = pumice.lower(model, x)
    assert_runs_without_difference(graph, model, x, "reference")
    shortcut = next(s for s in graph.synapses if s.balance_steps)
    late = replace(shortcut, delay_steps=1)
    wrong = graph.replace(synapses=tuple(late if s is shortcut else s for s in graph.synapses))
    with pytest.raises(AssertionError):
        assert_runs_without_difference(wrong, model, x, "fast")


def test_bare_identities_and_other_gradients_lower_too():
    x = image_batch(2, 8)
    for options in ({"identity_norm": False}, {"gradient": "slayer"}, {"stem_channels": 64}):
        model = lively("19", x, width=1 / 16, **options)
        assert_runs_without_difference(pumice.lower(model, x), model, x, "fast")


def test_a_recipe_names_it():
    model = build_model("resnet", PARAMS, (1, 8, 8), 10, layers=18, width=0.125)
    assert model(torch.ones(1, 1, 8, 8, 3)).shape == (1, 10, 3)


def growth_in_integers(model, graph, x, backend):
    """By how much the membranes of network and graph grow in each step."""
    expected = torch_to_lava(model(x).detach().numpy()) / model.output.readout.unit
    stream = to_stream(graph, torch_to_lava(x.numpy()).astype(int))
    spikes = pumice.run(graph, stream, backend=backend).spikes
    return expected, from_stream(graph, spikes, len(x))


@pytest.mark.parametrize("layers", ["18", "19", "50"])
def test_the_membrane_as_read_out_lowers_without_difference(layers):
    """Behind an image (18, 50), and behind neurons without positions (19)."""
    x = image_batch(4, 8)
    model = lively(layers, x, width=1 / 16, readout="membrane")
    assert n_parameters(model) == n_parameters(resnet(PARAMS, (3, 8, 8), 10, layers=layers, width=1 / 16))
    graph = pumice.lower(model, x)
    assert isinstance(graph.output, Accumulator)
    assert len(list(graph.into(graph.outputs[0]))) == 1
    assert check_ranges(graph) == []
    for backend in ("reference", "fast"):
        expected, got = growth_in_integers(model, graph, x, backend)
        assert_array_equal(got, expected)
    assert len(np.unique(expected)) > 20
    assert (expected != np.roll(expected, 1, axis=1)).any()  # a step too early or late would be seen
    sums = model(x).sum(-1)
    assert_array_equal(got.sum(1).argmax(1), sums.argmax(1).numpy())


@pytest.mark.filterwarnings("ignore:nothing fires in:pumice.errors.PumiceWarning")  # two epochs are not enough
@pytest.mark.parametrize("loss", ["membrane_cross_entropy", "spike_count_cross_entropy"])
def test_it_is_trained_by_recipe(loss, digits):
    recipe = Recipe(
        data={"max_train": 96, "max_test": 20, "steps": 2, "validation": 0.2},
        network={"name": "resnet", "args": {"layers": 18, "width": 1 / 16, "readout": "membrane"}},
        training={"epochs": 2, "finetune_epochs": 1, "batch_size": 16, "loss": loss, "loss_args": {"beta": 4.0}},
    )
    trained = train(recipe, digits)
    graph = lower_trained(trained)
    assert sum(layer.s for layer in run_test_split(graph, trained, "fast").comparison) == 0
    assert trained.history[1].loss < trained.history[0].loss


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"readout": "voltage"}, "readout must be"),
        ({"layers": "20"}, "layers must be one of 18, 19, 34, 34-large, 50"),
        ({"stem_kernel": 5}, "stem_kernel must be 3 or 7"),
        ({"width": 0.001}, "leaves nothing of 128 channels"),
        ({"gradient": "bptt"}, "unknown gradient"),
    ],
)
def test_wrong_use_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        resnet(PARAMS, (3, 8, 8), 10, **options)


@pytest.mark.lava
@pytest.mark.parametrize("layers", ["19", pytest.param("50", marks=pytest.mark.slow)])
def test_a_narrow_network_on_lava(layers, tmp_path):
    x = image_batch(1, 8)
    model = lively(layers, x, width=1 / 32)
    graph = pumice.lower(model, x)
    path = tmp_path / "resnet.net"
    pumice.save(graph, path)
    assert_runs_without_difference(pumice.load(path), model, x, "lava-in-threads")


@pytest.mark.lava
@pytest.mark.parametrize("layers", ["18", "19"])
def test_a_narrow_networks_membranes_on_lava(layers, tmp_path):
    x = image_batch(2, 8, steps=3)
    model = lively(layers, x, width=1 / 32, readout="membrane")
    pumice.save(pumice.lower(model, x), tmp_path / "resnet.net")
    expected, got = growth_in_integers(model, pumice.load(tmp_path / "resnet.net"), x, "lava-in-threads")
    assert_array_equal(got, expected)
    assert expected.any()


@pytest.mark.slow
@pytest.mark.parametrize("layers", ["19", "50"])
def test_full_width_for_cifar_10(layers):
    x = image_batch(2, 32)
    model = lively(layers, x)
    graph = pumice.lower(model, x, chip=None)  # 32,768 inputs of the head fit no core
    assert check_ranges(graph) == []
    assert_runs_without_difference(graph, model, x, "fast")


@pytest.mark.slow
@pytest.mark.lava
def test_full_width_resnet_19_on_lava():
    x = image_batch(1, 32, steps=2)
    model = lively("19", x)
    assert_runs_without_difference(pumice.lower(model, x, chip=None), model, x, "lava")
