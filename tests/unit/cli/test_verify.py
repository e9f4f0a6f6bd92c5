import sys
from dataclasses import replace

import pytest

import pumice
from pumice.errors import MissingExtraError
from pumice.ir import Sigma
from pumice.netx import save


def test_equal(command, net):
    code, out, err = command("verify a.net --backend reference")
    assert (code, err) == (0, "")
    assert out == "reference: equal (90 values: s, u, v of 2 populations in 6 steps)\n"


def test_what_was_compared_is_named(command, graph, tmp_path):
    last = graph.output
    sums = graph.replace(populations=(*graph.populations[:-1], Sigma(last.name, last.shape)), certificate=None)
    save(pumice.certify(sums, graph.certificate.x), tmp_path / "a.net")
    assert ": s, u, v, sigma of 2 populations in 6 steps)" in command("verify a.net --backend fast")[1]


def test_the_first_difference_is_a_failed_check(command, graph, tmp_path):
    certificate = graph.certificate
    spikes = {name: values.copy() for name, values in certificate.spikes.items()}
    spikes["dense1"][4, 1] ^= 1
    save(graph.replace(certificate=replace(certificate, spikes=spikes)), tmp_path / "a.net")
    code, out, err = command("verify a.net --backend reference")
    assert (code, out) == (1, "")
    assert "population dense1, step 4, neuron (1,), s: expected" in err
    assert err.count("\n") == 1


@pytest.mark.lava
def test_all_backends_by_default(command, net):
    code, out, _ = command("verify a.net")
    assert code == 0
    assert [line.partition(":")[0] for line in out.splitlines()] == [
        *("reference", "fast", "lava", "lava-one-process", "torch")
    ]


def test_the_help_names_the_backends_that_are_left_out(command):
    _, out, _ = command("verify --help")
    said = " ".join(out.split()).replace("lava- in-", "lava-in-").replace("lava-in- threads", "lava-in-threads")
    assert "By default all that are installed but lava-in-threads and loihi2." in said


def test_backends_that_are_not_installed_are_named(command, net, monkeypatch):
    from pumice.backends import get_backend

    def missing(name):
        if name.startswith("lava"):
            raise MissingExtraError("lava", "lava", "the lava backend")
        return get_backend(name)

    monkeypatch.setattr(sys.modules["pumice.cli.verify"], "get_backend", missing)
    code, out, _ = command("verify a.net")
    assert code == 0
    assert [line.partition(":")[0] for line in out.splitlines()] == [
        *("lava", "lava-one-process", "reference", "fast", "torch")
    ]
    assert out.startswith("lava: not run (the lava backend needs the package 'lava'")
    assert out.count(": not run (") == 2
    assert command("verify a.net --backend lava")[0] == 2


def test_bad_use(refused, graph, net, tmp_path):
    assert "unknown backend 'x'" in refused("verify a.net --backend x")
    save(graph.replace(certificate=None), tmp_path / "b.net")
    assert "b.net: holds no certificate" in refused("verify b.net --backend reference")
