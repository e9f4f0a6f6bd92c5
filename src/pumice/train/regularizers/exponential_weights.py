"""Keep the output layer's weights from growing, each neuron's the more the larger they are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

from pumice.errors import InputError


class ExponentialWeights:
    r"""HM2-BP's regulariser of the output layer's weights.

    With :math:`q_i = \frac{1}{n} \sum_j (w_{ij} / w_{max})^2` over the n inputs of output neuron i,

    .. math:: R = \frac{\lambda n w_{max}}{2} \sum_i e^{\beta (q_i - 1)}, \qquad
        \frac{\partial R}{\partial w_{ij}} = \lambda \beta \frac{w_{ij}}{w_{max}} e^{\beta (q_i - 1)}

    Jin, Zhang, Li, NeurIPS 2018 (lambda 10, beta .04 and w_max 8 for a network of theirs whose gradient is a single
    sample's), after Lee, Delbruck, Pfeiffer, Frontiers in Neuroscience 2016.

    Args:
        model: The network.
        layer: Name of the layer whose weights they are.
        weight: lambda, >= 0.
        beta: > 0.
        largest: w_max, > 0, in the units of the network's weights.

    Raises:
        InputError: A value does not fit, or the network has no such layer.

    Example:
        >>> from pumice import nn
        >>> params = {"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 0.25}
        >>> net = torch.nn.Sequential(nn.Dense(params, 3, 2))
        >>> _ = net[0].synapse.weight.data.fill_(2.0)
        >>> ExponentialWeights(net, layer="0", weight=1.0, beta=0.5, largest=2.0)({}).backward()
        >>> net[0].synapse.weight.grad.unique().tolist()  # q is 1
        [0.5]
    """

    def __init__(
        self,
        model: torch.nn.Module,
        layer: str = "output",
        weight: float = 10.0,
        beta: float = 0.04,
        largest: float = 4.0,
    ) -> None:
        if not 0 <= weight < math.inf or not 0 < beta < math.inf or not 0 < largest < math.inf:
            raise InputError(
                "exponential_weights: weight must be >= 0, beta and largest > 0, and all finite, "
                f"got {weight}, {beta} and {largest}"
            )
        blocks: dict[str, Any] = dict(model.named_modules())
        self._synapse: Any = getattr(blocks.get(layer), "synapse", None)
        if not _has_weights(self._synapse):
            found = (name for name, block in blocks.items() if _has_weights(getattr(block, "synapse", None)))
            layers = ", ".join(found) or "none"
            raise InputError(f"exponential_weights: layer {layer!r} has no synapse; layers that have one: {layers}")
        self.weight, self.beta, self.largest = weight, beta, largest

    def __call__(self, spikes: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """R; it does not depend on the spikes."""
        rows = self._synapse.weight.flatten(1) / self.largest
        penalty: torch.Tensor = (self.beta * (rows.square().mean(1) - 1)).exp().sum()
        # Its slope in w has 2 beta / (n largest) from the mean of squares.
        return penalty * (self.weight * rows.shape[1] * self.largest / 2)


def _has_weights(synapse: Any) -> bool:
    """Whether it has a matrix of them; what passes spikes on as they are has not."""
    weight = getattr(synapse, "weight", None)
    return isinstance(weight, torch.Tensor) and weight.ndim > 1
