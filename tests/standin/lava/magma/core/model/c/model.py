"""Stand-in: models for embedded processors, which cannot run."""

from lava.magma.core.model.model import AbstractProcessModel


class AbstractCProcessModel(AbstractProcessModel):
    def run(self):
        raise NotImplementedError("a stand-in")


class CLoihiProcessModel(AbstractCProcessModel):
    pass
