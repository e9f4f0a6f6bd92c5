"""Rewrite netx_exports/: train each network, hold every backend to it, write network.net and CARD.md.

Nothing else writes there. Run: uv run python scripts/export_networks.py [--data-root DIR] [NAME ...]
From the networks as they are, without training: --renew writes certificates and seals anew, about the same runs;
--fit puts relays in where no core can hold a population (passes.split_fan_in), held to the network before on the
reference, fast and Lava; --plans writes the row of `pumice plan` in the cards, --metrics that of `pumice metrics`.
--card FILE.net writes the card of a network that a GPU trained (benchmarks/gpu.py), FILE.md, after all test samples
on fast and some on reference, torch and Lava; of the full-width ResNet-19 that takes an hour or two.
A training that was interrupted goes on from its checkpoint in runs/exports/. For the spread in a card, see
scripts/cross_validate.py.
"""

import argparse
import hashlib
import json
import re
import sys
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import pumice
from pumice.backends.lava import LavaBackend
from pumice.data import Dataset, load_dataset
from pumice.data.recipe import DataRecipe, recorded_test
from pumice.ir import Certificate, Graph, latencies, recorded_samples
from pumice.names import counted
from pumice.pipeline import PipelineResult, run_pipeline
from pumice.planner.remedy import fit_cores
from pumice.planner.text import as_line
from pumice.train import PRESETS, EpochRecord, load_checkpoint
from pumice.train.cross_validate import FoldResult, spread

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "netx_exports"
NETWORKS = (
    *("digits", "digits-resnet", "digits-stmixer"),
    *("mnist", "mnist-hm2bp", "mnist-hm2bp-cnn", "mnist-stmixer", "nmnist"),
    *("fsdd", "fsdd-delays"),
    *("cifar10-resnet", "cifar10-stmixer", "cifar10-resnet19"),
)
CHECKPOINTS = ROOT / "runs/exports"
LARGE = 1000
"""Test samples from which on the fast backend runs them all."""
LAVA_SAMPLES = {"cifar10-resnet": 20, "cifar10-stmixer": 20, "cifar10-resnet19": 0}
"""How many test samples run on Lava; 100 of the others. A step of the largest takes Lava minutes: see --card."""
CARD_SAMPLES = 20
"""How many run on Lava, the reference and torch for --card."""

METRICS = "| NeuroBench's metrics (`pumice metrics`) |"
PLAN = "| on a Loihi 2, estimated (`pumice plan`) |"

CARD = """# {name}

A spiking network in NetX HDF5, with a certificate: `pumice verify {path}` holds any backend
to a recorded run of {certificate_samples} samples.

| | |
| --- | --- |
| task | {classes} classes, input {image}, {steps}, {encoding} encoding with values {low} to {high} |
| layers | {layers} |
| data | {source} |
| split | {n_train} samples to train with, {n_test} held back |
| accuracy, real numbers | {accuracy_float:.2f} % of the held-back samples |
| accuracy, this file | {accuracy_deployed:.2f} % of the held-back samples |
| exactness | {exactness} |
{folds}| read-out | {readout} |
{plan}
{metrics}
| command | `{command}` |
| versions | {versions} |
| SHA-256 | `{sha256}` |
| licence | network BSD-3-Clause, as the repository; data as stated above |

Written by `scripts/export_networks.py`; do not edit. Training again gives the same network on the same machine and
versions; elsewhere float sums may round differently and give another, equally good one.
"""


def card_of(name: str, result: PipelineResult) -> str:
    trained, differing = result.trained, result.differing_spikes + result.differing_states
    lava = f"reference and Lava on {result.lava_samples} back to back" if result.lava_samples else "not on Lava"
    return card(
        result.graph,
        result.path,
        what=name,
        recipe=trained.recipe,
        dataset=trained.dataset,
        encoder=trained.encoder,
        accuracies=(result.accuracy_float, result.accuracy_deployed),
        exactness=f"{result.backend} and deployed torch network on all {len(trained.dataset.test)}, {lava}: "
        f"{result.compared_values:,} integers compared, {differing} differ",
    )


def card(
    graph: Graph,
    path: Path,
    *,
    what: str,
    recipe: DataRecipe,
    dataset: Dataset,
    encoder: Any,
    accuracies: tuple[float, float],
    exactness: str,
) -> str:
    name, (low, high) = graph.info["name"], encoder.value_range
    channel, height, width = dataset.sample_shape
    data_root = "" if recipe.data.dataset == "digits" else "--data-root DIR "
    return CARD.format(
        name=name,
        path=shown(path),
        command=f"uv run python scripts/export_networks.py {data_root}{what}",
        certificate_samples=len(recorded_samples(graph)),
        classes=len(dataset.class_names),
        image=f"{width} x {height} x {channel}",
        steps=counted(recipe.data.steps, "time step"),
        encoding=recipe.data.encoding,
        low=low,
        high=high,
        layers=layers(graph),
        source=dataset.source,
        n_train=len(dataset.train),
        n_test=len(dataset.test),
        accuracy_float=100 * accuracies[0],
        accuracy_deployed=100 * accuracies[1],
        folds=cross_validated(name, recipe.data.dataset),
        exactness=exactness,
        readout=graph.info["readout"],
        plan=plan_row(graph),
        metrics=metrics_row(graph),
        versions=graph.info["versions"],
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )


def card_of_file(path: Path, data_root: str | None) -> str:
    graph = pumice.load(path)
    test = recorded_test(graph, data_root)
    n = min(CARD_SAMPLES, len(test))
    lava = LavaBackend(in_threads=True, stall_timeout_s=3600)  # a step of large convolutions takes minutes
    found = pumice.evaluate(graph, test, check={"reference": n, "torch": n, lava: n})  # raises where one differs
    recipe = test.recipe
    return card(
        graph,
        path,
        what=f"--card {shown(path)}",
        recipe=recipe,
        dataset=load_dataset(recipe.data.dataset, data_root, **recipe.data_arguments()),
        encoder=test.encoder,
        accuracies=(float(graph.info["accuracy_float"]), found.accuracy),
        exactness=f"fast on all {len(test)}; reference, torch and Lava (its models in threads) on {n} back to back: "
        f"{sum(found.checked.values()):,} integers compared, 0 differ",
    )


def shown(path: Path) -> str:
    """As seen from the repository, or a file's name: a card says nothing of where else it lay."""
    path = path.resolve()
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else path.name


def layers(graph: Graph) -> str:
    return ", ".join(f"{p.name} {' x '.join(map(str, p.shape))}" for p in graph.populations)


def plan_row(graph: Graph) -> str:
    return f"{PLAN} {as_line(pumice.plan(graph))} |"


def metrics_row(graph: Graph) -> str:
    """Of the samples that the certificate records, so that no data are needed."""
    found = pumice.metrics(graph, [(sample, 0) for sample in recorded_samples(graph)])
    work = found.synaptic_operations
    return (
        f"{METRICS} footprint {found.footprint:,} bytes; connection sparsity {found.connection_sparsity:.4f}; on the "
        f"{found.samples} recorded samples: activation sparsity {found.activation_sparsity:.4f}, "
        f"{work['Effective_ACs']:,.0f} ACs and {work['Effective_MACs']:,.0f} MACs a sample (dense "
        f"{work['Dense']:,.0f}), {found.membrane_updates:,.0f} membrane updates |"
    )


def put_row(path: Path, row: str, begins: str, behind: str) -> None:
    """Put a row that needs no training into a card, in place of the old one if there is one, behind another row."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith(begins)]
    after = next(i for i, line in enumerate(lines) if line.startswith(behind))
    lines.insert(after + 1, row)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def renew(folder: Path) -> None:
    """Write a network again as this version does: its certificate, which must be about the same run, and its seal."""
    path = folder / "network.net"
    graph = pumice.load(path)
    old = graph.certificate
    renewed = pumice.certify(graph, old.x)
    if not is_same_run(old, renewed.certificate):
        raise SystemExit(f"{path}: the recorded run differs from this version's")
    pumice.save(renewed, path)
    rewrite_row(folder, "SHA-256", f"`{hashlib.sha256(path.read_bytes()).hexdigest()}`")


def rewrite_row(folder: Path, row: str, text: str) -> None:
    card = (folder / "CARD.md").read_text(encoding="utf-8")
    card = re.sub(rf"(?m)^\| {row} \|.*$", lambda _: f"| {row} | {text} |", card)
    (folder / "CARD.md").write_text(card, encoding="utf-8")


def fit(folder: Path) -> None:
    """Put relays into a network that no core can hold, and hold the populations that it had to what they were."""
    path = folder / "network.net"
    graph = pumice.load(path)
    fitted = fit_cores(graph)
    if fitted is graph:
        return
    later = fitted.latency - graph.latency
    x = graph.certificate.x
    fitted = pumice.certify(fitted, np.concatenate([x, np.zeros((later, *x.shape[1:]), x.dtype)]))
    values = {backend: equal_values(graph, fitted, backend) for backend in ("reference", "fast", "lava")}
    relays = ", ".join(sorted({p.name for p in fitted.populations} - {p.name for p in graph.populations}))
    pumice.save(fitted, path)
    rewrite_row(folder, "layers", layers(fitted))
    rewrite_row(
        folder,
        "exactness",
        re.search(r"(?m)^\| exactness \| (.*) \|$", (folder / "CARD.md").read_text(encoding="utf-8"))[1]
        + f"; then {relays} were put in, so that each population fits cores: latency {fitted.latency}, not "
        f"{graph.latency}, and of the other populations {sum(values.values()):,} integers compared with what they "
        f"were, on {', '.join(values)}, 0 differ",
    )
    rewrite_row(folder, "SHA-256", f"`{hashlib.sha256(path.read_bytes()).hexdigest()}`")
    put_row(folder / "CARD.md", plan_row(fitted), PLAN, "| read-out |")
    put_row(folder / "CARD.md", metrics_row(fitted), METRICS, PLAN)


def equal_values(graph: Graph, fitted: Graph, backend: str) -> int:
    """How many values of the graph's populations are in both runs, each from its first step that has an input."""
    before, after = latencies(graph), latencies(fitted)
    old, new = (pumice.run(g, g.certificate.x, backend=backend, record=True).records for g in (graph, fitted))
    n = 0
    for name, record in old.items():
        for quantity, values in record.values().items():
            found = new[name].values()[quantity][after[name] :][: len(values) - before[name]]
            if not np.array_equal(found, values[before[name] :]):
                raise SystemExit(f"{graph.info['name']}: {name}, {quantity} differs on {backend}")
            n += found.size
    return n


def is_same_run(a: Certificate, b: Certificate) -> bool:
    spikes = a.spikes.keys() == b.spikes.keys() and all(np.array_equal(a.spikes[k], b.spikes[k]) for k in a.spikes)
    return spikes and (a.spike_counts, a.state_digests) == (b.spike_counts, b.state_digests)


def cross_validated(name: str, dataset: str) -> str:
    """A row on what `scripts/cross_validate.py` found, if it was run."""
    path = CHECKPOINTS / name / "folds.json"
    if not path.exists():
        return ""
    folds = [FoldResult(**values) for values in json.loads(path.read_text())]
    deployed = spread([fold.accuracy_deployed for fold in folds if fold.accuracy_deployed is not None])
    each = ", ".join(f"{fold.name} {100 * (fold.accuracy_deployed or 0):.2f}" for fold in folds)
    how = (
        "leaving out one speaker at a time"
        if dataset == "fsdd"
        else "parts of the training samples held back in turn"
    )
    return f"| cross-validated, {how} | {deployed} in the chip's integers ({each}) |\n"


def show(epoch: EpochRecord) -> None:
    print(f"{epoch.phase} {epoch.epoch}: {100 * epoch.test_accuracy:.2f} % of the held-back samples", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(NETWORKS)}; all by default")
    parser.add_argument("--data-root", help="folder with the data, for networks whose data are not bundled")
    parser.add_argument("--renew", action="store_true", help="only write certificates and seals anew, runs unchanged")
    parser.add_argument("--metrics", action="store_true", help="only write the cards' row of `pumice metrics` anew")
    parser.add_argument("--card", type=Path, metavar="FILE.net", help="only write the card of a network, FILE.md")
    parser.add_argument("--plans", action="store_true", help="only write the cards' row of `pumice plan` anew")
    parser.add_argument("--fit", action="store_true", help="only put relays in where no core can hold a population")
    options = parser.parse_args()
    if options.card:
        path = options.card.resolve()
        path.with_suffix(".md").write_text(card_of_file(path, options.data_root), encoding="utf-8")
        return 0
    for name in options.names or NETWORKS:
        folder = FOLDER / name
        if options.plans or options.metrics:
            graph = pumice.load(folder / "network.net")
            if options.plans:
                put_row(folder / "CARD.md", plan_row(graph), PLAN, "| read-out |")
            if options.metrics:
                put_row(folder / "CARD.md", metrics_row(graph), METRICS, PLAN)
            continue
        if options.renew:
            renew(folder)
            continue
        if options.fit:
            fit(folder)
            continue
        folder.mkdir(parents=True, exist_ok=True)
        recipe = PRESETS[name]
        dataset = load_dataset(recipe.data.dataset, options.data_root, **recipe.data.args)
        backend = "reference" if len(dataset.test) < LARGE else "fast"
        checkpoint = CHECKPOINTS / name / "checkpoint.pt"
        result = run_pipeline(
            recipe,
            dataset,
            folder / "network.net",
            backend=backend,
            lava_samples=LAVA_SAMPLES.get(name, 100),
            checkpoint_path=checkpoint,
            resume_from=load_checkpoint(checkpoint) if checkpoint.exists() else None,
            on_stage=partial(print, flush=True),
            on_epoch=show,
        )
        if not result.is_exact:
            print(f"{name}: backends differ: {result.summary()}", file=sys.stderr)
            return 1
        (folder / "CARD.md").write_text(card_of(name, result), encoding="utf-8")
        print(f"{name}: {result.summary()}")
    return 0


if __name__ == "__main__":
    warnings.simplefilter("default")
    sys.exit(main())
