"""docs/processes.md: its code runs, and gives what the reference does."""

import re
from pathlib import Path

import numpy as np
import pytest

from pumice.backends import get_backend

pytestmark = pytest.mark.lava

PAGE = (Path(__file__).parents[2] / "docs/processes.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.M | re.S)


@pytest.fixture(scope="module")
def names():
    """What the page's first block leaves behind."""
    found = {}
    exec(compile(BLOCKS[0], "processes.md", "exec"), found)
    return found


def test_between_a_source_and_a_sink(names):
    expected = get_backend("reference").run(names["process"].proc_params["graph"], np.ones((20, 5), int)).spikes
    assert expected.any()
    np.testing.assert_array_equal(names["spikes"], expected)


def answers(names, code):
    """Of the page's second block, and of the reference on the samples one after the other."""
    found = dict(names)
    exec(compile(code, "processes.md", "exec"), found)
    graph, samples = found["graph"], found["samples"]
    stream = np.concatenate([*samples, np.zeros((graph.latency, 5), int)])
    spikes = get_backend("reference").run(graph, stream).spikes[graph.latency :]
    return found["answers"], spikes.reshape(4, 8, 4)


def test_the_offset_of_a_loader_meets_the_resets(names):
    found, expected = answers(names, BLOCKS[1])
    assert expected.any()
    np.testing.assert_array_equal(found, expected)


def test_another_offset_does_not(names):
    """The planted defect: the loader's default, and windows that begin where its samples do."""
    code = BLOCKS[1].replace("offset=period - 1", "offset=0").replace("period + graph.latency", "1 + graph.latency")
    assert code != BLOCKS[1]
    found, expected = answers(names, code)
    assert np.any(found != expected)
