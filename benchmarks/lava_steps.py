"""A network on Lava that takes steps on request: `python lava_steps.py FORM NETWORK X.npy Y.npy ARGUMENTS`.

FORM is "stock" (netx.hdf5.Network), "many" (pumice's graph, a process for each population and synapse), "one" (the
same graph in one process) or "empty" (such a process that computes nothing: what Lava alone takes).

Reads numbers of steps, one a line, and answers each with the seconds that they took. At the end of its input it
writes what left the network to Y.npy.
"""

import contextlib
import io
import json
import sys
import time
from dataclasses import replace

import numpy as np

import pumice
from pumice.backends.fast import Simulator
from pumice.backends.lava import GraphProcess, OneProcessCfg, one_process
from pumice.backends.lava.memory import shared_array
from pumice.backends.lava.processes.stream import Source, SpikeRecorder
from pumice.cli.run import _with_resets


def stock(path: str, shape: tuple[int, ...], arguments: dict):
    """In-port, out-port, and the process to run."""
    with contextlib.redirect_stdout(io.StringIO()):
        import lava.lib.dl.netx.hdf5 as netx
        from lava.proc.conv import utils

        utils.TORCH_IS_AVAILABLE = False  # torch can hang in Lava's forked processes
        if "input_shape" in arguments:
            arguments = arguments | {"input_shape": tuple(arguments["input_shape"])}
        net = netx.Network(net_config=path, **arguments)
    has_neurons = type(net.in_layer).__name__ == "Input"
    return (net.in_layer.neuron.a_in if has_neurons else net.inp), net.out, net


def graph(path: str, arguments: dict, x: np.ndarray) -> pumice.Graph:
    """What stock makes of the file, as a graph for the values of this stream."""
    options = {key: value for key, value in arguments.items() if key in {"num_layers", "input_message_bits"}}
    read = pumice.load(path, as_stock=True, input_shape=x.shape[1:], **options)
    read = read.replace(input=replace(read.input, value_range=(int(x.min()), int(x.max()))))
    return _with_resets(read, arguments.get("reset_interval"), arguments.get("reset_offset"))


def any_input(graph: pumice.Graph) -> pumice.Graph:
    """The graph as the one-process model simulates it: nothing is known of what other processes send."""
    return graph.replace(input=replace(graph.input, value_range=None))


class Empty(Simulator):
    """Takes no step."""

    def begin_step(self) -> None:
        self._move(1)

    def finish_step(self, x: np.ndarray) -> None:
        pass


def main() -> None:
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg

    form, path, x_path, y_path, arguments = *sys.argv[1:5], json.loads(sys.argv[5])
    x = np.load(x_path).astype(np.int32)
    run_cfg = Loihi2SimCfg(select_tag="fixed_pt")
    if form == "stock":
        inp, out, process = stock(path, x.shape[1:], arguments)
    else:
        process = GraphProcess(graph(path, arguments, x))
        inp, out = process.inp, process.out
        run_cfg = OneProcessCfg() if form in {"one", "empty"} else run_cfg
        if form == "empty":
            one_process.Simulator = Empty
    sent, steps_done = shared_array((len(x), *out.shape), np.int32), shared_array((1,), np.int64)
    Source(x.reshape(len(x), *inp.shape)).s_out.connect(inp)
    out.connect(SpikeRecorder(steps_done, sent).s_in)
    done = 0
    try:
        for line in sys.stdin:
            began = time.perf_counter()
            process.run(condition=RunSteps(num_steps=int(line)), run_cfg=run_cfg)
            done += int(line)
            print(time.perf_counter() - began, flush=True)
        np.save(y_path, sent[:done])
    finally:
        process.stop()


if __name__ == "__main__":
    main()
