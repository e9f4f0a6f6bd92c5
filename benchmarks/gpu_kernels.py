"""`gpu.py`, stage `kernels`: equality with the CPU's loops, then bandwidth."""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
import torch
from gpu_steps import BATCH, LIF
from gpu_timing import median_ms
from gpu_training import changed, toy

from pumice import nn
from pumice.nn.kernels import operators
from pumice.nn.neurons.psp import Membrane, credit
from pumice.nn.surrogate import Rectangular
from pumice.train import train


def kernels(args: argparse.Namespace, device: torch.device) -> None:
    """Equality with the CPU's loops, then bandwidth."""
    if device.type != "cuda":
        print("not measured: no GPU (the interpreter's tests are tests/unit/nn/kernels/test_cuda.py)")
        return
    check_kernels(device)
    check_credit(device)
    check_graphs()
    n, channels, steps = (args.batch or BATCH) * 32 * 32, 128, 2
    shape = steps, n, channels
    x = torch.randn(shape, device=device)
    half, out, spikes = x.bfloat16(), torch.empty_like(x), torch.empty(shape, device=device, dtype=torch.bfloat16)
    size = x.numel()
    copy = median_ms(lambda: out.copy_(x), device)
    limit = 8 * size / copy / 1e6
    print(f"copy of {size / 1e6:.0f} million float32: {copy:.2f} ms, {limit:.0f} GB/s read and written")
    row, pair = torch.rand(channels, device=device), torch.empty(2, channels, device=device)
    stats = torch.empty(5, channels, device=device, dtype=torch.float64)
    flat, flat_out, flat_spikes = (t.view(steps, -1) for t in (x, out, spikes))
    none = torch.empty(0, dtype=torch.int64, device=device)
    keep, rest = torch.tensor([1024], device=device), torch.zeros(n * channels, device=device)
    tau = torch.tensor([0.25], device=device, dtype=torch.float64)
    kernel = Rectangular().kernel()
    u, numbers = x.new_empty(0, 0), (4096.0, 0.5, 2048.0, False)
    timed: dict[str, tuple[int, Callable[[], None]]] = {
        "norm: forward (bf16 to f32)": (
            8,
            lambda: operators.normalize_forward(half, row, row, 1e-5, False, out, stats),
        ),
        "neuron: forward (bf16 spikes)": (
            10,
            lambda: operators.cuba_forward(flat, none, keep, rest, rest, *numbers, u, flat_out, flat_spikes),
        ),
        "neuron: STBP backward": (
            10,
            lambda: operators.stbp_backward_of(spikes, x, tau, 0.5, 1.0, *kernel, False, out),
        ),
        "norm: backward (f32 to bf16)": (
            14,
            lambda: operators.normalize_backward(half, x, stats, False, spikes, pair),
        ),
    }
    print(f"{'kernel':32} {'ms':>7} {'GB/s':>7} {'of a copy':>9}")
    for name, (moved, call) in timed.items():
        ms = median_ms(call, device)
        rate = moved * size / ms / 1e6
        print(f"{name:32} {ms:7.2f} {rate:7.0f} {rate / limit:9.0%}")


def check_kernels(device: torch.device) -> None:
    """A block's spikes, gradients and statistics on the GPU are those of the CPU."""
    torch.manual_seed(0)
    worst, differing = 0.0, 0
    for surrogate in ("rectangular", "triangle", "arctan", "fast_sigmoid", "dspike", "exponential"):
        for gradient in ("stbp", "stbp-detached", "slayer"):
            lif = {**LIF, "surrogate": surrogate, "gradient": gradient}
            lif["current_decay"] = 0.5 if gradient == "slayer" else 1.0
            norm = lif.pop("norm")
            block = nn.Merge(lif, nn.IdentitySynapse(19, norm=norm))
            x, g = 3 * torch.randn(8, 19, 5, 5, 7), torch.randn(8, 19, 5, 5, 7)
            seen = []
            for where in (torch.device("cpu"), device):
                block = block.to(where)
                block.zero_grad()
                inside = x.clone().to(where).detach().requires_grad_()
                y = block(inside)
                y.backward(g.to(where))
                found = y, inside.grad, block.synapses[0].norm.scale.grad
                seen.append([tensor.detach().cpu().clone() for tensor in found])
            same = float((seen[0][0] == seen[1][0]).float().mean())
            errors = [float((b - a).norm() / a.norm()) for a, b in zip(seen[0][1:], seen[1][1:], strict=True)]
            worst = max(worst, *errors)
            if same < 0.9999 or max(errors) > 1e-2:  # a sum in another order can move a voltage over the threshold
                differing += 1
                print(f"DIFFERS: {surrogate}, {gradient}: {same:.6f} of the spikes equal, gradients {errors}")
    if differing:
        raise SystemExit(f"{differing} of 18 blocks differ from the CPU's")
    print(f"18 blocks beside the CPU's: spikes equal but for sums in another order, gradients to {worst:.0e}")


def check_credit(device: torch.device) -> None:
    """HM2-BP's credit of spikes on the GPU is the CPU's."""
    torch.manual_seed(0)
    spikes, (gradient, current) = (torch.rand(20, 3000) < 0.2).float(), torch.randn(2, 20, 3000)
    ours, theirs = (
        credit(spikes.to(d), gradient.to(d), current.to(d), Membrane(0.875, 0.98)) for d in ("cpu", device)
    )
    for name in ("per_step", "count", "error", "potential"):
        torch.testing.assert_close(getattr(theirs, name).cpu(), getattr(ours, name), rtol=1e-5, atol=1e-4)
    print("HM2-BP's credit equals the CPU's")


def check_graphs() -> None:
    """Replayed passes train as those that run one by one."""
    losses = []
    for graphs in (False, True):
        recipe, data = toy("cifar10-resnet19")
        few = {"epochs": 4, "finetune_epochs": 0, "batch_size": 2}
        recipe = changed(recipe, training=few, compute={"cuda_graphs": graphs})
        losses.append([record.loss for record in train(recipe, data).history])
    print("losses without and with CUDA graphs:", *(" ".join(f"{x:.5f}" for x in row) for row in losses), sep="\n  ")
    if not np.allclose(*losses, rtol=0.05):
        raise SystemExit("CUDA graphs train otherwise")
