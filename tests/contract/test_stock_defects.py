"""What stock lava-dl gets silently wrong, pumice lowers exactly or refuses with the reason.

The networks are those of benchmarks/stock_defects.py, which shows stock's wrong figures beside ours.
"""

import importlib.util
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks/stock_defects.py"


def _benchmark():
    spec = importlib.util.spec_from_file_location("stock_defects", BENCHMARK)
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(BENCHMARK.parent))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.pop(0)
    return module


benchmark = _benchmark()

REFUSED = {"graded_spike = True": "which Lava's LIF cannot", "ADRF": "adaptive thresholds"}
UNLIKE_SLAYER = {
    "threshold >= 64, voltage exactly there": False,
    "|u| beyond 24 bits (wraps)": True,
    "|v| beyond 24 bits (clips)": True,
}
"""Where the chip cannot do what SLAYER computes: the deployed network shows it; whether a warning says so."""


@pytest.mark.parametrize("name", benchmark.SILENT)
def test_exact_or_refused(name, tmp_path):
    found = benchmark.pumice_figures(name, tmp_path)
    if name in REFUSED:
        assert REFUSED[name] in found
        return
    graph_differs, deployed_differs, announced, entries = found
    assert graph_differs == 0
    assert entries > 0
    assert (deployed_differs > 0) == (name in UNLIKE_SLAYER)
    assert announced or not UNLIKE_SLAYER.get(name)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("unknown layer type in the file", "unknown layer type 'mystery'"),
        ("inhibitory-only layer holding -256", None),
        ("conv weights beyond 8 bits (against the chip's range)", "must lie in -256..255"),
        ("conv with a weight_exp", "a weight exponent cannot be represented"),
        ("conv with 128 groups (Lava holds 127)", None),
        ("excitatory weights beyond 255 (against the chip's range)", "do not fit 8 bits"),
        ("concat in the file (loud)", "layer type 'concat' is not supported"),
        ("messageBits in the file (loud)", "graded spikes cannot be represented"),
    ],
)
def test_files(name, reason, tmp_path):
    path, x, arguments, meant = benchmark.file_cases(tmp_path)[name]
    truth = benchmark.pumice.run(meant, x).spikes.reshape(len(x), -1)
    found = benchmark.own_reading(path, x, truth, arguments.get("input_shape"))
    if reason is None:
        assert found[0] == 0
        assert truth.any()
    else:
        assert reason in found


@pytest.mark.parametrize("name", benchmark.LOUD)
def test_what_stock_cannot_do_is_lowered_or_refused(name):
    x = (benchmark.torch.rand(1, *benchmark.stock_cases.IMAGE, benchmark.STEPS) < 0.3).float()
    build = benchmark.LOUD[name]
    if name in {"Pool", "all-zero layer", "ConvT", "Unpool"}:
        benchmark._own_road(build, x)
    elif name == "count_log":
        with pytest.raises(benchmark.LoweringError, match=r"block '1': count_log=True.* leave it out"):
            benchmark._own_road(build, x)
    else:
        with pytest.raises(benchmark.LoweringError, match="cannot be lowered; use"):
            benchmark._own_road(build, x)


@pytest.mark.slow
@pytest.mark.lava
def test_the_table():
    """Stock's figures are as bad as claimed, ours are zero or a refusal; on Lava."""
    rows = {case: (stock, own) for case, stock, own, _ in benchmark.table("lava")}
    control = rows.pop("nothing unusual (control)")
    assert control[0][0] == control[1][0] == 0
    for case, (stock, own) in rows.items():
        if "loud" in case:
            assert isinstance(stock, str)
            continue
        assert stock[0] > 0, f"stock gets {case} right"
        assert own.startswith("refused: ") if isinstance(own, str) else own[0] == 0
