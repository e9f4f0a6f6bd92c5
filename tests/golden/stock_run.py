"""Run stock netx on network files, in a process of its own, which is told on its standard input what to run.

Each line there is the path of a JSON file of jobs; what failed is printed, then "done". Each job names a network, an
input (.npy, shape (T, *input shape)), an output (.npy to write), arguments of stock `Network`, and whether Lava's
runtime runs it or threads do, with the same compiler and models. The output has shape (T, *output shape).
"""

import contextlib
import io
import json
import sys

import numpy as np


def run(job):
    import lava.lib.dl.netx.hdf5 as netx
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg
    from lava.proc.conv import utils
    from lava.proc.io.sink import RingBuffer as Sink
    from lava.proc.io.source import RingBuffer as Source

    from pumice.backends.lava.threads import execute_in_threads

    utils.TORCH_IS_AVAILABLE = False  # torch can hang in Lava's forked processes
    x = np.load(job["input"]).astype(int)
    arguments = {k: tuple(v) if isinstance(v, list) else v for k, v in job["arguments"].items()}
    with contextlib.redirect_stdout(io.StringIO()):  # stock netx prints its complaints
        net = netx.Network(job["net"], **arguments)
    source = Source(data=np.moveaxis(x, 0, -1))
    sink = Sink(shape=net.out.shape, buffer=len(x))
    has_neurons = type(net.in_layer).__name__ == "Input"
    source.s_out.connect(net.in_layer.neuron.a_in if has_neurons else net.inp)
    net.out.connect(sink.a_in)
    if not job["runtime"]:
        received = []
        execute_in_threads(net, len(x), {sink: lambda model: received.append(model.data[..., model.time_step - 1])})
        np.save(job["output"], np.array(received).astype(int))
        return
    try:
        net.run(condition=RunSteps(num_steps=len(x)), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
        np.save(job["output"], np.moveaxis(sink.data.get(), -1, 0).astype(int))
    finally:
        net.stop()


if __name__ == "__main__":
    import pumice  # noqa: F401  (before lava: see README)

    for line in sys.stdin:
        with open(line.strip()) as file:
            jobs = json.load(file)
        for job in jobs:
            try:
                run(job)
            except Exception as error:
                print(json.dumps({"net": job["net"], "error": f"{type(error).__name__}: {error}"}))
        print("done", flush=True)
