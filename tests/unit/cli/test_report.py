from dataclasses import replace

import numpy as np
import pytest

import pumice
from pumice.ir import Timing
from pumice.ir.builder import chain

TINY = (
    " --set data.max_train=96 --set data.max_test=20 --set data.steps=4 --set training.epochs=1"
    " --set training.finetune_epochs=1 --set network.args.channels=[4] --set network.args.strides=[2]"
)


def test_a_network_alone_runs_its_certificate_and_says_so(command, net, tmp_path):
    code, out, err = command("report a.net -o page.html")
    assert (code, err) == (0, "")
    assert "no labels, because the network's file does not say what it was trained on" in out
    assert "page.html: " in out
    assert ", 0 differ; 1 sample without labels" in out
    assert "the certificate&#x27;s input" in (tmp_path / "page.html").read_text()


def test_given_samples_and_another_network(command, net, tmp_path):
    np.savez(tmp_path / "x.npz", x=np.ones((3, 6, 4), int), labels=np.array([0, 1, 1]))
    pumice.save(chain((4,), [3, 2], seed=2).replace(timing=Timing(6, 6)), tmp_path / "b.net")
    code, out, _ = command("report a.net --data x.npz --compare b.net --samples 2")
    assert code == 0
    assert " of 2 samples right" in out
    text = (tmp_path / "report.html").read_text()
    assert "a.net beside b.net" in text
    assert "Answered differently: " in text


def test_data_that_do_not_fit_name_the_network(refused, net, tmp_path):
    np.savez(tmp_path / "x.npz", x=np.ones((3, 6, 4), int), labels=np.array([0, 1, 1]))
    pumice.save(chain((5,), [3, 2], seed=2).replace(timing=Timing(6, 6)), tmp_path / "b.net")
    assert "b.net: sample 0: input must have shape" in refused("report a.net --data x.npz --compare b.net")


@pytest.fixture
def other_than_certified(graph, tmp_path):
    """b.net: one threshold is not that of its certificate."""
    first, *others = graph.populations
    pumice.save(graph.replace(populations=(replace(first, vth_mant=first.vth_mant + 1), *others)), tmp_path / "b.net")


def test_a_certificate_that_does_not_hold_is_exit_code_1(command, other_than_certified, tmp_path):
    code, _, err = command("report b.net")
    assert code == 1
    assert "b.net: its certificate does not hold; see report.html" in err
    assert "does not hold" in (tmp_path / "report.html").read_text()


def test_the_network_beside_is_checked_too(command, net, other_than_certified):
    code, out, err = command("report a.net --compare b.net")
    assert code == 1
    assert "integers of a.net compared, 0 differ" in out
    assert "integers of b.net compared, 0 differ" in out
    assert "a.net: There are no labels" in out
    assert "b.net: There are no labels" in out
    assert err == "pumice: error: b.net: its certificate does not hold; see report.html\n"


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("report a.net -o page.pdf", "ends in .html"),
        ("report a.net -o nowhere/page.html", "no folder"),
        ("report missing.net", "missing.net"),
        ("report .", "a folder must hold checkpoint.pt or one .net file, got: a.net, b.net"),
        ("report a.net --shown 0", "shown must be an integer, 1 to 32"),
        ("report a.net --samples 0", "samples must be an integer, at least 1"),
        ("report a.net --check nothing", "unknown backend"),
        ("report notes.txt", "no checkpoint"),
    ],
)
def test_what_cannot_be_reported(refused, net, tmp_path, line, text):
    (tmp_path / "notes.txt").write_text("a")
    (tmp_path / "b.net").write_bytes(b"")
    assert text in refused(line)


@pytest.mark.lava
def test_the_folder_of_a_run(command, tmp_path):
    assert command("train digits" + TINY)[0] == 0
    code, out, err = command("report runs/digits --check torch")
    assert code == 0, err
    assert "of 20 samples right" in out
    text = (tmp_path / "report.html").read_text()
    assert "2 epochs; the last 1 (shaded)" in text
    assert "against the deployed network in PyTorch, 4 samples" in text
    assert "the torch backend against the reference" in text
