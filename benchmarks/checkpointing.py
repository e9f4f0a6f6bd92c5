"""What `compute.checkpointing` saves and costs: peak memory and time of a training step, with and without it.

    python benchmarks/checkpointing.py [--network resnet34|stmixer] [--side 64] [--width 0.25] [--batch 8] [--steps 6]

Each case runs in a process of its own, one after the other, and begins with a step of one sample, which compiles. On
a CPU (of Linux) the figure is by how much the peak of resident memory (VmHWM, put back before the steps) exceeds what
was resident then; on a GPU (--device cuda) the peak of `torch.cuda`'s allocator above what was allocated. Precision
is float32 on a CPU, and bfloat16 for products on a GPU. The full networks of the recipes `imagenet-resnet34` and
`imagenet-stmixer` are `--side 224 --width 1`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from pumice import nn
from pumice.models import resnet, stmixer
from pumice.nn.recompute import checkpointed_
from pumice.train.runtime.precision import neurons_in_float32

REPEATS = 3


def main() -> None:
    """Run both cases, or, as the process of one, that one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=("resnet34", "stmixer"), default="resnet34")
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--width", type=float, default=0.25, help="of the recipe's network")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=6, help="time steps; the recipe of stmixer has 1")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--case", choices=("kept", "again"))
    args = parser.parse_args()
    if args.case is not None:
        print(json.dumps(measured(args)))
        return
    print("case         peak MiB   s per step")
    for case in ("kept", "again"):
        command = [sys.executable, __file__, *sys.argv[1:], "--case", case]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"{case:9} ended: {done.stderr.strip().splitlines()[-1:]}")
            continue
        found = json.loads(done.stdout.splitlines()[-1])
        print(f"{case:9} {found['bytes'] / 2**20:11,.0f} {found['seconds']:12.2f}")


def measured(args: argparse.Namespace) -> dict[str, float]:
    """Peak of memory above that before the first step, and the best time of a step."""
    torch.manual_seed(0)
    model = network(args).to(args.device)
    images = torch.randint(0, 17, (args.batch, 3, args.side, args.side), device=args.device).float()
    x = images[..., None].expand(*images.shape, args.steps)
    with torch.no_grad():
        model.eval()(x[:1])
    model.train()
    with neurons_in_float32(model), checkpointed_(model) if args.case == "again" else nullcontext():
        step(model, x[:1], args.device)
        before = allocated(args.device)
        times = [step(model, x, args.device) for _ in range(REPEATS)]
    return {"bytes": peak(args.device) - before, "seconds": min(times)}


def step(model: torch.nn.Module, x: torch.Tensor, device: str) -> float:
    """Seconds of a forward and a backward pass."""
    began = time.perf_counter()
    with torch.autocast(device, torch.bfloat16, enabled=device != "cpu"):
        answer = model(x)
    answer.float().sum(-1).logsumexp(1).mean().backward()
    model.zero_grad(set_to_none=True)
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - began


def network(args: argparse.Namespace) -> torch.nn.Module:
    """The recipe's network at this width, for 1000 classes."""
    shape = (3, args.side, args.side)
    lif: dict[str, Any] = {"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 0.75, "norm": nn.TDBN}
    if args.network == "resnet34":
        return resnet(lif, shape, 1000, layers="34", stem_kernel=7, width=args.width, readout="membrane")
    lif |= {"threshold": 1.0, "voltage_decay": 0.5, "surrogate": "dspike"}
    return stmixer(
        lif, shape, 1000, embed_dim=round(768 * args.width), depth=8, heads=8, downsampling=4, surrogates=True
    )


def allocated(device: str) -> int:
    """Bytes now; the peak begins anew."""
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated()
    Path("/proc/self/clear_refs").write_text("5")
    return of_status("VmRSS")


def peak(device: str) -> int:
    """Bytes at the highest since."""
    return torch.cuda.max_memory_allocated() if device != "cpu" else of_status("VmHWM")


def of_status(name: str) -> int:
    """Bytes that Linux states of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


if __name__ == "__main__":
    main()
