"""What stock lava-dl gets silently wrong, measured live, beside what pumice makes of the same network.

For each case, from one run:

- stock: entries of the output raster in which stock netx on Lava differs from SLAYER's own forward pass.
- pumice: entries in which the lowered graph on the chosen backend differs from the deployed network, samples back to
  back; or the reason why it is refused.
- SLAYER: entries in which the deployed network differs from the one that was trained (0 but where the chip's
  24-bit states wrap or clip, and where SLAYER takes a voltage at the threshold for one above it).

Run: python benchmarks/stock_defects.py [--backend reference|lava]
"""

import argparse
import contextlib
import io
import json
import subprocess
import sys
import tempfile
import warnings
from functools import partial
from pathlib import Path

import pumice  # isort: skip  (before lava: see README)
import h5py
import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from pumice.errors import FileFormatError, GraphError, LoweringError, PumiceWarning
from pumice.ir import from_stream, to_stream, torch_to_lava

sys.path.insert(0, str(Path(__file__).parent))
import stock_cases
from stock_cases import LOUD, SILENT, STEPS, make
from stock_files import file_cases

RUN_STOCK = Path(__file__).parents[1] / "tests/golden/stock_run.py"
REFUSALS = (LoweringError, FileFormatError, GraphError)


def raster(y):
    """SLAYER's output (batch, channels.., time) as Lava has it: (batch, time, ..)."""
    values = torch_to_lava(y.detach().numpy()).astype(int)
    return values.reshape(len(values), STEPS, -1)


def forward(model, x):
    with torch.no_grad():
        for b in model:
            if isinstance(b, stock_cases.block.base.AbstractRecurrent):
                b.neuron.current_state = b.neuron.voltage_state = torch.zeros(
                    1
                )  # else it goes on from the last batch
        return model(x)


def export(model, path):
    with h5py.File(path, "w") as file:
        layers = file.create_group("layer")
        for i, b in enumerate(model):
            b.export_hdf5(layers.create_group(str(i)))
    return path


def run_stock(jobs, folder):
    """Stock netx on Lava, in a process of its own: name -> raster (T, n), or what it raised."""
    folder = Path(tempfile.mkdtemp(dir=folder))
    listed = []
    for index, (path, x, arguments) in enumerate(jobs.values()):
        np.save(folder / f"x{index}.npy", x)
        listed.append(
            {
                "net": str(path),
                "input": str(folder / f"x{index}.npy"),
                "output": str(folder / f"y{index}.npy"),
                "arguments": arguments,
            }
        )
    (folder / "jobs.json").write_text(json.dumps(listed))
    command = [sys.executable, str(RUN_STOCK), str(folder / "jobs.json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"net"')]
    errors = {line["net"]: line["error"] for line in lines}
    found = {}
    for index, (name, (path, x, _)) in enumerate(jobs.items()):
        y = folder / f"y{index}.npy"
        found[name] = np.load(y).reshape(len(x), -1) if y.exists() else errors.get(str(path), done.stderr[-300:])
    return found


def refusal(error, folder):
    return "refused: " + str(error).replace(f"{folder}/", "").split("\n")[0]


def stock_figures(folder):
    """For each network: entries in which stock differs from SLAYER's forward pass (delay_shift on), and all."""
    jobs, expected, figures = {}, {}, {}
    for index, (name, case) in enumerate(SILENT.items()):
        model = make(case, shift=True)
        expected[name] = raster(forward(model, case.x[:1]))[0]
        with contextlib.redirect_stdout(io.StringIO()):
            path = export(model, folder / f"{index}.net")
        x = torch_to_lava(case.x[:1].numpy())[0].astype(int)
        jobs[name] = (path, x, dict(case.arguments))
    for name, got in run_stock(jobs, folder).items():
        truth = expected[name]
        figures[name] = got if isinstance(got, str) else (int(((got != 0) != (truth != 0)).sum()), truth.size)
    return figures


def pumice_figures(name, folder, backend="reference"):
    """Entries in which the graph differs from the deployed network and that one from the trained one; whether a
    warning was given; entries in all. Or why it is refused.
    """
    case = SILENT[name]
    model = make(case, shift=case.through_file)
    trained = raster(forward(model, case.x))
    with warnings.catch_warnings(record=True) as caught, contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("always")
        try:
            if case.through_file:
                graph = pumice.load(export(model, folder / "own.net"))
                x = torch_to_lava(case.x[:1].numpy())[0].astype(int)
                return (
                    int((pumice.run(graph, x, backend=backend).spikes != trained[0]).sum()),
                    0,
                    False,
                    trained[0].size,
                )
            graph = pumice.lower(model, case.x)
        except REFUSALS as error:
            return refusal(error, folder)
        deployed = raster(forward(model, case.x))
        samples = torch_to_lava(case.x.numpy()).astype(np.int32)
        result = pumice.run(graph, to_stream(graph, samples), backend=backend)
        got = from_stream(graph, result.spikes, len(samples)).reshape(deployed.shape)
    announced = any(issubclass(w.category, PumiceWarning) for w in caught)
    return int((got != deployed).sum()), int((deployed != trained).sum()), announced, deployed.size


def file_rows(folder, backend="reference"):
    """(case, stock's figure, pumice's figure) for files that SLAYER does not write."""
    cases = file_cases(folder)
    stock = run_stock({name: (path, x, arguments) for name, (path, x, arguments, _) in cases.items()}, folder)
    for name, (path, x, arguments, meant) in cases.items():
        truth = pumice.run(meant, x, backend=backend).spikes.reshape(len(x), -1)
        got = stock[name]
        figure = got if isinstance(got, str) else (int((got != truth).sum()), truth.size)
        yield name, figure, own_reading(path, x, truth, arguments.get("input_shape"), backend)


def own_reading(path, x, truth, input_shape, backend="reference"):
    """What pumice makes of a file: (differing, entries), or why it is refused."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            graph = pumice.load(path, input_shape=input_shape and tuple(input_shape))
            got = pumice.run(graph, x, backend=backend).spikes.reshape(len(x), -1)
    except REFUSALS as error:
        return refusal(error, path.parent)
    return int((got != truth).sum()), 0, False, truth.size


def reset_row(folder, backend="reference"):
    """Three samples back to back through stock with its default reset_offset, and through pumice."""
    case = stock_cases.Network(
        lambda s: [stock_cases.dense(s), stock_cases.dense(s, 8, 8)], stock_cases.spikes(10, samples=3)
    )
    model = make(case, shift=False)
    trained = raster(forward(model, case.x))
    with contextlib.redirect_stdout(io.StringIO()):
        path = export(model, folder / "reset.net")
    stream = torch_to_lava(case.x.numpy()).astype(int).reshape(3 * STEPS, -1)
    stream = np.concatenate([stream, np.zeros((2, 10), int)])
    got = run_stock({"reset": (path, stream, {"reset_interval": STEPS})}, folder)["reset"]
    stock = got if isinstance(got, str) else (int((got[2:] != trained.reshape(-1, 8)).sum()), trained.size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        graph = pumice.lower(model, case.x, period_steps=STEPS)
    samples = torch_to_lava(case.x.numpy()).astype(np.int32)
    spikes = from_stream(graph, pumice.run(graph, to_stream(graph, samples), backend=backend).spikes, 3)
    return (
        "reset_interval with the default reset_offset",
        stock,
        (int((spikes != trained).sum()), 0, False, trained.size),
    )


def loud_rows(folder):
    """(case, what stock raises, what pumice does)."""
    x = (torch.rand(1, *stock_cases.IMAGE, STEPS) < 0.3).float()
    for name, build in LOUD.items():
        yield name, _raised(partial(_stock_road, build, x, folder)), _raised(partial(_own_road, build, x))


def _stock_road(build, x, folder):
    import lava.lib.dl.netx.hdf5 as netx

    model = torch.nn.Sequential(*build())
    forward(model.eval(), x)
    path = Path(tempfile.mkdtemp(dir=folder)) / "loud.net"
    netx.Network(str(export(model, path)), input_shape=stock_cases.IMAGE[::-1])


def _own_road(build, x):
    pumice.lower(torch.nn.Sequential(*build()), x)


def _raised(action):
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            action()
        except Exception as error:
            return f"{type(error).__name__}: {error}".split("\n")[0]
    return "works"


def state_dict_row():
    """Loading a trained network's weights into a fresh one."""

    def load(module):
        trained, fresh = (torch.nn.Sequential(module.Dense(dict(stock_cases.LEAKY), 10, 4, delay=True)) for _ in "ab")
        trained(stock_cases.BINARY)
        fresh.load_state_dict(trained.state_dict())

    import pumice.nn

    stock, own = partial(load, stock_cases.block.cuba), partial(load, pumice.nn)
    return "state_dict of a fresh net with delays", _raised(stock), _raised(own)


def figure(found):
    if isinstance(found, str):
        return found
    return f"{found[0]:,} of {found[-1]:,}"


def table(backend="reference"):
    """All rows: (case, stock, pumice, deployed against trained)."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stock = stock_figures(folder)
        for case in SILENT:
            own = pumice_figures(case, folder, backend)
            yield case, stock[case], own, "" if isinstance(own, str) else f"{own[1]:,}" + ", with a warning" * own[2]
        for case, wrong, own in [*file_rows(folder, backend), reset_row(folder, backend)]:
            yield case, wrong, own, ""
        for case, wrong, own in [*loud_rows(folder), state_dict_row()]:
            yield f"loud: {case}", wrong, own, ""


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--backend", default="lava", choices=("reference", "lava"))
    arguments = parser.parse_args()
    shown = Table("case", "stock differs from SLAYER", "pumice: graph differs from network", "deployed from trained")
    for case, wrong, own, trained in table(arguments.backend):
        shown.add_row(case, figure(wrong), figure(own), trained)
    Console(width=170).print(shown, markup=False)


if __name__ == "__main__":
    main()
