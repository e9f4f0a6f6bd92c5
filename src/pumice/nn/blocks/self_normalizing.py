"""Feed-forward networks whose activations keep mean 0 and variance 1 without a norm: artificial, not spiking."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch

from pumice.errors import InputError
from pumice.nn.blocks.selu import self_normalizing_
from pumice.nn.checks import check_sizes


class SelfNormalizing(torch.nn.Module):
    r"""Dense layers with SELU between them, that keep mean 0 and variance 1 from layer to layer.

    .. math:: x_{l} = \mathrm{dropout}_\alpha \bigl( \mathrm{selu}(W_l x_{l-1} + b_l) \bigr), \quad
        y = W_L x_{L-1} + b_L, \qquad W_l \sim N(0, 1 / n_{l-1}), \; b_l = 0

    Mean and variance of the activations are drawn towards 0 and 1 (`pumice.nn.blocks.selu.selu_moments`), so that
    gradients neither vanish nor explode, without batch norm. Alpha dropout sets units to SELU's lower limit, and
    keeps both moments. Inputs must be standardised: mean 0 and variance 1 over the training samples.

    SELU and alpha dropout are PyTorch's. Its initialisation is not: `torch.nn.init.calculate_gain("selu")` is 3/4,
    for weights of variance .5625 / n, whose activations shrink (the gain that the paper needs is 1, "linear").

    An artificial network, to compare spiking ones with: it is trained and tested like them, but cannot be lowered.

    Klambauer, Unterthiner, Mayr, Hochreiter: Self-Normalizing Neural Networks, NeurIPS 2017.

    Args:
        sizes: Features of the input, of each hidden layer, and of the answer; at least two.
        dropout: Probability that a hidden unit is dropped in training; the paper's are 0 to .1.

    Shape:
        (batch, ..., sizes[0]) -> (batch, ..., sizes[-1]), real numbers.

    Raises:
        InputError: There are fewer than two sizes, one is below 1, or `dropout` is no probability below 1.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> network = SelfNormalizing([64, *[256] * 32, 10])
        >>> network(torch.randn(100, 64)).shape
        torch.Size([100, 10])
        >>> hidden = network.layers[:-1](torch.randn(1000, 64))
        >>> abs(hidden.mean().item()) < 0.1, 0.8 < hidden.var().item() < 1.5
        (True, True)
    """

    def __init__(self, sizes: Sequence[int], *, dropout: float = 0.0) -> None:
        super().__init__()
        sizes = list(sizes)
        if len(sizes) < 2:
            raise InputError(
                f"SelfNormalizing: sizes must be those of the input and the answer at least, got {sizes}"
            )
        check_sizes("SelfNormalizing", **{f"sizes[{index}]": size for index, size in enumerate(sizes)})
        if not 0 <= dropout < 1:
            raise InputError(f"SelfNormalizing: dropout must be >= 0 and < 1, got {dropout}")
        layers: list[torch.nn.Module] = []
        for fan_in, fan_out in itertools.pairwise(sizes[:-1]):
            layers += [torch.nn.Linear(fan_in, fan_out), torch.nn.SELU()]
            if dropout:
                layers.append(torch.nn.AlphaDropout(dropout))
        self.layers = torch.nn.Sequential(*layers, torch.nn.Linear(sizes[-2], sizes[-1]))
        self_normalizing_(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The answers."""
        y: torch.Tensor = self.layers(x)
        return y
