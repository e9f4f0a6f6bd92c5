"""The moments of a wide layer's spikes, from the moments of its currents: mean-field theory of CUBA neurons."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from pumice.errors import InputError
from pumice.nn.neurons.cuba import CubaNeuron

SAMPLES = 8192
"""Currents that are drawn: rates are known up to about .003."""


@dataclass(frozen=True, eq=False)
class SpikeMoments:
    """What the neurons of a wide layer do, averaged over the neurons.

    Attributes:
        rate: Spikes per neuron and step.
        covariance: Between the spikes of two steps, over the neurons, shape (time, time).
        voltages: Of drawn neurons before each reset, shape (n, time).
    """

    rate: float
    covariance: torch.Tensor
    voltages: torch.Tensor


def spike_moments(
    covariance: torch.Tensor,
    *,
    threshold: float,
    voltage_decay: float,
    current_decay: float = 1.0,
    samples: int = SAMPLES,
    seed: int = 0,
) -> SpikeMoments:
    r"""Spikes of neurons whose synaptic sums are a Gaussian process over time with mean 0 and this covariance.

    .. math:: u[t] = (1 - \alpha_u) \, u[t-1] + z[t], \quad v[t] = (1 - \alpha_v) \, v[t-1] \, (1 - s[t-1]) + u[t],
        \quad s[t] = [v[t] > \vartheta], \quad z \sim N(0, K)

    A sum of many spikes with independent random weights is such a process (central limit theorem), whatever the
    spikes are. With one step, or no memory, the rate is :math:`p = Q(\vartheta / \sqrt{K_{tt}})`, Q the Gaussian
    tail, and the variance p (1 - p). With memory neither has a closed form, and both are measured: sums are drawn, in
    pairs z, -z, and given to a `CubaNeuron`, whose states are rounded as on the chip.

    Args:
        covariance: K, shape (time, time), symmetric and positive semidefinite.
        threshold: :math:`\vartheta`, > 0.
        voltage_decay: :math:`\alpha_v`, 0 to 1.
        current_decay: :math:`\alpha_u`, 0 to 1.
        samples: Neurons to draw, even.
        seed: Of the draw: the same arguments give the same numbers.

    Raises:
        InputError: The covariance is no square matrix, or has an entry on its diagonal that is not > 0.

    Example:
        >>> found = spike_moments(torch.ones(1, 1), threshold=1.0, voltage_decay=1.0, samples=1 << 16)
        >>> round(found.rate, 2), round(found.covariance.item(), 2)  # .1587 and .1335
        (0.16, 0.13)
    """
    kernel = covariance.double()
    if kernel.ndim != 2 or len(set(kernel.shape)) != 1 or not bool((kernel.diagonal() > 0).all()):
        shown = kernel.diagonal().tolist() if kernel.ndim == 2 else "none"
        raise InputError(
            "spike_moments: covariance must be (time, time) with a diagonal > 0, got shape "
            f"{tuple(kernel.shape)}, diagonal {shown}"
        )
    values, vectors = torch.linalg.eigh(kernel)
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(samples // 2, len(kernel), generator=generator, dtype=torch.float64)
    half = noise @ (vectors * values.clamp(min=0).sqrt()).T
    neuron = CubaNeuron(threshold=threshold, current_decay=current_decay, voltage_decay=voltage_decay)
    with torch.no_grad():
        _, voltages = neuron.dynamics(torch.cat([half, -half]).float()[None])
        spikes = neuron.spike(voltages)[0].double()
    mean = spikes.mean(0)
    return SpikeMoments(
        float(mean.mean()), spikes.T @ spikes / len(spikes) - mean[:, None] * mean, voltages[0].double()
    )


def leak(steps: int, decay: float) -> torch.Tensor:
    """A leaky integrator that starts at 0, as a matrix (time, time): row t has (1 - decay)^(t - t') at t' <= t.

    Example:
        >>> leak(3, 0.5).tolist()
        [[1.0, 0.0, 0.0], [0.5, 1.0, 0.0], [0.25, 0.5, 1.0]]
    """
    at = torch.arange(steps)
    past = at[:, None] - at
    return torch.where(past >= 0, (1 - decay) ** past.clamp(min=0).double(), 0.0)
