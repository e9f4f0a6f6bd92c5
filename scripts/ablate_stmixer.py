"""Spiking Token Mixer with and without surrogate modules, and with and without the short path: a small table.

The setting of Deng, Wu, Du, Gu (Spiking Token Mixer, NeurIPS 2024), at a size for one CPU core: bundled digits, and a
stream of 32 channels. Each row is trained, deployed and lowered; "deployed" is the accuracy of the integer graph on
the fast backend, "differ" the number of its answers that differ from the deployed PyTorch network's (must be 0).

    uv run scripts/ablate_stmixer.py [--epochs 15] [--seeds 2] [--steps 1] [--depth 2]
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np
import torch

import pumice
from pumice import ir, nn
from pumice.data import load_dataset
from pumice.errors import PumiceWarning
from pumice.models import STMixer, stmixer
from pumice.train.sml import SurrogateModuleLoss, watch_surrogates

LIF = {"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 0.5, "surrogate": "dspike"}
ROWS = {
    "complete": {"surrogates": True},
    "without SML": {"surrogates": False},
    "without short path": {"surrogates": True, "short_path": False},
    "without both": {"surrogates": False, "short_path": False},
    "without bias": {"surrogates": True, "bias": False},
}


def train(model: STMixer, x: torch.Tensor, labels: torch.Tensor, epochs: int, lr: float = 5e-3) -> None:
    """AdamW with a cosine, batches of 64."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.06)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    loss_of = SurrogateModuleLoss()
    model.train()
    with watch_surrogates(model) as surrogates:
        for _ in range(epochs):
            for batch in torch.randperm(len(x)).split(64):
                loss = loss_of((model(x[batch]), surrogates.take()), labels[batch])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            schedule.step()
    model.eval()


def accuracy(answers: np.ndarray, labels: np.ndarray) -> float:
    """Per cent of answers whose largest sum over time is the label's."""
    return 100 * float((answers.argmax(-1) == labels).mean())


def row(options: dict[str, bool], arguments: argparse.Namespace, seed: int) -> tuple[float, float, int]:
    """Accuracy in real numbers, of the graph, and the number of answers that differ."""
    torch.manual_seed(seed)
    data = load_dataset("digits")
    stream = [torch.as_tensor(split.samples).float().unsqueeze(-1) for split in (data.train, data.test)]
    x, test = (images.expand(*images.shape[:-1], arguments.steps) for images in stream)
    model = stmixer(LIF, (1, 8, 8), 10, embed_dim=32, depth=arguments.depth, heads=4, downsampling=1, **options)
    train(model, x, torch.as_tensor(data.train.labels), arguments.epochs)
    with torch.no_grad():
        in_real = accuracy(model(test).sum(-1).numpy(), data.test.labels)
        nn.deploy(model, x[:64], input_range=data.value_range)
        expected = (model(test) / model.head.unit).numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PumiceWarning)
        graph = pumice.lower(model, x[:2].clone(), input_range=data.value_range)
    samples = ir.torch_to_lava(test.numpy()).astype(np.int32)
    got = ir.from_stream(graph, pumice.run(graph, ir.to_stream(graph, samples), backend="fast").spikes, len(samples))
    return in_real, accuracy(got.sum(1), data.test.labels), int((got != ir.torch_to_lava(expected)).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--depth", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'':20} {'float %':>14} {'deployed %':>14} {'differ':>7} {'seconds':>8}")
    for name, options in ROWS.items():
        start = time.perf_counter()
        found = np.array([row(options, arguments, seed) for seed in range(arguments.seeds)])
        (real, deployed, _), spread = found.mean(0), found.std(0)
        print(
            f"{name:20} {real:7.2f} +-{spread[0]:5.2f} {deployed:7.2f} +-{spread[1]:5.2f} "
            f"{int(found[:, 2].sum()):7} {time.perf_counter() - start:8.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
