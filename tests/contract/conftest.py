import pytest

from pumice.backends import get_backend
from pumice.testing import cases, example


@pytest.fixture(scope="session")
def kernels_are_loaded():
    """Here, once: the process of each run on Lava is a fork of this one, and would load them anew."""
    graph, x = example(cases(30, n_steps=2, longest_delay=9), 0)
    get_backend("fast").run(graph, x, record=True)
