"""Stand-in: adapters for spikes. On the CPU they hand on what their number of bits lets through."""

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.c.model import CLoihiProcessModel
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU, LMT
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol


class _Adapter(AbstractProcess):
    def __init__(self, shape, num_message_bits, **more):
        super().__init__(shape=shape, num_message_bits=num_message_bits, **more)
        self.inp, self.out = InPort(shape=shape), OutPort(shape=shape)


class PyToNxAdapter(_Adapter):
    def __init__(self, shape, num_message_bits=0):
        super().__init__(shape, num_message_bits)


class PyToN3ConvAdapter(_Adapter):
    def __init__(self, shape, num_message_bits=16, *, spike_exp, compression):
        super().__init__(shape, num_message_bits, spike_exp=spike_exp, compression=compression)


class NxToPyAdapter(_Adapter):
    def __init__(self, shape, num_message_bits=0):
        super().__init__(shape, num_message_bits)


class _PassThrough(PyLoihiProcessModel):
    inp = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    out = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def run_spk(self):
        bits, values = self.proc_params["num_message_bits"], self.inp.recv()
        self.out.send(self.carried(values, bits) if bits else (values != 0).astype(np.int32))

    def carried(self, values, bits):
        """Signed, cut to the message."""
        return (values << (32 - bits)) >> (32 - bits)


@implements(proc=PyToNxAdapter, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyToNxAdapterOnCpu(_PassThrough):
    pass


@implements(proc=PyToN3ConvAdapter, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyToN3ConvAdapterOnCpu(_PassThrough):
    pass


@implements(proc=NxToPyAdapter, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class NxToPyAdapterOnCpu(_PassThrough):
    def carried(self, values, bits):
        """Without a sign, as the chip's registers are read."""
        return values & ((1 << bits) - 1)


@implements(proc=PyToNxAdapter, protocol=LoihiProtocol)
@requires(LMT)
class PyToNxAdapterOnChip(CLoihiProcessModel):
    pass


@implements(proc=PyToN3ConvAdapter, protocol=LoihiProtocol)
@requires(LMT)
class PyToN3ConvAdapterOnChip(CLoihiProcessModel):
    pass


@implements(proc=NxToPyAdapter, protocol=LoihiProtocol)
@requires(LMT)
class NxToPyAdapterOnChip(CLoihiProcessModel):
    pass
