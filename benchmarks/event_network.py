"""A convolutional event network with tdBN in pumice, snnTorch and SpikingJelly, for `train_step.py`.

34x34x2 events in ten steps, 16c3s2-32c3s2-10o, LIF neurons without current that forget half of their voltage in a
step, arc-tangent surrogates. tdBN (Zheng et al., AAAI 2021) is batch norm over samples and steps together: in
SpikingJelly its batch norm of many steps (its tdBN layer, which at this threshold begins alike, raises in
0.0.0.0.14), in snnTorch torch's, on steps folded into the batch.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import torch

from pumice import nn

THRESHOLD, DECAY, STEPS = 1.0, 0.5, 10
LAYERS = ((2, 16), (16, 32))
NEURON = {"threshold": THRESHOLD, "current_decay": 1.0, "voltage_decay": DECAY, "surrogate": "arctan"}
NEURONS_OUT = 32 * 9 * 9
FINEST = 2.0**-14
"""Below what any voltage of `check` is a multiple of: SpikingJelly fires at its threshold, the others above it."""

Forward = Callable[[torch.Tensor], torch.Tensor]


def events() -> torch.Tensor:
    """Five per cent, (batch, 2, height, width, time)."""
    return (torch.rand(32, 2, 34, 34, STEPS) < 0.05).float()


def ours() -> torch.nn.Sequential:
    """In pumice; answers (batch, class, time)."""
    params = {**NEURON, "norm": nn.TDBN}
    blocks = [nn.Conv(dict(params), n_in, n_out, 3, stride=2, padding=1) for n_in, n_out in LAYERS]
    return torch.nn.Sequential(*blocks, nn.Flatten(), nn.Dense(dict(params), NEURONS_OUT, 10))


class SnnTorch(torch.nn.Module):
    """In snnTorch: synapses and norms on all steps at once, neurons step by step."""

    def __init__(self) -> None:
        super().__init__()
        convs = [torch.nn.Conv2d(n_in, n_out, 3, 2, 1, bias=False) for n_in, n_out in LAYERS]
        self.synapses = torch.nn.ModuleList([*convs, torch.nn.Linear(NEURONS_OUT, 10, bias=False)])
        norms = [torch.nn.BatchNorm2d(n_out) for _, n_out in LAYERS]
        self.norms = torch.nn.ModuleList([*norms, torch.nn.BatchNorm1d(10)])
        self.neurons = torch.nn.ModuleList(snntorch_neuron() for _ in self.synapses)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(time, batch, ...) -> (time, batch, class)."""
        for synapse, norm, neuron in zip(self.synapses, self.norms, self.neurons, strict=True):
            x = x.flatten(2) if isinstance(synapse, torch.nn.Linear) else x
            x = fired(neuron, norm(synapse(x.flatten(0, 1))).unflatten(0, x.shape[:2]))
        return x


def snntorch_neuron() -> Any:
    """snnTorch's leaky neuron with a reset to zero in the same step."""
    import snntorch

    return snntorch.Leaky(beta=1 - DECAY, threshold=THRESHOLD, reset_mechanism="zero", reset_delay=False)


def fired(neuron: Any, currents: torch.Tensor) -> torch.Tensor:
    """snnTorch's spikes for currents (time, batch, ...)."""
    state, spikes = neuron.init_leaky(), []
    for current in currents:
        spike, state = neuron(current, state)
        spikes.append(spike)
    return torch.stack(spikes)


def jelly_neuron() -> Any:
    """SpikingJelly's LIF neuron over all steps."""
    from spikingjelly.activation_based import neuron, surrogate

    options = {"v_threshold": THRESHOLD + FINEST, "surrogate_function": surrogate.ATan(), "detach_reset": True}
    return neuron.LIFNode(tau=1 / DECAY, decay_input=False, step_mode="m", backend="torch", **options)


def jelly() -> torch.nn.Sequential:
    """In SpikingJelly."""
    from spikingjelly.activation_based import layer

    many = {"step_mode": "m"}
    modules: list[torch.nn.Module] = []
    for n_in, n_out in LAYERS:
        conv = layer.Conv2d(n_in, n_out, 3, 2, 1, bias=False, **many)
        modules += [conv, layer.BatchNorm2d(n_out, **many), jelly_neuron()]
    modules += [layer.Flatten(**many), layer.Linear(NEURONS_OUT, 10, bias=False, **many)]
    last = layer.SeqToANNContainer(torch.nn.BatchNorm1d(10))
    return torch.nn.Sequential(*modules, last, jelly_neuron())


def bare_convolutions(x: torch.Tensor) -> Callable[[], None]:
    """Forward and backward of the products alone, channels last in memory: what no network of these layers can beat.

    As dense products: what a convolution of few spikes could leave out is in it, too.

    Args:
        x: As `events` gives them.
    """
    convs = [torch.nn.Conv2d(n_in, n_out, 3, 2, 1, bias=False) for n_in, n_out in LAYERS]
    products: list[Any] = [conv.to(memory_format=torch.channels_last) for conv in convs]
    spikes = x.movedim(-1, 0).flatten(0, 1)
    inputs = [spikes.contiguous(memory_format=torch.channels_last)]
    for conv in convs:
        with torch.no_grad():
            found = (torch.rand_like(conv(inputs[-1])) < 0.2).float()
        inputs.append(found.contiguous(memory_format=torch.channels_last).requires_grad_())
    inputs[-1] = inputs[-1].detach().flatten(1).contiguous().requires_grad_()
    products.append(torch.nn.Linear(NEURONS_OUT, 10, bias=False))
    with torch.no_grad():
        grads = [torch.randn_like(product(given)) for product, given in zip(products, inputs, strict=True)]

    def run() -> None:
        for product, given, grad in zip(products, inputs, grads, strict=True):
            product.weight.grad = given.grad = None
            product(given).backward(grad)

    return run


def installed() -> dict[str, Callable[[], torch.nn.Module]]:
    """The peers that are there; says which are not."""
    makers = {"snntorch": SnnTorch, "spikingjelly": jelly}
    for name in makers:
        if find_spec(name) is None:
            print(f"  {name} is not installed and not timed (see train_step.py's first lines)")
    return {name: make for name, make in makers.items() if find_spec(name) is not None}


def forward_of(name: str, model: torch.nn.Module) -> Forward:
    """What gives a peer's spikes for time-first input."""
    if name != "spikingjelly":
        return model

    def forward(x: torch.Tensor) -> torch.Tensor:
        from spikingjelly.activation_based import functional

        functional.reset_net(model)
        spikes: torch.Tensor = model(x)
        return spikes

    return forward


def check() -> None:
    """The neurons fire equally for the same currents: quarters, so that ten steps round nowhere."""
    currents = torch.randint(-4, 7, (STEPS, 8, 500)) / 4
    wanted = nn.CubaNeuron(**NEURON)(currents.permute(1, 2, 0)).permute(2, 0, 1)
    neurons = {"snntorch": lambda: lambda x: fired(snntorch_neuron(), x), "spikingjelly": jelly_neuron}
    for name in installed():
        spikes = neurons[name]()(currents)
        assert torch.equal(spikes, wanted), f"{name}: {int((spikes != wanted).sum())} spikes differ"
        print(f"  neurons of {name}: {int(wanted.sum())} spikes of {wanted.numel()}, all equal")
