"""HM2-BP as its paper writes it, a sum over pairs of spikes for every pair of neurons: train_step.py's baseline."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from pumice import nn
from pumice.jit import njit
from pumice.nn.neurons.psp import Membrane

Array = npt.NDArray[Any]


@njit(cache=True)
def effects(inputs: Array, outputs: Array, kernel: Array, keep: Array) -> Array:
    """e (out, in) of one sample.

    Args:
        inputs: Spikes (in, time).
        outputs: Spikes (out, time).
        kernel: Potential n steps after a spike.
        keep: What n steps leave of the voltage.
    """
    e = np.zeros((len(outputs), len(inputs)), np.float32)
    for i in range(len(outputs)):
        for j in range(len(inputs)):
            total, last = np.float32(0), -1
            for f in np.flatnonzero(outputs[i]):
                for g in np.flatnonzero(inputs[j, : f + 1]):
                    total += kernel[f - g]
                    if g <= last:
                        total -= kernel[last - g] * keep[f - last]
                last = f
            e[i, j] = total
    return e


def layer_effects(layer: Any, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """e (out, in) of one sample's spikes before and behind a dense layer, (neuron, time)."""
    membrane = Membrane.of(layer.neuron, "neuron")
    steps = x.shape[-1]
    kernel = np.array(membrane.response(steps), np.float32)
    keep = (membrane.keep_voltage ** np.arange(steps)).astype(np.float32)
    return torch.from_numpy(effects(x.numpy(), y.numpy(), kernel, keep))


def backward(layers: Any, spikes: list[torch.Tensor], delta: torch.Tensor) -> list[torch.Tensor]:
    """The weights' gradients of one sample of a chain of dense layers in which all neurons fire or count for nothing.

    Args:
        layers: Dense.
        spikes: Before the first layer and behind each, (neuron, time).
        delta: The gradient of the last layer's counts.
    """
    grads = []
    for layer, x, y in zip(reversed(layers), reversed(spikes[:-1]), reversed(spikes[1:]), strict=True):
        weight = layer.neuron.quantize_8bit(layer.synapse.weight.detach()).flatten(1)
        theta, count = float(layer.neuron.threshold), y.sum(-1).clamp(min=1)
        e, of_neuron = layer_effects(layer, x, y), delta / theta
        own = (weight * e).sum(1) / (theta * count)
        grads.append((of_neuron * (1 + own))[:, None] * e)
        delta = (weight * e).T @ of_neuron / x.sum(-1).clamp(min=1)
    return grads[::-1]


def forward(layers: Any, x: torch.Tensor) -> list[torch.Tensor]:
    """Spikes of one sample, (neuron, time), before the first layer and behind each."""
    found = [x]
    with torch.no_grad():
        for layer in layers:
            found.append(layer(found[-1]))
    return [spikes[0].contiguous() for spikes in found]


def check(layer: nn.Dense, x: torch.Tensor, allowed: float) -> None:
    """The products over time give the double sum's effects, with which a layer's weights learn, sample by sample."""
    before, behind = forward([layer], x)
    e = layer_effects(layer, before, behind)
    slopes = torch.linspace(-1, 1, len(behind))
    layer.zero_grad()
    (layer(x) * slopes[:, None]).sum().backward()
    (expected,) = backward([layer], [before, behind], slopes)
    fires = behind.any(-1)
    got = layer.synapse.weight.grad.flatten(1)
    error = float((got - expected)[fires].norm() / expected[fires].norm())
    print(f"  gradient against the double sum over {int((e != 0).sum())} pairs of neurons: {error:.1e}")
    assert error < allowed, f"the gradient differs from the double sum by {error}"
