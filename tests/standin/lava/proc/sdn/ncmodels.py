"""Stand-in: models for neuro cores, which cannot run."""

from lava.magma.core.decorator import implements, requires
from lava.magma.core.model.nc.model import AbstractNcProcessModel
from lava.magma.core.resources import Loihi2NeuroCore
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.sdn.process import Delta, Sigma, SigmaDelta


@implements(proc=Delta, protocol=LoihiProtocol)
@requires(Loihi2NeuroCore)
class NcDeltaModel(AbstractNcProcessModel):
    pass


@implements(proc=Sigma, protocol=LoihiProtocol)
@requires(Loihi2NeuroCore)
class NcSigmaModel(AbstractNcProcessModel):
    pass


@implements(proc=SigmaDelta, protocol=LoihiProtocol)
@requires(Loihi2NeuroCore)
class NcSigmaDeltaModel(AbstractNcProcessModel):
    pass
