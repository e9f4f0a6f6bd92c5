"""Stand-in: models for neuro cores, which cannot run."""

from lava.magma.core.model.model import AbstractProcessModel


class AbstractNcProcessModel(AbstractProcessModel):
    def run(self):
        raise NotImplementedError("a stand-in")
