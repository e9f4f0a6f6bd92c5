import re
from xml.etree import ElementTree

import numpy as np
import pytest

import pumice
from pumice.errors import InputError
from pumice.ir.builder import chain
from pumice.planner.page import as_page, write_page

SVG = re.compile(r"<svg.*?</svg>", re.DOTALL)


@pytest.fixture(scope="module")
def plan():
    return pumice.plan(chain((784,), [128, 64, 10], seed=0), np.ones((3, 784), int))


def boxes(page):
    pictures = [ElementTree.fromstring(text) for text in SVG.findall(page)]
    return [[*picture.iter("{http://www.w3.org/2000/svg}rect")] for picture in pictures]


def test_every_core_is_a_box_that_names_its_population(plan):
    (chip,) = boxes(as_page(plan))
    assert len(chip) == 120
    titles = [box[0].text for box in chip]
    assert [title.split(":")[1].split(",")[0].strip() for title in titles[:6]] == [
        *["dense0"] * 3, "dense1", "dense2", "free",
    ]  # fmt: skip
    assert titles[0] == "core 0: dense0, 39,200"


def test_the_hot_spot_is_framed_and_the_busier_are_darker(plan):
    (chip,) = boxes(as_page(plan))
    assert [i for i, box in enumerate(chip) if box.get("stroke-width")] == [plan.time.core] == [0]
    shade = [sum(bytes.fromhex(box.get("fill")[1:])) for box in chip[:5]]
    assert shade[0] == shade[1] < shade[2] < shade[4]


def test_each_chip_has_a_picture():
    page = as_page(pumice.plan(chain((784,), [3000, 2000], seed=0), board="kapoho-point"))
    assert len(boxes(page)) == 3
    assert "Chip 2" in page


def test_the_page_needs_nothing_else_and_escapes_names(plan, tmp_path):
    graph = chain((3,), [2], seed=0).replace(info={"name": "<script>"})
    page = as_page(pumice.plan(graph))
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert not re.search(r"(src|href)=", page)
    path = write_page(plan, tmp_path / "new" / "folder")
    assert path.name == "plan.html"
    assert "fits Oheo Gulch" in path.read_text(encoding="utf-8")


def test_a_graph_that_does_not_fit_has_a_page_too():
    assert "does not fit" in as_page(pumice.plan(chain((9000,), [4], seed=0)))


def test_a_folder_that_cannot_be_made(plan, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file"):
        write_page(plan, tmp_path / "file" / "x")
