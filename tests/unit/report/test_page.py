import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from pumice.errors import InputError
from pumice.report import write_report

pytestmark = pytest.mark.lava
VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.open, self.images, self.links, self.cells, self.text = [], [], [], [], ""
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        if tag == "img":
            self.images.append(attrs)
        if tag == "td":
            self.cells.append(attrs.get("class"))
        self.links += [attrs[key] for key in ("src", "href") if key in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def html(tiny_result, tmp_path_factory):
    return write_report(tiny_result, tmp_path_factory.mktemp("report") / "report.html").read_text()


def test_it_is_well_formed_and_needs_nothing_else(html):
    page = Page(html)
    assert page.links
    assert all(link.startswith("data:image/") for link in page.links)
    assert not re.search(r"https?://|@import|url\(|<script", html)


def test_pictures_have_alternative_texts(html):
    images = Page(html).images
    assert len(images) == 4
    assert all(len(image["alt"]) > 40 for image in images)


def test_every_layer_and_fact_is_there(html, tiny_result):
    text = Page(html).text
    for name, digest in tiny_result.graph.certificate.state_digests.items():
        assert name in text
        assert digest in text
    for value in (tiny_result.compared_values, tiny_result.lava_comparison[0].compared):
        assert f"{value:,}" in text
    assert "spike for spike the same" in text
    assert "wrong" not in Page(html).cells


def test_differences_are_shown(tiny_result, tmp_path):
    first, *rest = tiny_result.lava_comparison
    result = replace(tiny_result, lava_comparison=(replace(first, u=1234), *rest))
    html = write_report(result, tmp_path / "report.html").read_text()
    assert Page(html).cells.count("wrong") == 1
    assert '<td class="wrong">1,234</td>' in html
    assert "with differences" in html


def test_names_are_escaped(tiny_result, tmp_path):
    graph = tiny_result.graph.replace(info={"data": "<script>alert(1)</script>"})
    html = write_report(replace(tiny_result, graph=graph), tmp_path / "report.html").read_text()
    assert "<script" not in html


def test_the_same_result_gives_the_same_page(html, tiny_result, tmp_path):
    assert write_report(tiny_result, tmp_path / "report.html").read_text() == html


def test_a_folder_that_is_not_there(tiny_result, tmp_path):
    with pytest.raises(InputError, match="cannot be written"):
        write_report(tiny_result, tmp_path / "nowhere" / "report.html")
