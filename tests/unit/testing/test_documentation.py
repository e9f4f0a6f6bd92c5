"""The examples in the documentation of `pumice.testing` work as they are written."""

import textwrap

import hypothesis
import pytest
from hypothesis import Phase, settings

from pumice.backends.base import AbstractBackend
from pumice.backends.reference import ReferenceBackend
from pumice.backends.verify import first_difference
from pumice.errors import BackendError
from pumice.ir import Resonator
from pumice.testing import battery, cases, strategies


class MyBackend(AbstractBackend):
    """Without resonators, as the example has it."""

    name = "mine"

    def _run(self, graph, x, record):
        if any(isinstance(p, Resonator) for p in graph.populations):
            raise BackendError("no resonators here")
        return ReferenceBackend()._run(graph, x, record)


class ShiftedBackend(ReferenceBackend):
    def _run(self, graph, x, record):
        return super()._run(graph, x + 1, record)


def given(strategy):
    """Of hypothesis, with few examples."""
    few = settings(max_examples=10, derandomize=True, phases=[Phase.generate])
    return lambda test: few(hypothesis.given(strategy)(test))


def example(module, backend):
    """What the code in a module's docstring defines, for the reader's backend."""
    lines = module.__doc__.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("    ") and line.strip() not in ("", "::"))
    code = []
    for line in lines[start:]:
        if line.strip() and not line.startswith("    "):
            break
        code.append(line)
    assert len([line for line in code if line.strip()]) <= 20
    names = {"MyBackend": backend, "given": given, "cases": cases}
    names |= {"ReferenceBackend": ReferenceBackend, "first_difference": first_difference}
    exec(textwrap.dedent("\n".join(code)), names)
    return names


def test_a_battery_in_20_lines():
    test = example(battery, MyBackend)["TestMyBackend"]()
    for group in battery.GROUPS:
        test.test_equals_the_reference(group)
    test.test_what_is_unsupported_is_refused()
    wrong = example(battery, ShiftedBackend)["TestMyBackend"]()
    wrong.unsupported = frozenset()
    with pytest.raises(pytest.fail.Exception, match="differs from the reference in"):
        wrong.test_equals_the_reference("topology")


def test_random_cases_in_a_test_of_ones_own():
    example(strategies, ReferenceBackend)["test_my_backend"]()
    with pytest.raises(AssertionError):
        example(strategies, ShiftedBackend)["test_my_backend"]()
