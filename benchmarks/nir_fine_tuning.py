"""A foreign Braille network: float -> imported with 8 bits -> fine-tuned through its rounding; accuracy of each.

    python benchmarks/nir_fine_tuning.py FILE.nir [--epochs 6]

The recordings that such files were trained on do not come with them. In their place: spike patterns whose rates the
float network itself tells apart best, three for each of its classes, drawn anew (Poisson) for each training and test
sample; a sample's label is its pattern's class. No choice is made by the test samples.
"""

import argparse

import numpy as np
import torch

import pumice
from pumice import nn
from pumice.nir.layers import read_network
from pumice.nir.reader import read_nir
from pumice.nir.simulation import simulate
from pumice.train.losses import SpikeCountCrossEntropyLoss

STEPS, PATTERNS, SPREAD = 256, 3, 0.3


def drawn(rng, rates, n):
    """(n * patterns, STEPS, channels) spikes, and which pattern each is of."""
    which = np.repeat(np.arange(len(rates)), n)
    return (rng.random((len(which), STEPS, rates.shape[1])) < rates[which, None]).astype(np.int8), which


def counts_of(network, x):
    return simulate(network, x.astype(float))[network.outputs[0]].sent.sum(1)


def patterns(network, rng, candidates=600, draws=3):
    """Rates that the float network answers most clearly, and their classes."""
    rates = rng.uniform(0, SPREAD, (candidates, *network.input_shape))
    x, _ = drawn(rng, rates, draws)
    counts = counts_of(network, x).reshape(candidates, draws, -1).mean(1)
    ordered = np.sort(counts, 1)
    margin, label = ordered[:, -1] - ordered[:, -2], counts.argmax(1)
    chosen = [np.flatnonzero(label == c)[np.argsort(-margin[label == c])[:PATTERNS]] for c in range(counts.shape[1])]
    chosen = np.concatenate(chosen)
    return rates[chosen], label[chosen]


def accuracy(model, x, labels):
    """Share of samples of which the most spikes are of the label's class."""
    with torch.no_grad():
        counts = torch.cat([model(part).sum(-1) for part in x.split(100)])
    return float((counts.argmax(1) == labels).float().mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", metavar="FILE.nir")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--train", type=int, default=40, help="training samples of each pattern")
    parser.add_argument("--test", type=int, default=40, help="test samples of each pattern")
    parser.add_argument("--rate", type=float, default=2e-3, help="learning rate, in thresholds")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    torch.manual_seed(options.seed)
    network = read_network(read_nir(options.file), 1e-4, "euler")
    rates, classes = patterns(network, rng)
    (x, which), (x_test, which_test) = (drawn(rng, rates, n) for n in (options.train, options.test))
    labels, labels_test = (torch.from_numpy(classes[k]) for k in (which, which_test))
    as_torch = [torch.from_numpy(part).movedim(1, -1).float() for part in (x, x_test)]
    print(f"{len(rates)} patterns of {len(set(classes))} classes; {len(x)} training and {len(x_test)} test samples")
    right = counts_of(network, x_test).argmax(1) == labels_test.numpy()
    print(f"float:                          {right.mean():.4f}")

    for weights in ("8bit", "split"):
        graph = pumice.from_nir(options.file, weights=weights, calibrate=x[:64])
        pairs = zip(x_test.astype(np.int32), labels_test.tolist(), strict=True)
        print(f"pumice.from_nir, {weights}:{'':{14 - len(weights)}} {pumice.evaluate(graph, pairs).accuracy:.4f}")
    model = nn.from_nir(options.file, calibrate=x[:64])
    print(f"pumice.nn.from_nir:             {accuracy(model, as_torch[1], labels_test):.4f}")

    loss_of = SpikeCountCrossEntropyLoss(beta=0.1)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], options.rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, options.epochs)
    for epoch in range(options.epochs):
        total = 0.0
        for batch in torch.randperm(len(x)).split(32):
            optimizer.zero_grad()
            loss = loss_of(model(as_torch[0][batch]), labels[batch])
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            total += float(loss.detach()) * len(batch)
        schedule.step()
        print(f"  epoch {epoch + 1}: loss {total / len(x):.4f}", flush=True)
    graph = pumice.lower(model, as_torch[0][:2])
    pairs = zip(x_test.astype(np.int32), labels_test.tolist(), strict=True)
    result = pumice.evaluate(graph, pairs, check={"reference": 1})
    print(f"fine-tuned, lowered, 8 bits:    {result.accuracy:.4f}; equal on the reference: {dict(result.checked)}")


if __name__ == "__main__":
    main()
