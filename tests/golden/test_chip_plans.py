"""Plans of networks that are known: those in netx_exports/, and lava-dl's own, whose tables were printed."""

from pathlib import Path

import numpy as np
import pytest

import pumice
from pumice.netx import load
from pumice.planner.text import as_line

EXPORTS = Path(__file__).parents[2] / "netx_exports"
CORES = {
    "cifar10-resnet": 109,
    "cifar10-stmixer": 112,
    "digits": 3,
    "digits-resnet": 21,
    "digits-stmixer": 23,
    "fsdd": 7,
    "fsdd-delays": 9,
    "mnist": 14,
    "mnist-hm2bp": 27,
    "mnist-hm2bp-cnn": 12,
    "mnist-stmixer": 49,
    "nmnist": 6,
}
MEASURED_US = 152.84
"""Of a step of pilotnet_lif (lava-dl's benchmark notebook)."""


def test_every_export_has_a_plan_here():
    assert {p.name for p in EXPORTS.iterdir() if p.is_dir()} == set(CORES)


@pytest.mark.filterwarnings("ignore:the certificate is of an older pumice")
@pytest.mark.parametrize("name", CORES)
def test_exports_fit_one_chip(name):
    plan = pumice.plan(pumice.load(EXPORTS / name / "network.net"))
    assert plan.fits
    assert plan.cores == CORES[name]
    assert plan.chips == 1
    assert plan.activity[0] == "the certificate's input"
    assert plan.time.amount > 0
    assert 1.16 < plan.time.mean.low < plan.time.mean.nominal < plan.time.mean.high
    assert plan.sample.energy.chip.nominal > 0


@pytest.mark.filterwarnings("ignore:the certificate is of an older pumice")
@pytest.mark.parametrize("name", CORES)
def test_each_card_says_what_the_plan_says(name):
    """Rewritten by `python scripts/export_networks.py --plans`."""
    said = as_line(pumice.plan(pumice.load(EXPORTS / name / "network.net")))
    assert f"| on a Loihi 2, estimated (`pumice plan`) | {said} |\n" in (EXPORTS / name / "CARD.md").read_text()


def pilotnet(graph, image):
    """The benchmark repeats one frame; this frame is another one, of lava-dl's hardware test."""
    plan = pumice.plan(graph, np.repeat(image[None], 24, axis=0), compiler="2022")
    assert plan.fits
    assert (plan.cores, [row.cores for row in plan.layers]) == (74, [13, 25, 13, 3, 3, 2, 12, 1, 1, 1])
    assert plan.time.mean.low < MEASURED_US < plan.time.mean.high
    assert plan.time.mean.nominal == pytest.approx(MEASURED_US, rel=0.2)
    assert plan.counts.operations.sum(1).mean() == pytest.approx(3.05e6, rel=0.02)
    per_inference = plan.energy.times(16)
    assert per_inference.dynamic.low < 1093.5 < per_inference.dynamic.high
    assert per_inference.chip.low < 1661.1 < per_inference.chip.high
    default = pumice.plan(graph, image[None])
    assert default.cores_by_other == 74
    assert "74 cores by the rules of the compilers of 2022" in str(default)


def test_pilotnet_from_the_wheel(wheel):
    folder = wheel / "gts/pilotnet_lif"
    pilotnet(load(folder / "network.net"), np.load(folder / "image.npy"))


def test_pilotnet_from_shared(shared):
    with np.load(shared / "netx_pilotnet_lif.npz") as vectors:
        pilotnet(load(shared / "net/pilotnet_lif.net"), vectors["image"])


def test_the_mnist_tutorials_table(shared):
    """Network and printed rows (lava-dl `netx/mnist/run.ipynb`) are both known here."""
    graph = load(shared / "net/mnist_mlp_784_128_64_10.net", input_shape=(784,))
    rows = [line.strip("| ").split("|") for line in str(pumice.plan(graph)).splitlines() if line.startswith("|")]
    found = [[cell.strip() for cell in row[:8]] for row in rows[1:4]]
    assert found == [
        ["0.40%", "12.50%", "0.24%", "1.60%", "0.06%", "0.00%", "1.71%", "1"],
        ["0.80%", "12.50%", "1.56%", "16.80%", "0.40%", "0.00%", "14.72%", "1"],
        ["4.90%", "12.50%", "1.22%", "78.40%", "0.31%", "0.00%", "67.14%", "3"],
    ]
