"""All that a GPU is needed for, in one command: kernels against their limit, simulation, steps, and a training.

    python benchmarks/gpu.py --data-root DIR -o OUT [--minutes 9] [--only STAGE] [--recipe NAME]
    python benchmarks/gpu.py --toy      # everything at a size for two CPU cores, in under a minute

1. `kernels`: each Triton kernel against the CPU's definition on random numbers, then its bytes per second against a
   copy's.
2. `simulate`: the torch backend on the GPU held to the reference on random graphs, and to `fast` on networks of this
   repository, every neuron and state, with TF32 and autocast switched on; then images per second of both.
3. `steps`: forward and backward pass and SGD's step of ResNet-19 (tdBN, T = 2), bfloat16 products, pumice beside
   SpikingJelly 2, where it imports, beside a chain of the same convolutions of lava-dl's own
   blocks (which have no residual sum), and pumice through the chip's integers; and a Spiking Token Mixer of 4 blocks,
   256 channels and 16 heads, T = 1 and T = 4, without surrogate modules.
4. `train`: a preset, `cifar10-resnet19` if no other is named, for the time that is left, with as many epochs as fit.
   Weights and statistics are written to OUT as float32 in parts of at most 15 MB, also while it trains; `--join OUT`
   makes one file of them.

It needs lava-dl, lava-nc (their Python files), pydantic and Lightning Fabric beside what an image with PyTorch,
Triton, NumPy, numba, h5py and torchvision has. Where no GPU is, kernels are skipped and the table says so.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from gpu_kernels import kernels
from gpu_simulation import simulation
from gpu_steps import steps
from gpu_timing import elapsed_seconds
from gpu_training import join, training

from pumice.errors import InputError


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("-o", "--out", type=Path, default=Path("runs/gpu"))
    parser.add_argument("--minutes", type=float, default=9.0)
    parser.add_argument("--only", choices=("kernels", "simulate", "steps", "train"))
    parser.add_argument("--recipe", default="cifar10-resnet19", help="a preset or a file, of the stage `train`")
    parser.add_argument("--batch", type=int, help="256 if not given; of the stage `train`, what the recipe says")
    parser.add_argument("--systems", default="", help="of the stage `steps`, as names with commas; all if not given")
    parser.add_argument("--finetune-epochs", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], help="section.key=value of the recipe, in JSON")
    parser.add_argument("--toy", action="store_true")
    parser.add_argument("--profile", action="store_true", help="print where a training step's time goes")
    parser.add_argument("--join", type=Path)
    args = parser.parse_args()
    if args.join:
        print(join(args.join))
        return
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    print(
        f"{device_name(device)}, torch {torch.__version__}, numpy {np.__version__}, Python {sys.version.split()[0]}"
    )
    args.out.mkdir(parents=True, exist_ok=True)
    stages: dict[str, Callable[..., None]] = {
        "kernels": kernels,
        "simulate": simulation,
        "steps": steps,
        "train": training,
    }
    for name, stage in stages.items():
        if args.only in {None, name}:
            print(f"\n{name} ({elapsed_seconds():.0f} s after the start)", flush=True)
            try:
                stage(args, device)
            except InputError as error:  # as of a recipe that there is not
                raise SystemExit(f"{name}: {error}") from error


def device_name(device: torch.device) -> str:
    """What it runs on."""
    return torch.cuda.get_device_name() if device.type == "cuda" else "no GPU: CPU"


if __name__ == "__main__":
    main()
