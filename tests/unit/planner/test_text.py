import re

import numpy as np
import pytest

import pumice
from pumice.hardware import Range
from pumice.ir.builder import chain
from pumice.planner.text import TITLES, as_line, as_table_of_constants, rounded, rounded_count, spread

ROW = re.compile(r"^\|.*\|")


@pytest.fixture(scope="module")
def graph():
    return chain((784,), [128, 64, 10], seed=0)


def cells(line):
    return [cell.strip() for cell in line.split("|")[1:]]


@pytest.mark.parametrize(
    ("value", "text"),
    [(152.84, "150"), (0.0996, "0.10"), (9.96, "10"), (99.6, "100"), (1.04, "1.0"), (0, "0"), (305_100, "310,000")],
)
def test_two_digits(value, text):
    assert rounded(value) == text


@pytest.mark.parametrize(
    ("n", "text"), [(0, "0"), (25, "25"), (128, "128"), (1234, "1,230"), (39_200, "39,200"), (99_960, "100,000")]
)
def test_operations_are_counted_in_whole_numbers(n, text):
    assert rounded_count(n) == text


def test_few_operations_have_no_fraction():
    text = str(pumice.plan(chain((4,), [3], seed=0), np.ones((2, 4), int)))
    assert " 12 in the busiest step" in text
    assert cells(next(line for line in text.splitlines() if line.endswith("dense0")))[9] == "12"


def test_units_follow_the_size():
    assert spread(Range(400, 1600, 9000), "us") == "0.40 to 9.0 ms, nominal 1.6 ms"
    assert spread(Range(4, 16, 90), "uJ") == "4.0 to 90 uJ, nominal 16 uJ"
    assert spread(Range(5, 5, 5), "us") == "5.0 us"
    assert spread(Range(2e6, 3e6, 4e6), "us") == "2.0 to 4.0 s, nominal 3.0 s"


def test_the_table_has_the_compilers_columns_and_cells(graph):
    """What the compiler printed for this network (lava-dl's MNIST notebook), last layer first."""
    table = [line for line in str(pumice.plan(graph)).splitlines() if ROW.match(line)]
    assert cells(table[0])[: len(TITLES) + 1] == [*TITLES.values(), "Cores"]
    printed = [
        ["0.40%", "12.50%", "0.24%", "1.60%", "0.06%", "0.00%", "1.71%", "1"],
        ["0.80%", "12.50%", "1.56%", "16.80%", "0.40%", "0.00%", "14.72%", "1"],
        ["4.90%", "12.50%", "1.22%", "78.40%", "0.31%", "0.00%", "67.14%", "3"],
    ]
    assert [cells(line)[: len(TITLES) + 1] for line in table[1:4]] == printed
    assert [cells(line)[-1] for line in table[1:4]] == ["dense2", "dense1", "dense0"]
    assert cells(table[4])[len(TITLES)] == "5"


def test_the_verdict_comes_first(graph):
    assert str(pumice.plan(graph)).splitlines()[0] == "network: fits Oheo Gulch: 5 of 120 cores on 1 chip"
    refused = str(pumice.plan(chain((9000,), [4], seed=0))).splitlines()
    assert refused[0] == "network: does not fit Oheo Gulch:"
    assert "population dense0: pool of axon-in, synapses, axon map and axon memory: needs 18,001 words" in refused[1]
    assert "limit 16,000" in refused[1]


def test_one_line_says_what_is_too_large_and_its_limit():
    said = as_line(pumice.plan(chain((9000,), [4], seed=0)))
    assert said.startswith(
        "does not fit: population dense0: pool of axon-in, synapses, axon map and axon memory: needs 18,001 words"
    )
    assert said.endswith("limit 16,000")


def test_no_estimate_has_more_than_two_digits(graph):
    text = str(pumice.plan(graph, np.ones((7, 784), int)))
    estimates = [line for line in text.splitlines() if "nominal" in line]
    assert len(estimates) == 4
    for number in re.findall(r"[\d,]*\d(?:\.\d+)?(?= to| us| ms| uJ| mJ|,)", " ".join(estimates)):
        assert len(number.replace(",", "").replace(".", "").strip("0")) <= 2, number


def test_what_sets_the_time_is_named(graph):
    text = str(pumice.plan(graph, np.ones((7, 784), int)))
    assert "set by synaptic operations on core 0 (dense0): 39,200 in the busiest step" in text
    assert "estimate, not verified on a chip" in text
    assert "input and output: nothing in or out" in text


def test_other_compilers_and_own_constants_show():
    text = str(pumice.plan(chain((2560,), [100], seed=0)))
    assert "cores by the rules of the compilers of 2022" in text


def test_several_chips_are_a_reason_for_doubt(graph):
    assert "barrier of several chips" not in str(pumice.plan(graph))
    assert "barrier of several chips" in str(pumice.plan(chain((784,), [3000, 2000], seed=0), board="vpx16"))


def test_each_constant_is_explained(graph):
    text = as_table_of_constants(pumice.plan(graph))
    assert "t_sync: 1.8 (1.16 to 1.8) us per step\n    low: two neurons" in text
    assert "board vpx16: VPX, 16 chips" in text
