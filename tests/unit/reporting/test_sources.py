import sys
from dataclasses import replace

import numpy as np
import pytest

import pumice
from pumice.errors import FileFormatError, InputError
from pumice.ir import Timing, to_stream
from pumice.ir.builder import chain
from pumice.reporting import sources
from pumice.reporting.sources import certificate_samples, find_file, is_network, open_source, random_samples


def opened(source, data=None):
    return open_source(source, data=data, data_root=None, limit=10, trust=())


def test_a_folder_means_its_checkpoint_or_its_only_network(tmp_path):
    with pytest.raises(InputError, match=r"must hold checkpoint.pt or one .net file, got: none"):
        find_file(tmp_path)
    (tmp_path / "a.net").write_bytes(b"")
    assert find_file(tmp_path) == tmp_path / "a.net"
    (tmp_path / "b.net").write_bytes(b"")
    with pytest.raises(InputError, match=r"got: a.net, b.net"):
        find_file(tmp_path)
    (tmp_path / "checkpoint.pt").write_bytes(b"")
    assert find_file(tmp_path) == tmp_path / "checkpoint.pt"


def test_networks_are_told_from_checkpoints_by_their_bytes(tmp_path, digits_net):
    (tmp_path / "renamed").write_bytes(digits_net.read_bytes())
    (tmp_path / "other").write_bytes(b"PK")
    assert is_network(tmp_path / "renamed")
    assert not is_network(tmp_path / "other")
    assert is_network(tmp_path / "missing.net")


@pytest.mark.parametrize("timing", [Timing(5, 8, lead_steps=2), Timing(1, 2)])
def test_the_certificate_is_cut_into_the_samples_that_it_was_made_of(rng, timing):
    graph = chain((4,), [3, 3, 3, 3, 3], seed=0).replace(timing=timing)
    samples = rng.integers(0, 2, (3, timing.sample_steps, 4))
    graph = pumice.certify(graph, to_stream(graph, samples))
    np.testing.assert_array_equal(certificate_samples(graph), samples)
    found = opened(graph)
    assert not found.has_labels
    assert "the certificate's input" in found.notes[0]


def test_a_bare_graph_runs_random_input_and_says_so():
    found = opened(chain((4,), [3], seed=0))
    assert found.data.startswith("random input, 0 or 1")
    assert found.graph.timing == Timing(32, 32)
    assert "no labels" in found.notes[0]


def test_random_input_stays_in_the_range_of_the_network():
    graph = chain((400,), [3], seed=0)
    wide, what = random_samples(graph.replace(input=type(graph.input)("input", (400,), (-3, 5))), 4)
    assert (wide.min(), wide.max(), what) == (-3, 5, "each value from -3 to 5 as often")
    bits, _ = random_samples(graph, 4)
    assert set(np.unique(bits)) == {0, 1}


def test_where_values_are_read_and_no_range_is_stated_random_input_is_pixels():
    """Ones alone hardly move a network that was made for values."""
    graph = chain((400,), [3], seed=0)
    values = graph.replace(synapses=tuple(replace(s, graded=True) for s in graph.synapses))
    values = values.replace(input=replace(values.input, value_range=None))
    pixels, what = random_samples(values, 4)
    assert (pixels.min(), pixels.max()) == (0, 255)
    assert what.endswith("(its range is not stated)")


def test_data_of_the_callers_come_first_and_give_the_length(digits_net):
    found = opened(chain((4,), [3], seed=0), data=iter([(np.ones((7, 4), int), 1)]))
    assert (found.graph.timing, found.data) == (Timing(7, 7), "the given samples")
    assert len([*found.pairs]) == 1
    with pytest.raises(InputError, match="no sample"):
        opened(chain((4,), [3], seed=0), data=[])


def test_without_the_training_extra_the_certificate_runs(monkeypatch, digits_net):
    monkeypatch.setitem(sys.modules, "pumice.reporting.training", None)
    found = opened(digits_net)
    assert "needs the package" in found.notes[0]
    assert found.data == "the certificate's input"
    assert found.classes == tuple("0123456789")


def test_what_is_no_network(tmp_path):
    (tmp_path / "a.net").write_text("")
    with pytest.raises(FileFormatError):
        opened(tmp_path / "a.net")


def test_classes_count_only_if_there_are_as_many_as_outputs():
    graph = chain((4,), [3], seed=0)
    assert sources.source_of(graph.replace(info={"classes": "a, b, c"}), "", "").classes == ("a", "b", "c")
    assert sources.source_of(graph.replace(info={"classes": "a, b"}), "", "").classes == ()
