import re

import numpy as np
import pytest

import pumice
from pumice.errors import InputError
from pumice.ir import Timing
from pumice.ir.builder import chain
from pumice.reporting.writing import _same_samples

GRAPH = chain((4,), [3, 2], seed=0).replace(timing=Timing(5, 5))
OTHER = chain((4,), [3, 2], seed=3).replace(timing=Timing(5, 5))


def pairs(labels):
    return [((np.arange(20).reshape(5, 4) + i) % 2, label) for i, label in enumerate(labels)]


def test_networks_of_one_name_get_letters_and_the_given_samples_are_compared(tmp_path):
    found = pumice.report(GRAPH, tmp_path / "a.html", data=iter(pairs([0])), compare=OTHER)
    text = (tmp_path / "a.html").read_text()
    assert found.source.title == "network (A)"
    assert "network (A) beside network (B)" in text
    assert re.search(r"Answered differently: [01] of 1 sample\W", text)


def test_the_plan_is_of_the_network_by_its_name_and_of_the_samples_that_are_shown(tmp_path):
    pumice.save(GRAPH, tmp_path / "a.net")
    found = pumice.report(tmp_path / "a.net", tmp_path / "a.html", data=pairs([0] * 9), shown=3)
    assert (found.plan.network, found.plan.activity[1]) == ("a.net", 3 * 5 + 2)
    assert "Activity: the 3 samples that can be looked at above." in (tmp_path / "a.html").read_text()
    assert "name" not in found.source.graph.info


def test_random_samples_of_two_networks_are_not_taken_for_the_same(tmp_path):
    pumice.report(GRAPH, tmp_path / "a.html", compare=OTHER.replace(info={"name": "other"}))
    text = (tmp_path / "a.html").read_text()
    assert "network beside other" in text
    assert "did not run the same samples" in text


def test_other_labels_are_other_samples(tmp_path):
    first, second = (pumice.report(GRAPH, tmp_path / "a.html", data=pairs(labels)) for labels in ([0], [1]))
    assert not _same_samples(first, second, True)
    assert _same_samples(first, first, True)


def test_the_number_of_samples_and_of_shown_ones(tmp_path):
    found = pumice.report(GRAPH, tmp_path / "a.html", data=pairs([0] * 9), samples=7, shown=3)
    assert (found.n_samples, len(found.shown)) == (7, 3)


def test_another_backend_is_held_against_the_reference_too(tmp_path):
    found = pumice.report(GRAPH, tmp_path / "a.html", data=pairs([0]), check="reference")
    assert [c.got for c in found.comparisons] == ["the fast backend", "the reference backend"]
    assert len(re.findall("<details", (tmp_path / "a.html").read_text())) >= 3


@pytest.mark.parametrize("options", [{"shown": 33}, {"shown": 2.5}, {"samples": 0}, {"check": "nothing"}])
def test_arguments_that_do_not_fit(tmp_path, options):
    with pytest.raises(InputError, match=next(iter(options)) if "check" not in options else "unknown backend"):
        pumice.report(GRAPH, tmp_path / "a.html", **options)
    assert not list(tmp_path.iterdir())


def test_something_that_is_no_network(tmp_path):
    with pytest.raises(InputError, match="a report is of a graph"):
        pumice.report(3, tmp_path / "a.html")
