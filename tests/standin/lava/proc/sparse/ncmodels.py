"""Stand-in: models for neuro cores, which cannot run."""

from lava.magma.core.decorator import implements, requires
from lava.magma.core.model.nc.model import AbstractNcProcessModel
from lava.magma.core.resources import Loihi2NeuroCore
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.sparse.process import DelaySparse, Sparse


@implements(proc=Sparse, protocol=LoihiProtocol)
@requires(Loihi2NeuroCore)
class NcSparseModel(AbstractNcProcessModel):
    pass


@implements(proc=DelaySparse, protocol=LoihiProtocol)
@requires(Loihi2NeuroCore)
class NcDelaySparseModel(AbstractNcProcessModel):
    pass
