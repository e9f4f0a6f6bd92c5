"""Every product of the training blocks against sums over taps: no convolution kernel of torch is trusted."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from lava.lib.dl.slayer import synapse as slayer

from pumice import nn
from pumice.backends.torch.exact import exact_arithmetic
from pumice.errors import InputError
from pumice.nn.exact import direct_convolution
from pumice.nn.layout import slayer_order, time_major
from pumice.nn.synapses import slayer as synapse
from pumice.quantization import quantize_

LIF = {"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 0.25}


def convolution_by_taps(
    x: torch.Tensor, weight: torch.Tensor, *, stride: Any, padding: Any, dilation: Any, groups: int
) -> torch.Tensor:
    """Float64 sums over the kernel's taps: exact for integers, whatever torch's convolutions do."""
    x = F.pad(x.double(), (0, 0, padding[1], padding[1], padding[0], padding[0]))
    out, per_group, *kernel = weight.shape
    size = [(x.shape[2 + d] - dilation[d] * (kernel[d] - 1) - 1) // stride[d] + 1 for d in range(2)]
    total: Any = 0
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            rows = slice(i * dilation[0], i * dilation[0] + (size[0] - 1) * stride[0] + 1, stride[0])
            columns = slice(j * dilation[1], j * dilation[1] + (size[1] - 1) * stride[1] + 1, stride[1])
            taps = x[:, :, rows, columns].unflatten(1, (groups, per_group))
            tap = weight[:, :, i, j].double().unflatten(0, (groups, out // groups))
            total = total + (taps.unsqueeze(2) * tap[None, :, :, :, None, None, None]).sum(3)
    return total.flatten(1, 2)


def random_convolution(rng: np.random.Generator, largest: int) -> dict[str, Any]:
    groups = int(rng.choice([1, 1, 1, 2, 3]))
    kernel = rng.integers(1, 6, 2)
    dilation, padding = rng.integers(1, 3, 2), rng.integers(0, 4, 2)
    fits = np.maximum(dilation * (kernel - 1) + 1 - 2 * padding, 1)
    # Often an axis along which the kernel fits once: a shape for which libraries have kernels of their own.
    size = np.where(rng.random(2) < 0.3, fits, np.maximum(rng.integers(1, largest, 2), fits))
    if rng.random() < 0.1:  # what most networks consist of, and what libraries transform
        kernel, dilation, padding, size, groups = (
            np.full(2, 3),
            np.ones(2, int),
            np.ones(2, int),
            np.maximum(size, 4),
            1,
        )
        stride = np.ones(2, int)
    else:
        stride = rng.integers(1, 5, 2)
    return {
        "shape": (
            int(rng.integers(1, 4)),
            groups * int(rng.choice([1, 2, 5])),
            *map(int, size),
            int(rng.integers(1, 22)),
        ),
        "out": groups * int(rng.choice([1, 2, 4, 8])),
        "kernel": tuple(map(int, kernel)),
        "stride": tuple(map(int, stride)),
        "padding": tuple(map(int, padding)),
        "dilation": tuple(map(int, dilation)),
        "groups": groups,
    }


def laid_out(x: torch.Tensor, kind: str) -> torch.Tensor:
    """The same values, in another order in memory."""
    if kind == "channels last":
        return x.to(memory_format=torch.channels_last_3d)
    if kind == "time-major":
        return slayer_order(time_major(x))
    if kind == "strided":
        wide = torch.full((*x.shape[:-1], 2 * x.shape[-1]), 1e30)
        wide[..., ::2] = x
        return wide[..., ::2]
    if kind == "expanded":
        return x[:1, ..., :1].expand(x.shape)
    return x


def wrong_convolutions(n: int, seed: int, largest: int = 12) -> Iterator[str]:
    """Which of `n` random convolutions of spikes, forward and backward, are not the sums over their taps."""
    rng = np.random.default_rng(seed)
    for index in range(n):
        case = random_convolution(rng, largest)
        seed_of_values = int(rng.integers(1 << 30))
        kind = str(rng.choice(["contiguous", "channels last", "time-major", "strided", "expanded"]))
        for name in wrong_results(case, kind, seed_of_values):
            yield f"{index}: {name} of {case}, {kind}"


def wrong_results(case: dict[str, Any], kind: str, seed: int) -> Iterator[str]:
    """What of one convolution is not the sum over its taps."""
    generator = torch.Generator().manual_seed(seed)
    junk = [torch.full((size,), 1e30) for size in range(1, 3000, 60)]  # what uninitialised memory will hold
    del junk
    x = laid_out(torch.randint(-3, 4, case["shape"], generator=generator).float(), kind).requires_grad_()
    in_group = case["shape"][1] // case["groups"]
    weight = 2.0 * torch.randint(-128, 128, (case["out"], in_group, *case["kernel"]), generator=generator)
    weight.requires_grad_()
    options = {name: case[name] for name in ("stride", "padding", "dilation", "groups")}
    y = synapse.convolve_steps(x, weight, **options)
    expected = convolution_by_taps(x, weight, **options)
    g = torch.randint(-2, 3, y.shape, generator=generator).float()
    got = [y, *torch.autograd.grad(y, (x, weight), g)]
    right = [expected, *torch.autograd.grad(expected, (x, weight), g.double())]
    for name, a, b in zip(("sums", "input's gradient", "weight's gradient"), got, right, strict=True):
        if not torch.equal(a.double(), b.double()):
            yield name


def images_with_channels_last(x: torch.Tensor) -> torch.Tensor:
    return x.flatten(0, 1).movedim(-1, 1)


def has_the_fault_of_one_channel() -> bool:
    """Whether this torch on this processor computes garbage for one channel in channels-last strides."""
    ones = torch.empty_strided((20, 1, 4, 2), (8, 1, 2, 1)).copy_(torch.ones(20, 1, 4, 2))
    kernel = torch.ones(2, 1, 2, 3)
    right = F.conv2d(ones.contiguous().double(), kernel.double(), None, (1, 2), (0, 1))
    return not torch.equal(F.conv2d(ones, kernel, None, (1, 2), (0, 1)).double(), right)


def test_convolutions_of_any_shape_stride_and_layout_are_the_sums_over_their_taps():
    assert list(wrong_convolutions(300, seed=0)) == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 9))
def test_many_more_convolutions_are_the_sums_over_their_taps(seed):
    assert list(wrong_convolutions(1500, seed, largest=24)) == []


def test_the_judge_finds_the_convolution_of_one_channel_that_reads_unwritten_memory(monkeypatch):
    if not has_the_fault_of_one_channel():
        pytest.skip("this torch on this processor does not have the fault")
    monkeypatch.setattr(synapse, "_images", images_with_channels_last)
    case = {"shape": (4, 1, 4, 2, 5), "out": 2, "kernel": (2, 3), "stride": (1, 2), "padding": (0, 1)}
    assert "sums" in wrong_results({**case, "dilation": (1, 1), "groups": 1}, "contiguous", seed=0)


def test_convolutions_without_onednn_are_the_sums_over_their_taps(without_onednn):
    assert list(wrong_convolutions(100, seed=0)) == []


def test_the_judge_finds_transforms_that_round(without_onednn, monkeypatch):
    if not torch._nnpack_available():
        pytest.skip("this torch has no NNPACK")
    monkeypatch.setattr(synapse, "direct_convolution", nullcontext)
    assert any(wrong_convolutions(200, seed=0))


def test_the_judge_finds_a_stride_taken_for_the_other_axis(monkeypatch):
    convolve = synapse.convolve_steps
    monkeypatch.setattr(
        synapse, "convolve_steps", lambda x, w, *, stride, **options: convolve(x, w, stride=stride[::-1], **options)
    )
    with pytest.raises((RuntimeError, AssertionError)):
        assert wrong_convolutions(20, seed=0) == []


@pytest.fixture
def without_onednn():
    torch._C._set_mkldnn_enabled(False)
    yield
    torch._C._set_mkldnn_enabled(True)


def random_blocks(rng: np.random.Generator) -> list[tuple[Any, tuple[int, ...]]]:
    """A synapse of each kind, with the shape of what enters."""
    batch, steps = int(rng.choice([1, 2, 257 if rng.random() < 0.2 else 3])), int(rng.integers(1, 12))
    channels, size = int(rng.choice([1, 2, 4])), tuple(map(int, rng.integers(1, 7, 2)))
    n, out = int(rng.integers(1, 80)), int(rng.integers(1, 70))
    image = (batch, channels, *size, steps)
    kernel = tuple(int(rng.choice([k for k in range(1, s + 1) if s % k == 0])) for s in size)
    return [
        (nn.Dense(LIF, n, out).synapse, (batch, n, steps)),
        (nn.DenseSynapse(n, out), (batch, n, steps)),
        (nn.LinearSynapse(channels, out, positions=size[0] * size[1]), image),
        (nn.Pool(LIF, kernel).synapse, image),
        (nn.TokenMixingSynapse(channels, tokens=size[0] * size[1]), image),
        (nn.IdentitySynapse(channels), image),
    ]


def by_elements(module: Any, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """The definition, in float64, without a matrix product of torch."""
    x, weight = x.double(), weight.double()
    if isinstance(module, slayer.Pool):
        by = module.kernel_size[:2]
        split = x.unflatten(3, (-1, by[1])).unflatten(2, (-1, by[0]))
        return split.sum((3, 5)) * weight.view(-1)[0]
    if isinstance(module, nn.IdentitySynapse):
        return x * weight.view(1, -1, 1, 1, 1)
    if isinstance(module, nn.TokenMixingSynapse):
        tokens = x.flatten(2, 3)
        return (weight[0][None, None, :, :, None] * tokens[:, :, None]).sum(3).view(x.shape)
    if isinstance(module, nn.LinearSynapse):
        x = x.flatten(2, 3).sum(2)
    return (weight.flatten(1)[None, :, :, None] * x[:, None]).sum(2)


@pytest.mark.parametrize("seed", range(4))
def test_every_other_product_is_the_sum_over_its_elements(seed):
    rng = np.random.default_rng(seed)
    for _ in range(6):
        for module, shape in random_blocks(rng):
            density = float(rng.choice([0.02, 0.5]))
            spikes = torch.from_numpy((rng.random(shape) < density) * rng.integers(-3, 4, shape)).float()
            integers = 2.0 * torch.from_numpy(rng.integers(-128, 128, module.weight.shape)).float()
            if isinstance(module, slayer.Pool):
                integers = torch.full_like(integers, float(integers.view(-1)[0]))
            if isinstance(module, nn.AbstractSynapse):
                got = module.linear(spikes, integers)
            else:
                module.pre_hook_fx = lambda _, integers=integers: integers
                got = module(spikes)
            expected = by_elements(module, spikes, integers)
            assert torch.equal(got.double(), expected.view(got.shape)), (type(module).__name__, shape)


MODES: dict[str, Any] = {
    "autocast to bfloat16": lambda stack: stack.enter_context(torch.autocast("cpu", torch.bfloat16)),
    "autocast to float16": lambda stack: stack.enter_context(torch.autocast("cpu", torch.float16)),
    "inference mode": lambda stack: stack.enter_context(torch.inference_mode()),
    "products in bfloat16": lambda stack: (
        stack.callback(torch.set_float32_matmul_precision, torch.get_float32_matmul_precision()),
        torch.set_float32_matmul_precision("medium"),
    ),
    "float64 by default": lambda stack: (
        stack.callback(torch.set_default_dtype, torch.get_default_dtype()),
        torch.set_default_dtype(torch.float64),
    ),
    "deterministic": lambda stack: (
        stack.callback(torch.use_deterministic_algorithms, False),
        torch.use_deterministic_algorithms(True),
    ),
    "without oneDNN": lambda stack: (
        stack.callback(torch._C._set_mkldnn_enabled, True),
        torch._C._set_mkldnn_enabled(False),
    ),
    "one thread": lambda stack: (
        stack.callback(torch.set_num_threads, torch.get_num_threads()),
        torch.set_num_threads(1),
    ),
}


class Everything(torch.nn.Module):
    """Convolution, pooling, a merge, token mixing, currents, recurrence: every product there is."""

    def __init__(self) -> None:
        super().__init__()
        norm = {**LIF, "norm": nn.TDBN}
        self.conv = nn.Conv(norm, 2, 8, 3, padding=1)
        self.pool = nn.Pool(LIF, 2, weight_scale=0.4)
        half = lambda: nn.TDBN(alpha=2**-0.5)  # noqa: E731
        self.merge = nn.Merge(
            LIF, nn.ConvSynapse(8, 8, 3, padding=1, norm=half), nn.IdentitySynapse(8, norm=half), delay=True
        )
        self.mix = nn.Merge(LIF, nn.TokenMixingSynapse(8, tokens=16, heads=2))
        self.synapse, self.neurons = nn.ConvSynapse(8, 8, 1, norm=nn.TDBN(threshold=0.5)), nn.Neurons(LIF)
        self.flat, self.recurrent = nn.Flatten(), nn.Recurrent(LIF, 128, 40, weight_scale=4)
        self.last = nn.Dense(norm, 40, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.pool(self.conv(x))
        h = self.mix(self.merge(h, h))
        h = self.neurons(nn.Current.of(self.synapse, h))
        return self.last(self.recurrent(self.flat(h)))


@pytest.fixture(scope="module")
def deployed() -> tuple[torch.nn.Module, torch.Tensor]:
    torch.manual_seed(0)
    model, x = Everything(), torch.randint(0, 200, (4, 2, 8, 8, 12)).float()
    for _ in range(3):
        model.train()(x)
    quantize_(model.eval(), x, input_range=(0, 255))
    return model, x


@pytest.mark.parametrize("mode", MODES)
def test_integers_do_not_depend_on_ambient_modes(deployed, mode):
    model, x = deployed
    spikes = model(x).detach()
    assert 0.05 < spikes.mean() < 0.95
    with ExitStack() as stack:
        MODES[mode](stack)
        assert torch.equal(model(x).detach().float(), spikes)


@pytest.mark.parametrize("kind", ["channels last", "time-major", "strided"])
def test_integers_do_not_depend_on_the_order_in_memory(deployed, kind):
    model, x = deployed
    assert torch.equal(model(laid_out(x, kind)), model(x))


def test_integers_do_not_depend_on_the_batch(deployed):
    model, x = deployed
    many = x.repeat(65, 1, 1, 1, 1)[:257]
    spikes = model(many)
    assert torch.equal(spikes[:4], model(x))
    assert torch.equal(spikes[256:], model(x[:1]))
    assert torch.equal(model(x[:1].expand(3, *x.shape[1:])), model(x[:1]).expand(3, 10, 12))


def test_without_the_guard_autocast_is_noticed(deployed, monkeypatch):
    model, x = deployed
    monkeypatch.setattr("pumice.backends.torch.exact._DEVICES", ())
    with torch.autocast("cpu", torch.bfloat16), pytest.raises(InputError, match="float32 or float64"):
        model(x)


@pytest.mark.parametrize("device", ["cpu", "cuda", "xpu", "mps"])
def test_autocast_of_any_device_is_off_under_the_guard(device):
    torch.set_autocast_enabled(device, True)
    try:
        with exact_arithmetic():
            assert not torch.is_autocast_enabled(device)
        assert torch.is_autocast_enabled(device)
    finally:
        torch.set_autocast_enabled(device, False)


def test_the_guard_leaves_the_modes_as_they_were():
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        with torch.autocast("cpu", torch.bfloat16):
            with exact_arithmetic():
                assert not torch.is_autocast_enabled("cpu")
                assert torch.backends.mkldnn.matmul.fp32_precision == "ieee"
            assert torch.is_autocast_enabled("cpu")
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)


@pytest.mark.parametrize(
    ("guard", "mode"),
    [
        (exact_arithmetic, lambda: torch.backends.mkldnn.matmul.fp32_precision == "ieee"),
        (direct_convolution, lambda: not torch._C._get_nnpack_enabled()),
    ],
)
def test_a_guard_holds_until_the_last_thread_has_computed(guard, mode):
    """Modes belong to the process: a thread that is done must not give them back while another computes."""
    inside, other_is_inside = threading.Event(), threading.Event()

    def computes():
        with guard():
            inside.set()
            other_is_inside.wait(60)

    before = torch.get_float32_matmul_precision()
    thread = threading.Thread(target=computes)
    try:
        torch.set_float32_matmul_precision("medium")
        torch._C._set_mkldnn_enabled(guard is exact_arithmetic)
        thread.start()
        inside.wait(60)
        with guard():
            other_is_inside.set()
            thread.join()
            assert mode()
        assert not mode()
    finally:
        other_is_inside.set()
        torch._C._set_mkldnn_enabled(True)
        torch.set_float32_matmul_precision(before)
