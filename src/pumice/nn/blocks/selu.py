"""Self-normalising networks: SELU's constants and map of moments, the initialisation, alpha dropout's affine map."""

from __future__ import annotations

import math

import torch

from pumice.errors import InputError
from pumice.nn.synapses.base import AbstractSynapse
from pumice.nn.synapses.token_mixing import TokenMixingSynapse


def _constants() -> tuple[float, float]:
    """Alpha and lambda for which mean 0 and variance 1 are a fixed point of the moments' map."""
    e, half, two = math.e, math.erfc(math.sqrt(0.5)), math.erfc(math.sqrt(2))
    alpha = -math.sqrt(2 / math.pi) / (math.exp(0.5) * half - 1)
    spread = 2 * e * (half**2 * math.pi / 2 + e * two) + math.pi + 2 - 2 * math.sqrt(e) * (2 + math.pi) * half
    return alpha, (1 - math.sqrt(e) * half) * math.sqrt(2 * math.pi / spread)


ALPHA, LAMBDA = _constants()
"""selu(x) = LAMBDA x for x > 0, else LAMBDA ALPHA (e^x - 1). Klambauer et al., NeurIPS 2017."""

LARGEST_MOMENT = 350.0
"""exp(2 (m + v)) is still finite."""


def selu_moments(
    mean: float, variance: float, *, weight_sum: float = 0.0, weight_square_sum: float = 1.0
) -> tuple[float, float]:
    r"""Mean and variance behind SELU of a weighted sum of many inputs that have this mean and variance.

    With :math:`\omega = \sum_i w_i`, :math:`\tau = \sum_i w_i^2`, the sum is :math:`z \sim N(\mu \omega, \nu \tau)`,

    .. math:: g(\mu, \nu) = \bigl( E[\mathrm{selu}(z)], \; \mathrm{Var}[\mathrm{selu}(z)] \bigr)

    in closed form (equations 4 and 5 there). At :math:`\omega = 0`, :math:`\tau = 1` its fixed point is (0, 1),
    and its Jacobian there has the spectral norm .7877 < 1: layers pull moments towards it. For :math:`\mu, \omega` in
    [-.1, .1], :math:`\nu` in [.8, 1.5] and :math:`\tau` in [.95, 1.1] it maps into these intervals (theorem 1).
    Klambauer, Unterthiner, Mayr, Hochreiter: Self-Normalizing Neural Networks, NeurIPS 2017.

    Args:
        mean: Of the inputs.
        variance: Of the inputs, > 0.
        weight_sum: :math:`\omega`.
        weight_square_sum: :math:`\tau`, > 0.

    Raises:
        InputError: The variance or the sum of squares is not > 0, or a moment of the sum is above 350 or no number.

    Example:
        >>> mean, variance = selu_moments(0.0, 1.5)
        >>> round(mean, 3), round(variance, 3)
        (0.045, 1.372)
    """
    if not variance > 0 or not weight_square_sum > 0:
        raise InputError(
            f"selu_moments: variance and weight_square_sum must be > 0, got {variance} and {weight_square_sum}"
        )
    m, v = mean * weight_sum, variance * weight_square_sum
    if not abs(m) + v <= LARGEST_MOMENT:
        raise InputError(
            f"selu_moments: the sum's |mean| and variance must be {LARGEST_MOMENT:g} together at most, as their "
            f"exponentials leave float64, got {m} and {v}"
        )
    spread = math.sqrt(2 * v)
    density = math.sqrt(2 / math.pi) * math.sqrt(v) * math.exp(-(m**2) / (2 * v))
    below, once, twice = (math.erfc((m + k * v) / spread) for k in range(3))  # of 1, e^z and e^2z over z < 0
    once, twice = math.exp(m + v / 2) * once, math.exp(2 * (m + v)) * twice
    first = LAMBDA / 2 * (m * (2 - below) + density + ALPHA * (once - below))
    second = LAMBDA**2 / 2 * ((m**2 + v) * (2 - below) + m * density + ALPHA**2 * (twice - 2 * once + below))
    return first, second - first**2


def self_normalizing_(module: torch.nn.Module) -> torch.nn.Module:
    r"""Draw all weights from N(0, 1 / fan_in) and clear all biases, in place.

    Sums of inputs with mean 0 and variance 1 then have mean 0 and variance 1 again, which SELU keeps.
    Klambauer, Unterthiner, Mayr, Hochreiter: Self-Normalizing Neural Networks, NeurIPS 2017.

    Args:
        module: Its synapses and its layers `torch.nn.Linear` are initialised.

    Returns:
        The same module.

    Example:
        >>> layer = self_normalizing_(torch.nn.Linear(400, 1000))
        >>> round(layer.weight.std().item() * 20, 1), layer.bias.abs().sum().item()
        (1.0, 0.0)
    """
    for part in module.modules():
        if isinstance(part, (AbstractSynapse, torch.nn.Linear)) and isinstance(part.weight, torch.nn.Parameter):
            fan_in = part.weight.shape[-1] if isinstance(part, TokenMixingSynapse) else part.weight[0].numel()
            torch.nn.init.normal_(part.weight, std=fan_in**-0.5)
        if isinstance(part, torch.nn.Linear) and part.bias is not None:
            torch.nn.init.zeros_(part.bias)
    return module


def alpha_dropout_affine(keep: float) -> tuple[float, float]:
    r"""A and B with which A x + B keeps mean 0 and variance 1 when dropped units are set to SELU's lower limit.

    .. math:: A = \bigl(q + \alpha'^2 q (1 - q)\bigr)^{-1/2}, \quad B = -A (1 - q) \alpha',
              \quad \alpha' = -\lambda \alpha

    `torch.nn.AlphaDropout(1 - keep)` computes with them. Klambauer et al., NeurIPS 2017.

    Args:
        keep: q, the probability that a unit is kept, in (0, 1].

    Raises:
        InputError: `keep` is no such probability.

    Example:
        >>> [round(value, 8) for value in alpha_dropout_affine(0.95)]
        [0.95484448, 0.08393557]
    """
    if not 0 < keep <= 1:
        raise InputError(f"alpha_dropout_affine: keep must lie in (0, 1], got {keep}")
    limit = -LAMBDA * ALPHA
    a = (keep + limit**2 * keep * (1 - keep)) ** -0.5
    return a, -a * (1 - keep) * limit
