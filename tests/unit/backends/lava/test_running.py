"""`supervised_run` on a user's own network of processes."""

import multiprocessing
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi1SimCfg, Loihi2SimCfg
from lava.proc.dense.process import Dense
from lava.proc.io import sink, source
from lava.proc.lif.process import LIF
from lava.proc.monitor.process import Monitor

from pumice.backends import get_backend
from pumice.backends.lava import GraphProcess, OneProcessCfg, supervised_run
from pumice.errors import BackendError, InputError
from pumice.ir.builder import chain

pytestmark = pytest.mark.lava

GRAPH = chain((3,), [4, 2], seed=6, vth_mant=10)
X = np.random.default_rng(0).integers(0, 2, (10, 3))
EXPECTED = get_backend("reference").run(GRAPH, X, record=True)

SENSOR = '''
import os
import signal
import time

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol


class Sensor(AbstractProcess):
    """Sends 1; in step `at` it does what `how` says."""

    def __init__(self, shape, how=None, at=5):
        super().__init__(how=how, at=at)
        self.s_out = OutPort(shape=shape)


@implements(proc=Sensor, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PySensor(PyLoihiProcessModel):
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params):
        super().__init__(proc_params)
        self.act(0)

    def run_spk(self):
        self.act(self.time_step)
        self.s_out.send(np.ones(self.s_out.shape, np.int32))

    def act(self, step):
        if step == self.proc_params["at"] and self.proc_params["how"] is not None:
            self.proc_params["how"]()
'''


@pytest.fixture(scope="module")
def sensor(tmp_path_factory):
    """A user's process class, in a file, where Lava looks for its model."""
    folder = tmp_path_factory.mktemp("users")
    (folder / "users_sensor.py").write_text(SENSOR)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.setattr("sys.dont_write_bytecode", True)
        import users_sensor

        yield users_sensor.Sensor


def wired(feed, graph=GRAPH):
    """A source, a graph, a sink of Lava's own."""
    process, out = GraphProcess(graph), sink.RingBuffer(shape=graph.output.shape, buffer=len(X))
    feed.s_out.connect(process.inp)
    process.out.connect(out.a_in)
    return process, out


@pytest.mark.parametrize("run_cfg", [None, OneProcessCfg()], ids=["many", "one"])
def test_variables_are_read_and_a_run_begins_anew(run_cfg):
    process, out = wired(source.RingBuffer(data=X.T))
    for _ in range(2):
        spikes = supervised_run(process, len(X), run_cfg, read=out.data.get).T
        np.testing.assert_array_equal(spikes, EXPECTED.spikes)
    assert EXPECTED.spikes.any()
    assert supervised_run(process, len(X), run_cfg) is None


def test_a_monitor_is_read():
    process, _ = wired(source.RingBuffer(data=X.T))
    monitor = Monitor()
    monitor.probe(process.populations["dense0"].v, len(X))
    probed = supervised_run(process, len(X), read=monitor.get_data)["dense0"]["v"]
    np.testing.assert_array_equal(probed, EXPECTED.records["dense0"].v)


def fail():
    raise ValueError("sensor unplugged")


def run_out_of_memory():
    raise MemoryError


def die():
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("at", [0, 5], ids=["while it is built", "in a step"])
@pytest.mark.parametrize(
    ("how", "cause"),
    [
        (fail, r"in Lava, Sensor .* raised:\n(.|\n)*ValueError: sensor unplugged"),
        (run_out_of_memory, r"in Lava, Sensor .* ran out of memory:\n"),
        (die, r"in Lava, Sensor .* was killed by signal 9 \(SIGKILL"),
        (lambda: os.kill(os.getppid(), signal.SIGKILL), r"^Lava's process was killed by signal 9 \(SIGKILL"),
    ],
    ids=["raises", "no memory", "killed", "supervisor killed"],
)
def test_the_cause_is_told(sensor, how, cause, at):
    """Without any limit of time, so what ends the wait is not the clock."""
    process, out = wired(sensor((3,), how, at))
    with pytest.raises(BackendError, match=cause):
        supervised_run(process, len(X), read=out.data.get)


def test_a_model_that_is_killed_while_variables_are_read(sensor):
    process, _ = wired(feed := sensor((3,)))

    def read():
        os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)
        time.sleep(60)

    with pytest.raises(BackendError, match=r"in Lava, .* was killed by signal 9"):
        supervised_run(process, 3, read=read)
    assert feed.runtime is None


def test_a_reading_that_raises():
    process, _ = wired(source.RingBuffer(data=X.T))
    with pytest.raises(BackendError, match=r"Lava failed(.|\n)*sensor unplugged"):
        supervised_run(process, 3, read=fail)


def test_processes_that_wait_for_each_other_end_in_time():
    """A loop without a synapse deadlocks in Lava."""
    one, two = LIF(shape=(1,)), LIF(shape=(1,))
    one.s_out.connect(two.a_in)
    two.s_out.connect(one.a_in)
    with pytest.raises(BackendError, match=r"not done after 2 s.*a loop of processes needs a synapse in it"):
        supervised_run(one, 5, timeout_s=2)


def test_many_at_once_equal_runs_in_a_row():
    n = 4
    networks = [wired(source.RingBuffer(data=np.roll(X, i, 0).T)) for i in range(n)]
    expected = [get_backend("reference").run(GRAPH, np.roll(X, i, 0)).spikes for i in range(n)]
    assert len({spikes.tobytes() for spikes in expected}) == n
    with ThreadPoolExecutor(n) as pool:
        found = list(pool.map(lambda n: supervised_run(n[0], len(X), read=n[1].data.get).T, networks))
    np.testing.assert_array_equal(found, expected)


def test_a_run_inside_a_model(sensor):
    """The user's process runs a network of its own in one of its steps."""
    inner, inner_out = wired(source.RingBuffer(data=X.T))

    def run_the_other():
        assert np.array_equal(supervised_run(inner, len(X), read=inner_out.data.get).T, EXPECTED.spikes)

    process, out = wired(sensor((3,), run_the_other, 2))
    spikes = supervised_run(process, len(X), read=out.data.get).T
    ones = get_backend("reference").run(GRAPH, np.ones_like(X)).spikes
    np.testing.assert_array_equal(spikes, ones)


def test_a_nested_run_ends_with_the_outer_one(sensor):
    """The inner one has a group of its own; the kernel ends it with the process that asked for it."""
    told, tell = os.pipe()

    def sleep_inside():
        os.write(tell, f"{os.getpid()}\n".encode())
        time.sleep(600)

    def run_the_other():
        os.write(tell, f"{os.getppid()}\n".encode())
        supervised_run(inner, 5)

    inner, _ = wired(sensor((3,), sleep_inside, 2))
    process, _ = wired(sensor((3,), run_the_other, 2))
    with open(told) as lines, ThreadPoolExecutor(1) as pool:
        run = pool.submit(supervised_run, process, 5)
        outer_pid, inner_pid = int(lines.readline()), int(lines.readline())
        os.kill(outer_pid, signal.SIGKILL)
        with pytest.raises(BackendError, match="was killed by signal 9"):
            run.result()
    for _ in range(600):
        if not Path(f"/proc/{inner_pid}").exists():
            break
        time.sleep(0.1)
    assert not Path(f"/proc/{inner_pid}").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"steps": 0}, r"steps must be a whole number of at least 1, got 0"),
        ({"steps": 2.5}, r"got 2\.5"),
        ({"steps": True}, r"got True"),
        ({"steps": 1, "timeout_s": 0}, r"timeout_s .*must be a number of seconds above 0, got 0"),
        ({"steps": 1, "timeout_s": float("nan")}, r"got nan"),
        ({"steps": 1, "timeout_s": "5"}, r"got '5'"),
        ({"steps": 1, "run_cfg": "fixed_pt"}, r"run_cfg must be like Loihi2SimCfg.*got 'fixed_pt'"),
        ({"steps": 1, "read": 5}, r"read must be a function .*got 5"),
        (
            {"steps": 1, "process": GRAPH},
            r"process must be one of Lava's processes, got Graph; of a graph, GraphProcess",
        ),
        ({"steps": 1, "process": None}, r"process must be one of Lava's processes, got NoneType"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(InputError, match=message):
        supervised_run(**{"process": Dense(weights=np.ones((1, 1))), **arguments})


def test_steps_may_be_a_number_of_numpys():
    process, out = wired(source.RingBuffer(data=X.T))
    np.testing.assert_array_equal(supervised_run(process, np.int64(len(X)), read=out.data.get).T, EXPECTED.spikes)


@pytest.mark.parametrize("run_cfg", [Loihi2SimCfg(), Loihi1SimCfg()])
def test_floating_point_models_of_a_graph_are_refused(run_cfg):
    """Lava takes them without a word where no tag is asked for."""
    feed = source.RingBuffer(data=X.T)
    process, _ = wired(feed)
    expected = r"LIF 'dense0' .* PyLifModelFloat, .*select_tag=\"fixed_pt\""
    with pytest.raises(BackendError, match=expected):
        supervised_run(feed, len(X), run_cfg)
    with pytest.raises(BackendError, match=expected):
        process.run(condition=RunSteps(len(X)), run_cfg=run_cfg)
