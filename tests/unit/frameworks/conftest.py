"""A framework of a few lines, so that what all frameworks share is tested without any of them."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from pumice.frameworks.facts import Feedback, Framework, NeuronFacts, kind_of, plain
from pumice.frameworks.kinds import in_order


class Lif(nn.Module):
    """v = beta v + gain x; fires above its threshold (at it, if so told); one step a call, the state inside.

    With `recurrent`, x is the input and what that makes of the last step's spikes; if `late`, not in the first step.
    """

    __module__ = "toy.neurons"

    def __init__(
        self,
        beta=0.8,
        threshold=1.0,
        *,
        gain=1.0,
        alpha=0.0,
        at_threshold=False,
        soft=False,
        fires=True,
        recurrent=None,
        late=False,
    ):
        super().__init__()
        self.recurrent, self.late = recurrent, late
        self.beta, self.threshold, self.gain, self.alpha = beta, threshold, gain, alpha
        self.at_threshold, self.soft, self.fires = at_threshold, soft, fires
        self.u = self.v = self.s = None

    def forward(self, x):
        first = self.v is None
        if first:
            self.u, self.v, self.s = torch.zeros_like(x), torch.zeros_like(x), torch.zeros_like(x)
        if self.recurrent is not None and not (first and self.late):
            x = x + self.recurrent(self.s)
        self.u = self.alpha * self.u + x
        self.v = self.beta * self.v + self.gain * self.u
        if not self.fires:
            return self.v
        spikes = (self.v >= self.threshold if self.at_threshold else self.v > self.threshold).to(x)
        self.v = self.v - spikes * self.threshold if self.soft else self.v * (1 - spikes)
        self.s = spikes
        return spikes


class Odd(nn.Module):
    """A layer that nobody knows."""

    __module__ = "toy.layers"

    def forward(self, x):
        return x.sin()


def read(path, module):
    if kind_of(module, "toy") != "Lif":
        return None
    return NeuronFacts(
        threshold=plain(module.threshold),
        current_decay=1 - module.alpha,
        voltage_decay=1 - plain(module.beta),
        gain=module.gain,
        fires_at_threshold=module.at_threshold,
        reads_out=not module.fires,
        nearly=("its reset must be to 0, got a subtraction",) if module.soft else (),
        feedback=None if module.recurrent is None else Feedback(in_order(module.recurrent), module.late),
    )


def to_rest(module):
    for part in module.modules():
        if isinstance(part, Lif):
            part.u = part.v = part.s = None


def run(network, x):
    """What the toy network gives, step by step: (batch, ..., time) -> the same."""
    to_rest(network)
    with torch.no_grad():
        found = torch.stack([network(x[..., t]) for t in range(x.shape[-1])], -1)
    to_rest(network)
    return found


@pytest.fixture
def toy():
    framework = Framework("toy", "toy", read, to_rest, layers=("toy.",))
    return SimpleNamespace(Lif=Lif, Odd=Odd, read=read, to_rest=to_rest, run=run, framework=framework)


@pytest.fixture
def spikes():
    """Random spikes of a shape, the same ones each time."""

    def make(*shape, rate=0.4):
        return (torch.rand(shape, generator=torch.Generator().manual_seed(7)) < rate).float()

    torch.manual_seed(3)
    return make
