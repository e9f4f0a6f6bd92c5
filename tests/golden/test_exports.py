"""The networks in netx_exports/ still load, and every backend still answers as they did."""

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest

import pumice
from pumice.data import load_digits
from pumice.ir import from_stream, to_stream, torch_to_lava

FOLDERS = sorted(p for p in (Path(__file__).parents[2] / "netx_exports").iterdir() if p.is_dir())
LARGE = [p for p in FOLDERS if p.name.startswith("cifar10")]
UNDER_LAVA = [pytest.param(p, marks=pytest.mark.slow if p in LARGE else (), id=p.name) for p in FOLDERS]


def test_there_are_exports():
    assert {"digits", "digits-resnet", "digits-stmixer"} < {p.name for p in FOLDERS}


@pytest.mark.filterwarnings("ignore:the certificate is of an older pumice")
@pytest.mark.parametrize("folder", LARGE, ids=lambda p: p.name)
def test_pumices_own_backends_hold_the_certificate(folder):
    holds(folder, ("reference", "fast"))


@pytest.mark.lava
@pytest.mark.filterwarnings("ignore:the certificate is of an older pumice")
@pytest.mark.parametrize("folder", UNDER_LAVA)
def test_every_backend_holds_the_certificate(folder):
    holds(folder, ("reference", "fast", "lava"))


def holds(folder, backends):
    graph = pumice.load(folder / "network.net")
    values = len(graph.certificate.x) * sum((1 + len(p.states)) * p.size for p in graph.populations)
    assert pumice.verify(graph, backends) == dict.fromkeys(backends, values)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda p: p.name)
def test_the_card_is_about_this_file(folder):
    digest = hashlib.sha256((folder / "network.net").read_bytes()).hexdigest()
    assert digest in (folder / "CARD.md").read_text()


@pytest.mark.parametrize("folder", [p for p in FOLDERS if p.name.startswith("digits")], ids=lambda p: p.name)
def test_a_network_of_bundled_data_has_the_accuracy_that_its_card_states(folder):
    digits = load_digits()
    graph = pumice.load(folder / "network.net")
    images = digits.test.images[..., None].repeat(graph.timing.sample_steps, axis=-1).astype(np.int32)
    stream = to_stream(graph, torch_to_lava(images))
    sums = from_stream(graph, pumice.run(graph, stream, backend="fast").spikes, len(images)).sum(1)
    accuracy = 100 * (sums.argmax(1) == digits.test.labels).mean()
    stated = re.search(r"accuracy, this file \| ([\d.]+) %", (folder / "CARD.md").read_text())[1]
    assert float(stated) == round(accuracy, 2)
    assert accuracy >= 96
