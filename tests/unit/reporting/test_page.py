import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from pumice import ir
from pumice.errors import InputError
from pumice.reporting.page import as_page, page_path
from pumice.reporting.sections import verdict
from pumice.reporting.writing import report

from .conftest import HOSTILE, NAME, findings_of

VOID = {"meta", "img", "br", "input"}


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.open, self.links, self.ids, self.anchors, self.text, self.tags = [], [], [], [], "", []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        self.ids += [attrs["id"]] if "id" in attrs else []
        links = [attrs[key] for key in ("src", "href") if key in attrs]
        self.anchors += [link[1:] for link in links if link.startswith("#")]
        self.links += [link for link in links if not link.startswith("#")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture(params=["image", "plain", "numbers"])
def page(request):
    return Page(as_page(request.getfixturevalue(f"{request.param}_findings")))


def test_it_is_well_formed_loads_nothing_and_its_links_lead_somewhere(page):
    assert page.links == []
    assert set(page.anchors) <= set(page.ids)
    assert len(set(page.ids)) == len(page.ids)
    assert not re.search(r"https?://(?!www\.w3\.org/)|@import|url\(", page.text)


def test_names_are_text(image_findings):
    text = as_page(image_findings)
    page = Page(text)
    assert page.tags.count("script") == 2
    assert "img" not in page.tags
    assert HOSTILE in page.text
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, flags=re.DOTALL)
    assert json.loads(data)[0]["layers"][1]["name"] == NAME


def test_the_verdict_comes_first_and_counts_what_differs(image_findings):
    first, *others = image_findings.comparisons
    layer, *rest = first.layers
    wrong = replace(first, layers=(replace(layer, u=1234), *rest))
    text = as_page(replace(image_findings, comparisons=(wrong, *others)))
    assert '<td class="wrong">1,234</td>' in text
    assert text.index("with differences") < text.index('class="cards"') < text.index("Worth a look")
    assert 'class="wrong"' not in as_page(image_findings)


def test_the_same_findings_give_the_same_page(image_findings):
    assert as_page(image_findings) == as_page(image_findings)


@pytest.mark.lava
def test_the_result_of_a_pipeline(tiny_result, tmp_path):
    found = report(tiny_result, tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text())
    assert found.is_exact
    assert found.compared > tiny_result.compared_values
    assert found.evaluation.predictions.tolist() == tiny_result.predictions.tolist()
    assert "Lava against the reference, 3 samples" in page.text
    assert "3 epochs; the last 1 (shaded)" in page.text


def test_two_networks_beside_each_other(image_findings, plain_findings):
    page = Page(as_page(image_findings, plain_findings))
    assert set(page.anchors) <= set(page.ids)
    assert len(set(page.ids)) == len(page.ids)
    assert "did not run the same samples" in page.text


def test_where_a_page_goes_is_checked_before_the_work(tmp_path):
    with pytest.raises(InputError, match=r"ends in \.html"):
        page_path(tmp_path / "a.txt")
    with pytest.raises(InputError, match="no folder"):
        page_path(tmp_path / "nowhere" / "a.html")


def test_one_is_told_in_the_singular_and_what_is_sent_by_its_name(image_graph, image_samples, image_findings):
    one, graph = findings_of(image_graph, image_samples[:1], shown=1), image_graph
    values = replace(graph, populations=(ir.Delta("a", (2,), vth=1),), synapses=(), outputs=("a",))
    found = replace(one, source=replace(one.source, graph=values))
    assert "of 1 sample (" in verdict(found)
    assert "spikes and values per sample" in verdict(found)
    assert "spikes per sample" in verdict(image_findings)
    layers = (*(replace(layer, spikes=0.0) for layer in found.layers[:-1]), replace(found.layers[-1], spikes=0.25))
    assert "<b>0.25</b>" in verdict(replace(found, layers=layers))
