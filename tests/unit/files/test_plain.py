import numpy as np
import pytest

from pumice.files.plain import plain_problem


def shared(levels):
    """Small in memory; 2^levels values for whoever walks through it."""
    value = [1.0]
    for _ in range(levels):
        value = [value, value]
    return value


def deep(levels):
    value = []
    for _ in range(levels):
        value = {"a": value}
    return value


def test_values_of_a_checkpoint_pass():
    assert plain_problem({"a": [1, "b", None, (True, 2.5)], 3: {"c": np.zeros(3)}}, finite=True) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (shared(28), "holds more than 1,000,000 values"),
        (deep(5000), "is nested more than 32 deep"),
        (["x" * 1_000_000] * 21, "holds more than 20,000,000 characters"),
    ],
)
def test_values_that_nobody_may_walk_through(value, text):
    assert plain_problem(value) == text


def test_a_list_that_holds_itself_ends():
    value = []
    value.append(value)
    assert plain_problem(value)


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_numbers_that_are_none(value):
    assert plain_problem({"a": [value]}) is None
    assert "no finite number" in plain_problem({"a": [value]}, finite=True)
