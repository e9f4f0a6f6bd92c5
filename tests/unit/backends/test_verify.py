from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pumice.backends import run
from pumice.backends.base import Record
from pumice.backends.reference import ReferenceBackend
from pumice.backends.verify import certify, first_difference, verify
from pumice.errors import CheckFailedError, InputError, PumiceWarning
from pumice.ir.builder import chain


@pytest.fixture
def certified():
    graph = chain((4,), [3, 2], seed=0)
    return certify(graph, np.random.default_rng(0).integers(0, 2, (20, 4)))


def test_a_graph_keeps_its_promise(certified):
    assert verify(certified) == {"reference": 3 * 20 * 5}


def test_no_certificate_no_verdict():
    with pytest.raises(InputError, match="no certificate"):
        verify(chain((4,), [3], seed=0))


def test_one_backend_may_be_named_alone(certified):
    assert verify(certified, "fast") == verify(certified, ["fast"]) == {"fast": 3 * 20 * 5}


def test_no_backend_no_verdict(certified):
    with pytest.raises(InputError, match="nothing would be verified; name some of: reference, fast, lava"):
        verify(certified, ())


def test_names_are_checked_before_a_backend_runs(certified, monkeypatch):
    monkeypatch.delattr(ReferenceBackend, "_run")
    with pytest.raises(InputError, match="unknown backend 'quick'"):
        verify(certified, ("reference", "quick"))


@pytest.mark.parametrize("path", ["res.net", Path("res.net")])
def test_a_path_is_no_graph(path):
    with pytest.raises(InputError, match=r"got the path 'res\.net'; pumice\.load"):
        verify(path)


@pytest.fixture
def changed(certified):
    synapse = certified.synapses[0]
    weight = synapse.weight + 2 * (np.arange(12).reshape(3, 4) == 5)
    return certified.replace(synapses=(replace(synapse, weight=weight), *certified.synapses[1:]))


def test_a_changed_weight_is_found(changed):
    with pytest.raises(CheckFailedError, match="what differs first: the synapses into dense0"):
        verify(changed)


def test_a_certificate_without_digests_of_the_graph_finds_it_in_the_run(changed):
    older = changed.replace(certificate=replace(changed.certificate, graph_digests=None))
    with (
        pytest.warns(PumiceWarning, match="about its run only"),
        pytest.raises(CheckFailedError, match=r"population dense|output"),
    ):
        verify(older)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("spike_counts", {"dense0": -1}, "spike count is -1"),
        ("state_digests", {"dense1": "0"}, "digest of s, u, v is 0"),
        ("spikes", {"dense1": np.zeros((3, 2), int)}, "holds shape"),
        ("spikes", {"dense1": np.full((20, 2), 7)}, "step 0, neuron .*expected 7"),
    ],
)
def test_each_part_of_a_certificate_counts(certified, field, value, message):
    forged = replace(certified.certificate, **{field: value})
    with pytest.raises(CheckFailedError, match=message):
        verify(certified.replace(certificate=forged))


def test_the_first_difference_is_the_earliest_and_u_comes_before_s():
    graph = chain((4,), [3, 2], seed=0)
    records = run(graph, np.ones((6, 4), int), record=True).records
    assert first_difference(records, records) is None
    s, u = records["dense0"].s.copy(), records["dense0"].u.copy()
    s[2, 1] ^= 1
    u[2, 2] += 5
    u[4, 0] += 1
    got = {**records, "dense0": Record(s, {"u": u, "v": records["dense0"].v})}
    found = first_difference(records, got)
    assert (found.population, found.step, found.neuron, found.quantity) == ("dense0", 2, (2,), "u")
    assert (found.got - found.expected, found.n_different) == (5, 3)
    assert "population dense0, step 2, neuron (2,), u: expected" in str(found)


def test_runs_of_different_graphs_are_not_compared():
    a = run(chain((4,), [3], seed=0), np.ones((6, 4), int), record=True).records
    b = run(chain((4,), [2, 2], seed=0), np.ones((6, 4), int), record=True).records
    with pytest.raises(InputError, match="different populations"):
        _ = first_difference(a, b)
