"""The networks in netx_exports/ still load, and every backend still answers as they did."""

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest

import pumice
from pumice.backends.verify import first_difference
from pumice.data import load_digits
from pumice.ir import from_stream, recorded_samples, to_stream, torch_to_lava
from pumice.names import counted

FOLDERS = sorted(p for p in (Path(__file__).parents[2] / "netx_exports").iterdir() if p.is_dir())
LARGE = ("cifar10-resnet", "cifar10-stmixer", "digits-resnet", "mnist-stmixer")
"""On Lava these take long, and have no kind of part that the small ones and `test_resnet.py`'s networks lack."""
OF_ALL_AGES = pytest.mark.filterwarnings("ignore:the certificate is of an older pumice")
SPIKING_STEPS = 4
"""Steps of the last population that Lava is asked for: a step of its convolutions takes half a second."""


def exports(slow=()):
    """All of them; those named in the slow suite."""
    return [pytest.param(p, marks=pytest.mark.slow if p.name in slow else (), id=p.name) for p in FOLDERS]


@OF_ALL_AGES
@pytest.mark.parametrize("folder", exports())
def test_pumices_own_backends_hold_the_certificate(folder):
    holds(folder, ("reference", "fast"))


@pytest.mark.lava
@OF_ALL_AGES
@pytest.mark.parametrize("folder", exports(slow=LARGE))
def test_lavas_models_begin_as_the_certificate_does(folder):
    """What the certificate holds after these steps, the slow suite asks of Lava."""
    graph = pumice.load(folder / "network.net")
    x = graph.certificate.x[: graph.latency + SPIKING_STEPS]
    expected, got = (pumice.run(graph, x, backend=name, record=True) for name in ("reference", "lava-in-threads"))
    assert first_difference(expected.records, got.records) is None
    assert expected.spikes.any()


@pytest.mark.lava
@OF_ALL_AGES
@pytest.mark.parametrize("folder", exports(slow={p.name for p in FOLDERS} - {"digits"}))
def test_lava_holds_the_certificate(folder):
    holds(folder, ("lava",))


def holds(folder, backends):
    graph = pumice.load(folder / "network.net")
    values = len(graph.certificate.x) * sum((1 + len(p.states)) * p.size for p in graph.populations)
    assert pumice.verify(graph, backends) == dict.fromkeys(backends, values)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda p: p.name)
def test_the_card_is_about_this_file(folder):
    digest = hashlib.sha256((folder / "network.net").read_bytes()).hexdigest()
    assert digest in (folder / "CARD.md").read_text()


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda p: p.name)
def test_the_card_counts_steps_and_the_samples_that_the_file_records(folder):
    graph = pumice.load(folder / "network.net")
    n = len(recorded_samples(graph))
    card = (folder / "CARD.md").read_text()
    assert f"to a recorded run of {n} samples." in card
    assert f"on the {n} recorded samples" in card
    assert f", {counted(graph.timing.sample_steps, 'time step')}, " in card


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
