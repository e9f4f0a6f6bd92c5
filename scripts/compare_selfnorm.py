"""Self-normalizing networks against ReLU networks with norms, as Klambauer et al. compared them: a table of ranks.

Feed-forward networks on the data that scikit-learn ships: iris, wine, breast cancer, digits (8x8 images), and
diabetes, whose target is made a class (above its median, or not). Inputs are standardised with the training part's
statistics. Each data set is cross-validated; within each training part a fifth is held back, by which depth and
learning rate of each method are chosen, as in the paper. Ranks are those of the accuracy on the held-back folds, less
their mean, as in the paper's table: below 0 is better than average.

Klambauer, Unterthiner, Mayr, Hochreiter: Self-Normalizing Neural Networks, NeurIPS 2017, used other data: 121 sets of
the UCI repository (of which iris, wine and breast cancer are relatives), Tox21 and HTRU2, and 1000 epochs of SGD.

    uv run python scripts/compare_selfnorm.py                   # some minutes on two cores
    uv run python scripts/compare_selfnorm.py --depths 2 --folds 2 --steps 20 --data iris
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import torch
from sklearn import datasets
from sklearn.model_selection import StratifiedKFold, train_test_split
from torch.nn.utils.parametrizations import weight_norm

from pumice import nn

METHODS = ("SELU", "batch norm", "layer norm", "weight norm", "He")
RATES = (3e-3, 3e-4)
BATCH = 64
PAPERS = {"SELU": -0.756, "He": -0.240, "layer norm": -0.198, "weight norm": 0.397, "batch norm": 0.504}
"""Average rank differences of the paper over 121 data sets; its Highway (.021) and ResNet (.273) are not here."""


def load_diabetes() -> tuple[np.ndarray, np.ndarray]:
    x, y = datasets.load_diabetes(return_X_y=True)
    return x, (y > np.median(y)).astype(int)


LOADERS: dict[str, Callable[[], tuple[np.ndarray, np.ndarray]]] = {
    "iris": lambda: datasets.load_iris(return_X_y=True),
    "wine": lambda: datasets.load_wine(return_X_y=True),
    "breast_cancer": lambda: datasets.load_breast_cancer(return_X_y=True),
    "diabetes": load_diabetes,
    "digits": lambda: datasets.load_digits(return_X_y=True),
}


def network(method: str, sizes: list[int], dropout: float) -> torch.nn.Module:
    """Dense layers of these sizes with the method's activations, norms and initialisation."""
    if method == "SELU":
        return nn.SelfNormalizing(sizes, dropout=dropout)
    layers: list[torch.nn.Module] = []
    for fan_in, fan_out in itertools.pairwise(sizes):
        linear = torch.nn.Linear(fan_in, fan_out)
        torch.nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
        torch.nn.init.zeros_(linear.bias)
        layers.append(weight_norm(linear) if method == "weight norm" else linear)
        if method == "batch norm":
            layers.append(torch.nn.BatchNorm1d(fan_out))
        elif method == "layer norm":
            layers.append(torch.nn.LayerNorm(fan_out))
        layers += [torch.nn.ReLU(), torch.nn.Dropout(dropout)]
    last = max(index for index, layer in enumerate(layers) if isinstance(layer, torch.nn.Linear))
    return torch.nn.Sequential(*layers[: last + 1])  # nothing behind the answer


def train(model: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, rate: float, steps: int) -> None:
    """AdamW with a cosine schedule, over the samples in random order again and again."""
    optimizer = torch.optim.AdamW(model.parameters(), rate, weight_decay=1e-4, foreach=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    model.train()
    order = torch.cat([torch.randperm(len(x)) for _ in range(-(-steps * BATCH // len(x)))])
    for batch in order[: steps * BATCH].split(BATCH):
        loss = torch.nn.functional.cross_entropy(model(x[batch]), y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()


def accuracy(model: torch.nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    model.eval()
    with torch.no_grad():
        return float((model(x).argmax(1) == y).float().mean())


def tried(name: str, method: str, options: argparse.Namespace) -> np.ndarray:
    """Accuracies (fold, depth, learning rate, validation or test)."""
    torch.set_num_threads(1)
    x, y = LOADERS[name]()
    folds = StratifiedKFold(options.folds, shuffle=True, random_state=options.seed)
    found = np.zeros((options.folds, len(options.depths), len(RATES), 2))
    for fold, (training, test) in enumerate(folds.split(x, y)):
        mean, deviation = x[training].mean(0), x[training].std(0)
        standard = torch.tensor((x - mean) / np.where(deviation > 0, deviation, 1), dtype=torch.float32)
        labels = torch.tensor(y)
        learn, held = train_test_split(training, test_size=0.2, stratify=y[training], random_state=options.seed)
        for at, depth in enumerate(options.depths):
            for which, rate in enumerate(RATES):
                torch.manual_seed(options.seed + fold)
                sizes = [x.shape[1], *[options.width] * depth, int(y.max()) + 1]
                model = network(method, sizes, options.dropout)
                train(model, standard[learn], labels[learn], rate, options.steps)
                found[fold, at, which] = [accuracy(model, standard[part], labels[part]) for part in (held, test)]
    print(f"{name}, {method}: {100 * chosen(found).mean():.2f} %", file=sys.stderr, flush=True)
    return found


def chosen(found: np.ndarray) -> np.ndarray:
    """Test accuracy of the setting that is best on the validation part, of each fold; of equal ones the first."""
    flat = found.reshape(len(found), -1, 2)
    return flat[np.arange(len(flat)), flat[..., 0].argmax(1), 1]


def ranks(values: np.ndarray) -> np.ndarray:
    """1 for the largest of each row; equal ones share their mean rank."""
    larger = (values[:, None, :] > values[:, :, None]).sum(2)
    equal = (values[:, None, :] == values[:, :, None]).sum(2)
    return larger + (equal + 1) / 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--depths", type=int, nargs="+", default=[2, 8, 32], help="hidden layers")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=100, help="of the optimiser")
    parser.add_argument("--dropout", type=float, default=0.05, help="alpha dropout for SELU")
    parser.add_argument("--data", nargs="+", default=list(LOADERS), choices=list(LOADERS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    options = parser.parse_args()
    start = time.perf_counter()
    pairs = list(itertools.product(options.data, METHODS))
    if options.jobs == 1:
        runs = [tried(name, method, options) for name, method in pairs]
    else:
        with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
            runs = list(pool.map(tried, *zip(*pairs, strict=True), itertools.repeat(options)))
    found = dict(zip(pairs, runs, strict=True))

    def row(label: str, values: np.ndarray, form: str = "{:12.2f}") -> None:
        print(f"{label:16}" + "".join(form.format(value) for value in values))

    print(f"{'':16}" + "".join(f"{method:>12}" for method in METHODS))
    print("accuracy (%) on held-back folds; depth and learning rate chosen on a part of the training folds")
    table = np.array([[chosen(found[name, method]).mean() for method in METHODS] for name in options.data])
    for name, values in zip(options.data, table, strict=True):
        row(name, 100 * values)
    print("rank less the mean rank, averaged over the data sets; and the paper's, over its own")
    row("here", (ranks(table) - (len(METHODS) + 1) / 2).mean(0), "{:+12.2f}")
    row("paper", np.array([PAPERS[method] for method in METHODS]), "{:+12.3f}")
    print("accuracy (%), mean over the data sets, by hidden layers; only the learning rate chosen")
    for at, depth in enumerate(options.depths):
        by_method = [
            np.mean([chosen(found[name, method][:, at : at + 1]).mean() for name in options.data])
            for method in METHODS
        ]
        row(str(depth), 100 * np.array(by_method))
    print(f"{len(pairs) * found[pairs[0]][..., 0].size} networks, {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
