"""Stand-in: models for neuro cores, which cannot run."""

from lava.magma.core.decorator import implements, requires
from lava.magma.core.model.nc.model import AbstractNcProcessModel
from lava.magma.core.resources import Loihi2NeuroCore
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.dense.process import DelayDense, Dense


@implements(proc=Dense, protocol=LoihiProtocol)
@requires(Loihi2NeuroCore)
class NcDenseModel(AbstractNcProcessModel):
    pass


@implements(proc=DelayDense, protocol=LoihiProtocol)
@requires(Loihi2NeuroCore)
class NcDelayDenseModel(AbstractNcProcessModel):
    pass
