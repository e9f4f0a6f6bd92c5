"""The networks in netx_exports/ still load, and both backends still answer as they did."""

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest

import pumice
from pumice.data import load_digits
from pumice.ir import from_stream, to_stream, torch_to_lava

FOLDERS = sorted(p for p in (Path(__file__).parents[2] / "netx_exports").iterdir() if p.is_dir())


def test_there_are_exports():
    assert FOLDERS


@pytest.mark.lava
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda p: p.name)
def test_both_backends_hold_the_certificate(folder):
    graph = pumice.load(folder / "network.net")
    values = len(graph.certificate.x) * sum((1 + len(p.states)) * p.size for p in graph.populations)
    assert pumice.verify(graph, ("reference", "lava")) == {"reference": values, "lava": values}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda p: p.name)
def test_the_card_is_about_this_file(folder):
    digest = hashlib.sha256((folder / "network.net").read_bytes()).hexdigest()
    assert digest in (folder / "CARD.md").read_text()


def test_the_digits_network_has_the_accuracy_that_its_card_states():
    digits = load_digits()
    folder = next(p for p in FOLDERS if p.name == "digits")
    graph = pumice.load(folder / "network.net")
    images = digits.test.images[..., None].repeat(graph.timing.sample_steps, axis=-1).astype(np.int32)
    stream = to_stream(graph, torch_to_lava(images))
    counts = from_stream(graph, pumice.run(graph, stream).spikes, len(images)).sum(1)
    accuracy = 100 * (counts.argmax(1) == digits.test.labels).mean()
    assert float(re.search(r"accuracy, this file \| ([\d.]+) %", (folder / "CARD.md").read_text())[1]) == round(
        accuracy, 2
    )
    assert accuracy >= 96
