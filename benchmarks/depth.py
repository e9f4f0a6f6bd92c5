"""How deep can it be trained? Residual networks of 19, 34 and 50 layers with tdBN and without.

Each is trained on the bundled 8x8 digits for a few epochs. Printed: the norm of the loss's gradient by the current
into each layer, first over last, before training (1 is a network that keeps gradients), and the accuracy on the test
split. `--plot` draws the norms of all layers and the accuracies; `--epochs 0` measures gradients only.

    uv run python benchmarks/depth.py --layers 19 34 50 --epochs 40 --samples 1437 --plot depth.svg

Zheng, Wu, Deng, Hu, Li: Going Deeper With Directly-Trained Larger Spiking Neural Networks, AAAI 2021.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from matplotlib.figure import Figure

from pumice import models, nn
from pumice.data import DirectEncoder, load_digits
from pumice.reporting.style import save

LIF = {"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 0.75}
BATCH = 32


def encode(split, value_range, steps):
    stream = DirectEncoder(steps=steps, image_range=value_range).encode(split.images, np.random.default_rng(0))
    return torch.tensor(stream, dtype=torch.float32), torch.tensor(split.labels)


def loss_of(model, x, y):
    """Cross-entropy of the membranes that the read-out gives, and the answers."""
    answers = model(x).sum(-1)
    return torch.nn.functional.cross_entropy(answers, y), answers.argmax(1)


def gradient_norms(model, x, y):
    """Norm of the gradient by the current into each layer's neurons, from the first layer to the last."""
    currents, handles = [], []

    def keep(_module, args):
        args[0].retain_grad()
        currents.append(args[0])

    neurons = [module.neuron for module in model.modules() if isinstance(module, nn.Merge)]
    handles = [neuron.register_forward_pre_hook(keep) for neuron in neurons]
    loss_of(model.train(), x, y)[0].backward()
    model.zero_grad()
    for handle in handles:
        handle.remove()
    return [float(current.grad.norm()) for current in currents]


def train(model, x, y, epochs, lr):
    steps, loss = max(1, epochs * -(-len(x) // BATCH)), torch.tensor(float("nan"))
    optimizer = torch.optim.AdamW(model.parameters(), lr, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    model.train()
    for _ in range(epochs):
        for batch in torch.randperm(len(x)).split(BATCH):
            loss = loss_of(model, x[batch], y[batch])[0]
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return loss.item()


def accuracy(model, x, y):
    model.eval()
    with torch.no_grad():
        hits = [(loss_of(model, xs, ys)[1] == ys).sum() for xs, ys in zip(x.split(256), y.split(256), strict=True)]
    return float(sum(hits)) / len(x)


def plot(norms, accuracies, path):
    """Norms of all layers, and accuracies by depth; `norms` and `accuracies` are by (layers, name of the norm)."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    depths = list(dict.fromkeys(layers for layers, _ in norms))
    for name, line, marker in (("tdBN", "-", "o"), ("none", ":", "x")):
        for index, layers in enumerate(depths):
            values = norms[layers, name]
            places = [i / (len(values) - 1) for i in range(len(values))]
            left.plot(places, values, line, color=f"C{index}", label=f"{layers} layers, norm {name}")
        right.plot(depths, [100 * accuracies[layers, name] for layers in depths], line + marker, label=f"norm {name}")
    left.set(yscale="log", xlabel="layer: 0 the first, 1 the last", ylabel="gradient's norm by the layer's current")
    left.set_title("Before training")
    right.set(xlabel="layers", ylabel="held-back digits recognised (%)", ylim=(0, 100), title="After training")
    for axes in (left, right):
        axes.legend(fontsize="small")
    save(figure, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", nargs="+", default=["19"])
    parser.add_argument("--width", type=float, default=1 / 8)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--samples", type=int, default=256, help="training samples")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--plot", help="file for the picture")
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = load_digits().limited(options.samples, None)
    x, y = encode(data.train, data.value_range, options.steps)
    x_test, y_test = encode(data.test, data.value_range, options.steps)
    print(f"{len(x)} training samples, {options.epochs} epochs, T = {options.steps}, width {options.width:g}")
    print("layers  norm   gradient first/last   loss    test accuracy   seconds")
    norms, accuracies = {}, {}
    for layers in options.layers:
        for name, norm in (("tdBN", nn.TDBN), ("none", None)):
            torch.manual_seed(0)
            model = models.resnet(
                {**LIF, "norm": norm}, (1, 8, 8), 10, layers=layers, width=options.width, readout="membrane"
            )
            norms[layers, name] = found = gradient_norms(model, x[:BATCH], y[:BATCH])
            start = time.perf_counter()
            loss = train(model, x, y, options.epochs, options.lr)
            seconds = time.perf_counter() - start
            right = accuracies[layers, name] = accuracy(model, x_test, y_test)
            print(
                f"{layers:>6}  {name}   {found[0] / found[-1]:>19.3e}   {loss:.3f}   {right:>13.1%}   {seconds:.0f}",
                flush=True,
            )
    if options.plot:
        plot(norms, accuracies, options.plot)


if __name__ == "__main__":
    main()
