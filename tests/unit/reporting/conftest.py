from pathlib import Path

import numpy as np
import pytest

import pumice
from pumice import ir
from pumice.ir.builder import chain
from pumice.reporting.measure import measure
from pumice.reporting.sources import open_source

EXPORTS = Path(__file__).parents[3] / "netx_exports"
HOSTILE = "</script><script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">'\"&"

NAME = HOSTILE.replace("/", "")
"""Of a population: names must not hold a slash."""


def findings_of(source, data=None, *, limit=100, shown=2, **options):
    opened = open_source(source, data=data, data_root=None, limit=limit, trust=())
    return measure(opened, limit=limit, shown=shown, **options)


@pytest.fixture(scope="session")
def image_graph():
    """Pixels that are all different on their way through a convolution to three classes with bad names."""
    rng = np.random.default_rng(0)
    conv = ir.Conv("eyes", NAME, weight=2 * rng.integers(-8, 9, (2, 3, 3, 1)), padding=(1, 1), graded=True)
    dense = ir.Dense(NAME, "output", weight=2 * rng.integers(-90, 90, (3, 24)))
    return ir.Graph(
        ir.Input("eyes", (4, 3, 1), value_range=(0, 15)),
        (ir.Cuba(NAME, (4, 3, 2), vth_mant=40), ir.Cuba("output", (3,), vth_mant=120)),
        (conv, dense),
        ("output",),
        timing=ir.Timing(6, 6),
        info={"name": HOSTILE, HOSTILE: HOSTILE, "classes": f"a, {HOSTILE.replace(', ', ' ')}, c"},
    )


@pytest.fixture(scope="session")
def image_samples():
    """Twelve different pixels, and others; shown unchanged in six steps."""
    pixels = np.stack([np.arange(12).reshape(4, 3, 1), np.arange(12)[::-1].reshape(4, 3, 1)])
    return [(np.repeat(pixels[i % 2][None], 6, axis=0), i % 3) for i in range(5)]


@pytest.fixture(scope="session")
def image_findings(image_graph, image_samples):
    return findings_of(image_graph, image_samples)


@pytest.fixture(scope="session")
def digits_net():
    return EXPORTS / "digits" / "network.net"


@pytest.fixture(scope="session")
def plain_findings():
    """Spikes into a chain, without labels, timing or certificate: as a bare stock file would be."""
    return findings_of(chain((6,), [5, 3], seed=1))


@pytest.fixture(scope="session")
def numbers_findings():
    """A read-out that answers numbers."""
    graph = ir.Graph(
        ir.Input("input", (4,), value_range=(0, 1)),
        (ir.Accumulator("sum", (2,)),),
        (ir.Dense("input", "sum", weight=np.array([[2, 4, 6, 8], [8, -6, 4, -2]])),),
        ("sum",),
        timing=ir.Timing(5, 5),
        info={"unit": "0.001"},
    )
    rng = np.random.default_rng(1)
    data = [(rng.integers(0, 2, (5, 4)), rng.normal(size=2)) for _ in range(6)]
    return findings_of(graph, data)


@pytest.fixture(scope="session")
def deployed_graph(digits_net):
    """The digits, without their recipe: their data are not looked for."""
    graph = pumice.load(digits_net)
    return graph.replace(info={key: value for key, value in graph.info.items() if key != "recipe"})
