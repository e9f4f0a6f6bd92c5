"""Paths through "cuda" on a stand-in for a GPU: nothing is left on the other side, and the numbers are the CPU's."""

import copy
import importlib
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import pumice
from pumice import nn
from pumice.backends import get_backend
from pumice.backends.torch import TorchBackend
from pumice.backends.torch.neurons import Leaky
from pumice.backends.verify import first_difference
from pumice.data import load_digits
from pumice.ir import graph_digests
from pumice.nn.kernels import operators
from pumice.nn.synapses import delay
from pumice.quantization import quantize_
from pumice.testing import cases, example
from pumice.testing.auditing import script
from pumice.testing.auditing.draw import draw_case
from pumice.train import PRESETS, train

pytest.importorskip("triton")
from tests.contract.standin_gpu import GPU, standin_gpu, tensors_in

CUBA = {"threshold": 1.0, "current_decay": 0.5, "voltage_decay": 0.25}
LIF = {**CUBA, "current_decay": 1.0, "surrogate": "rectangular"}


def chain(params, **options):
    return lambda: torch.nn.Sequential(
        nn.Conv(dict(params), 2, 4, 3, weight_scale=3, **options),
        nn.Pool(dict(params), 2),
        nn.Flatten(),
        nn.Dense(dict(params), 36, 5, weight_scale=3, **options),
    )


NETWORKS = {
    "slayer": chain(CUBA),
    "delays": chain(CUBA, delay=True),
    "decays that learn": chain({**CUBA, "requires_grad": True}),
    "tdbn": chain({**CUBA, "norm": nn.TDBN}),
    "stbp": chain({**LIF, "gradient": "stbp"}),
    "stbp and tdbn": chain({**LIF, "gradient": "stbp-detached", "norm": nn.TDBN}),
    "hm2bp": chain({**CUBA, "gradient": "hm2bp"}),
}


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def settled(make, shape):
    """A network whose shapes its first input has fixed, and spikes for it."""
    torch.manual_seed(0)
    model, x = make(), (torch.rand(shape) < 0.5).float()
    model(x)
    return model, x


def outputs_and_gradients(model, x):
    outputs = tensors_in(model(x))
    loss = sum((y * torch.linspace(-1, 1, y.shape[-1], device=x.device)).sum() for y in outputs)
    if loss.requires_grad:
        loss.backward()
    return [y.detach().cpu() for y in outputs], [p.grad.cpu() for p in model.parameters() if p.grad is not None]


def check_like_cpu(model, x, tolerance=1e-5):
    """Outputs and gradients, and where everything lies."""
    copied = copy.deepcopy(model)
    expected, gradients = outputs_and_gradients(model, x)
    with standin_gpu() as memory:
        copied.to("cuda")
        found, same_gradients = outputs_and_gradients(copied, x.to("cuda"))
        assert all(t in memory for t in copied.state_dict().values())
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)
        assert torch.equal(a, b) or b.frac().any()  # spikes
    largest = max([float(g.abs().max()) for g in gradients], default=0)
    for a, b in zip(same_gradients, gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4 * largest)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("is_quantized", [False, True], ids=["float", "integers"])
def test_networks_train_as_on_the_cpu(name, is_quantized):
    model, x = settled(NETWORKS[name], (2, 2, 8, 8, 5))
    if is_quantized:
        quantize_(model.eval(), x)
    check_like_cpu(model, x)


def drawn(index):
    """A network of the audit, of our own blocks, and its input."""
    case, names = draw_case(11, index), {}
    source = script.write_network(case).replace("slayer.", "nn.")  # lava-dl's own would compile CUDA
    exec("\n".join([*script.IMPORTS.values(), source]), names)
    model, x = settled(names["Net"], (max(2, case.batch), *case.input_shape, case.time))
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return model, x


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("index", [3, 7, 17, 23, 29, 34])
def test_drawn_networks_train_as_on_the_cpu(index):
    check_like_cpu(*drawn(index))


def test_a_network_that_lies_on_the_gpu_is_lowered_alike():
    model, x = settled(NETWORKS["tdbn"], (2, 2, 8, 8, 5))
    model.eval()
    expected = pumice.lower(copy.deepcopy(model), x)
    with standin_gpu():
        graph = pumice.lower(model.to("cuda"), x.to("cuda"))
    assert graph_digests(graph) == graph_digests(expected)


@pytest.mark.parametrize("case", range(3))
def test_the_torch_backend_equals_the_reference(case):
    graph, x = example(cases(8, n_steps=24, longest_delay=9), case)
    expected = get_backend("reference").run(graph, x, record=True).records
    with standin_gpu():
        found = TorchBackend("cuda").run_batch(graph, np.stack([x, x]), record=True).records
    records = {
        name: type(record)(record.s[1], {state: values[1] for state, values in record.states.items()})
        for name, record in found.items()
    }
    assert first_difference(expected, records) is None


TINY = [
    *("data.max_train=16", "data.max_test=8", "data.steps=2", "training.batch_size=8", "training.epochs=1"),
    *("training.finetune_epochs=1", "training.optimizer=sgd", "training.lr=1e-2", "training.finetune_lr=1e-3"),
]
CONVNET = ["network.args.channels=[4]", "network.args.strides=[2]"]
RECIPES = {
    "digits": CONVNET,
    "digits, images on the device": [*CONVNET, "data.noise=0", "data.augment.RandomAffine.degrees=10"],
    "digits, averaged and mixed": [*CONVNET, "training.ema=0.9", "training.cutmix=0.5", "training.accumulate=2"],
    "digits-stmixer": ["network.args.embed_dim=8", "network.args.depth=1", "data.max_train=8", "data.max_test=4"],
}


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_train_as_on_the_cpu(name):
    recipe = PRESETS[name.partition(",")[0]].overridden([*TINY, *RECIPES[name]])
    expected = train(recipe, load_digits())
    with standin_gpu():
        found = train(recipe.overridden(["compute.accelerator=cuda"]), load_digits())
    states = [trained.model.state_dict() for trained in (found, expected)]
    for key, value in states[1].items():
        torch.testing.assert_close(states[0][key], value, rtol=1e-4, atol=1e-5)
    assert [r.test_accuracy for r in found.history] == [r.test_accuracy for r in expected.history]


@pytest.mark.slow
def test_what_gpu_py_measures_on_a_gpu_runs_to_its_end(monkeypatch, capsys):
    """But for CUDA graphs and autocast; its figures are none."""
    monkeypatch.syspath_prepend("benchmarks")
    gpu = importlib.import_module("gpu_kernels")
    monkeypatch.setattr(gpu, "check_graphs", lambda: None)
    monkeypatch.setattr(gpu, "median_ms", lambda call, *_args, **_options: (call(), 1.0)[1])
    simulation = importlib.import_module("gpu_simulation")
    monkeypatch.setattr(simulation, "lower_precision", nullcontext)
    with standin_gpu():
        gpu.kernels(SimpleNamespace(batch=1), GPU)
        simulation.simulation(SimpleNamespace(toy=True), GPU)
    printed = capsys.readouterr().out
    assert "18 blocks beside the CPU's: spikes equal" in printed
    assert "credit equals the CPU's" in printed
    assert "every state of 2 equal" in printed
    assert printed.count("100%") + printed.count("125%") + printed.count("175%") == 4


def times_one_of_the_cpu(x, _steps):
    return x * torch.ones(len(x)).view(-1, *[1] * (x.ndim - 1))


@pytest.mark.parametrize(
    ("shift", "error"),
    [
        (times_one_of_the_cpu, "same device"),
        (lambda x, _steps: torch.from_numpy(x.detach().numpy()), "can't convert"),
    ],
    ids=["a constant", "numpy"],
)
def test_what_a_layer_leaves_on_the_cpu_is_seen(shift, error, monkeypatch):
    monkeypatch.setattr(delay, "shift", shift)
    with pytest.raises((RuntimeError, TypeError), match=error):
        check_like_cpu(*settled(NETWORKS["delays"], (2, 2, 8, 8, 5)))


def test_what_the_backend_leaves_on_the_cpu_is_seen(monkeypatch):
    monkeypatch.setattr(Leaky, "_on_device", lambda _self, values: torch.as_tensor(values))
    with pytest.raises(RuntimeError, match="same device"):
        test_the_torch_backend_equals_the_reference(0)


def test_another_kernel_is_seen(monkeypatch):
    """Those that run are Triton's."""
    loops = operators._loops

    def without_adjoint(x):
        found = loops(x)
        return SimpleNamespace(**{**vars(found), "cuba_backward": lambda *_: None}) if x.is_cuda else found

    monkeypatch.setattr(operators, "_loops", without_adjoint)
    with pytest.raises(AssertionError):
        check_like_cpu(*settled(NETWORKS["slayer"], (2, 2, 8, 8, 5)))
