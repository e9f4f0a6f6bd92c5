"""An initialisation by theory: weights with which every layer's currents have the variance of the one before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from pumice.errors import InputError
from pumice.nn import Conv, Dense
from pumice.nn.neurons.moments import SpikeMoments, leak, spike_moments
from pumice.quantization.trace import INPUT, SYNAPTIC, Call, trace

_ALLOWED = "it is defined for chains of nn.Dense, nn.Conv and nn.Flatten, without norms"
LARGEST, STEP = 4.0, 2 / 64
"""SLAYER's 8-bit weights: none is larger, and neighbours differ by so much."""


@dataclass(frozen=True)
class LayerMoments:
    r"""What the theory says of one layer.

    Attributes:
        deviation: Of the weights that were drawn.
        gain: :math:`\sigma_w^2`, the deviation's square times the fan-in; of the first layer it depends on the input.
        rate: Spikes per neuron and step.
        gradient: :math:`\chi`: by how much the squared norm of a gradient grows from this layer's currents to those
            of the layer before; near 1 for gradients that neither vanish nor explode. None for the first layer.
    """

    deviation: float
    gain: float
    rate: float
    gradient: float | None


def moment_preserving_(model: torch.nn.Module, batch: torch.Tensor, current: float = 1.0) -> dict[str, LayerMoments]:
    r"""Draw the weights of a chain of spiking layers so that currents have the same variance in every layer.

    What self-normalizing networks are for SELU (Klambauer et al., NeurIPS 2017), with spikes in the place of
    activations. The weights of a neuron are drawn from :math:`N(0, \sigma_w^2 / n)`, n its inputs, and their mean is
    subtracted. Then, over the neurons of a wide layer, the synaptic sums are Gaussian with

    .. math:: \mathrm{Cov}(z_l[t], z_l[t']) = \sigma_w^2 \, C_{l-1}[t, t'], \quad
        C[t, t'] = E(s[t] s[t']) - E(s[t]) E(s[t'])

    C the covariance of the spikes before (`pumice.nn.neurons.moments.spike_moments`); the filter of the current
    makes :math:`K = A_u \, \mathrm{Cov}(z) \, A_u^T` of it. The variance is V again if

    .. math:: \sigma_w^2 = V / \mathrm{mean}_t \, (A_u C_{l-1} A_u^T)[t, t], \qquad V = (\mathrm{current} \cdot
        \vartheta)^2

    For neurons without memory, or one step, that is :math:`V / p (1 - p)`, p = Q(1 / current): 7.49 thresholds
    squared at current = 1. Then the map of the variance has the slope
    :math:`x \varphi(x) (1 - 2p) / (2 p (1 - p))` at V, with x = 1 / current: .62 at 1, so that a variance that is off
    comes back; above 1 for a current below .78, with which a layer that fires too rarely silences the next.

    A current with memory is small in the first steps of a sample, and smaller from layer to layer, until they are
    silent: the theory says it, but narrow layers fall further behind it than without such a memory.

    Only the first layer looks at data: it is scaled to V on the batch. `TDBN` gives a network the same currents by
    norms; here there is none, nothing to fold, and a layer's weights are the chip's.

    Args:
        model: A chain of `nn.Dense` and `nn.Conv` (and `nn.Flatten`) without norms; changed in place, with torch's
            global random generator.
        batch: Input, (batch, ..., time), such as a training batch.
        current: Standard deviation of each layer's currents, in its thresholds.

    Returns:
        What the theory says of each layer, in order. `gradient` is for the layer's surrogate and SLAYER's gradient.

    Raises:
        InputError: The model is no such chain, weights leave SLAYER's 8 bits, or neurons would not fire.
        LoweringError: The model has blocks of a kind that pumice does not know.

    Example:
        >>> from pumice import nn
        >>> params = {"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 1.0, "surrogate": "rectangular"}
        >>> net = torch.nn.Sequential(nn.Dense(params, 64, 256), nn.Dense(params, 256, 256))
        >>> _ = torch.manual_seed(0)
        >>> layers = moment_preserving_(net, (torch.rand(32, 64, 1) < 0.3).float())
        >>> round(layers["1"].gain, 1), round(layers["1"].rate, 2)
        (7.5, 0.16)
    """
    if not current > 0:
        raise InputError(f"moment_preserving_: current must be > 0, got {current}")
    layers = [_Layer.of(call) for call in _chain(trace(model, batch))]
    moments: list[SpikeMoments] = []
    with torch.no_grad():
        for layer in layers:
            integrate = leak(batch.shape[-1], layer.current_decay)
            sums = moments[-1].covariance if moments else layer.covariance_of_data()
            least = 1e-6 if moments else 1e-3 * float(layer.x.square().mean())
            variance = float((integrate @ sums @ integrate.T).diagonal().mean())
            if not variance > least:
                raise InputError(
                    f"moment_preserving_: what enters layer {layer.name!r} does not differ: the layer before never "
                    "fires (use a larger current), or the batch is the same everywhere"
                )
            layer.gain = (current * layer.threshold) ** 2 / variance
            layer.check_weights()
            moments.append(layer.spikes(sums * layer.gain))
        for layer in layers:
            layer.weight.copy_(layer.drawn * layer.deviation)
    factors = [None, *_gradient_factors(layers, moments)]
    return {
        layer.name: LayerMoments(layer.deviation, layer.gain, found.rate, factor)
        for layer, found, factor in zip(layers, moments, factors, strict=True)
    }


@dataclass
class _Layer:
    """A block, and what is drawn for it.

    Attributes:
        name: In the model.
        block: Dense or convolution.
        x: What enters it.
        drawn: Weights of deviation 1 whose mean over each neuron's inputs is 0.
        gain: The square of the deviation that they get, times the fan-in.
    """

    name: str
    block: Any
    x: torch.Tensor
    drawn: torch.Tensor
    gain: float = 0.0

    @classmethod
    def of(cls, call: Call) -> _Layer:
        """Draw a call's weights."""
        weight = call.block.synapse.weight
        fan_in = weight[0].numel()
        if fan_in < 2:
            raise InputError(
                f"moment_preserving_: layer {call.name!r} has {fan_in} input to a neuron, two are needed"
            )
        drawn = torch.randn_like(weight)
        drawn = drawn - drawn.flatten(1).mean(1).view(-1, *[1] * (weight.ndim - 1))
        return cls(call.name, call.block, call.xs[0], drawn * (fan_in / (fan_in - 1)) ** 0.5)

    @property
    def weight(self) -> torch.Tensor:
        """The synapse's."""
        weight: torch.Tensor = self.block.synapse.weight
        return weight

    @property
    def deviation(self) -> float:
        """Of the weights."""
        return (self.gain / self.weight[0].numel()) ** 0.5

    @property
    def threshold(self) -> float:
        """In SLAYER's units."""
        return float(self.block.neuron.threshold)

    @property
    def current_decay(self) -> float:
        """The mean of the neurons'."""
        return self._mean_decay("current_decay")

    @property
    def voltage_decay(self) -> float:
        """The mean of the neurons'."""
        return self._mean_decay("voltage_decay")

    def _mean_decay(self, name: str) -> float:
        neuron = self.block.neuron
        return float(getattr(neuron, name).detach().mean()) / neuron.p_scale

    def covariance_of_data(self) -> torch.Tensor:
        """Between steps, of the sums of what enters with weights of gain 1, over all neurons and samples."""
        before = self.weight.clone()
        try:
            self.weight.copy_(self.drawn)  # of deviation 1: SLAYER's rounding to 1/32 does not show
            sums = self.block.synapse(self.x).double().movedim(1, -2).flatten(0, -2)
        finally:
            self.weight.copy_(before)
        return sums.T @ sums / (len(sums) * self.weight[0].numel())

    def spikes(self, covariance: torch.Tensor) -> SpikeMoments:
        """Of the layer, for synaptic sums of this covariance."""
        some = (
            1e-9 * self.threshold**2 * torch.eye(len(covariance), dtype=torch.float64)
        )  # in steps without input, too
        return spike_moments(
            covariance + some,
            threshold=self.threshold,
            voltage_decay=self.voltage_decay,
            current_decay=self.current_decay,
        )

    def check_weights(self) -> None:
        """Refuse what SLAYER's 8 bits do not hold."""
        if self.block.synapse.pre_hook_fx is None or STEP <= self.deviation <= LARGEST / 3:
            return
        way = "lower" if self.deviation > STEP else "raise"
        raise InputError(
            f"moment_preserving_: weights of layer {self.name!r} would have the deviation {self.deviation:.3g}, and "
            f"SLAYER's 8 bits hold {STEP} to {LARGEST / 3:.3g}; {way} its threshold ({self.threshold:g})"
        )


def _chain(calls: list[Call]) -> list[Call]:
    """The layers of a network without branches and norms.

    Raises:
        InputError: It has others.
    """
    before, layers = INPUT, []
    for call in calls:
        if call.sources != (before,):
            raise InputError(f"moment_preserving_: layer {call.name!r} does not follow {before!r} alone: {_ALLOWED}")
        before = call.name
        if not isinstance(call.block, SYNAPTIC):
            continue
        if not isinstance(call.block, (Dense, Conv)):
            raise InputError(f"moment_preserving_: layer {call.name!r} is a {type(call.block).__name__}: {_ALLOWED}")
        if call.block.neuron.norm is not None or call.block.neuron.is_deployed:
            raise InputError(f"moment_preserving_: layer {call.name!r} has a norm or is deployed: {_ALLOWED}")
        weight = call.block.synapse.weight
        if not isinstance(weight, torch.nn.Parameter) or not weight.requires_grad:
            raise InputError(f"moment_preserving_: layer {call.name!r} is frozen, or has weight_norm: {_ALLOWED}")
        layers.append(call)
    return layers


def _gradient_factors(layers: list[_Layer], moments: list[SpikeMoments]) -> list[float]:
    r"""Of each layer but the first, by what a gradient's squared norm grows from its currents to those before.

    With G the gradients' covariance between steps, :math:`G' = \sigma_w^2 \, A^T (G \circ E[h h^T]) A`, where h is
    the surrogate at the voltages before, and A takes the sums before to these voltages, without reset. At the output,
    G is the identity.
    """
    steps = moments[0].voltages.shape[1]
    gradient = torch.eye(steps, dtype=torch.float64) / steps
    factors = []
    for index in range(len(layers) - 1, 0, -1):
        before, voltages = layers[index - 1], moments[index - 1].voltages
        slope = before.block.neuron.surrogate.derivative(voltages - before.threshold)
        back = leak(steps, before.voltage_decay) @ leak(steps, before.current_decay)
        gradient = back.T @ (layers[index].gain * gradient * (slope.T @ slope / len(slope))) @ back
        factors.append(float(gradient.trace()))
        gradient = gradient / gradient.trace().clamp(min=1e-300)
    return factors[::-1]
