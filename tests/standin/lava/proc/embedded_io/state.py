"""Stand-in: readers of states. On the CPU they send in a step what the state was after the step before."""

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.c.model import CLoihiProcessModel
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyOutPort, PyRefPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import OutPort, RefPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU, LMT
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol


class _Reader(AbstractProcess):
    def __init__(self, shape, **more):
        super().__init__(shape=shape, **more)
        self.state, self.out = RefPort(shape=shape), OutPort(shape=shape)

    def connect_var(self, var):
        self.state.connect_var(var)


class Read(_Reader):
    def __init__(self, shape, interval=1, offset=0):
        super().__init__(shape, interval=interval, offset=offset)


class ReadConv(_Reader):
    pass


class _ReaderOnCpu(PyLoihiProcessModel):
    state = LavaPyType(PyRefPort.VEC_DENSE, np.int32)
    out = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params):
        super().__init__(proc_params)
        self._read = np.zeros(proc_params["shape"], np.int32)

    def run_spk(self):
        self.out.send(self._read)

    def post_guard(self):
        return True

    def run_post_mgmt(self):
        self._read = self.state.read().astype(np.int32) & 0xFFFFFF


@implements(proc=Read, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class ReadOnCpu(_ReaderOnCpu):
    pass


@implements(proc=ReadConv, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class ReadConvOnCpu(_ReaderOnCpu):
    pass


@implements(proc=Read, protocol=LoihiProtocol)
@requires(LMT)
class ReadOnChip(CLoihiProcessModel):
    pass


@implements(proc=ReadConv, protocol=LoihiProtocol)
@requires(LMT)
class ReadConvOnChip(CLoihiProcessModel):
    pass
