"""Self-normalizing feed-forward networks on images: the artificial baseline of the spiking ones."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from pumice.errors import InputError
from pumice.nn import SelfNormalizing
from pumice.nn.checks import check_choice, check_image, check_sizes

FORMS = ("rectangular", "conic")


class SelfNormalizingImages(torch.nn.Module):
    r"""A `SelfNormalizing` network over standardised pixels, in the shape in which spiking networks are trained.

    .. math:: y(t) = \mathrm{SNN}\bigl( (x(t) - \mu) / \sigma \bigr)

    Each time step is an answer of its own.

    Args:
        network: Its first size is the number of pixels.
        mean: :math:`\mu`, one for all pixels or one for each.
        deviation: :math:`\sigma`, the same.

    Shape:
        (batch, channel, height, width, time) -> (batch, class, time), real numbers.

    Raises:
        InputError: A deviation is not > 0.

    Example:
        >>> network = SelfNormalizingImages(SelfNormalizing([64, 32, 10]), mean=8.0, deviation=6.0)
        >>> network(torch.ones(2, 1, 8, 8, 3)).shape
        torch.Size([2, 10, 3])
    """

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(
        self,
        network: SelfNormalizing,
        *,
        mean: float | Sequence[float] = 0.0,
        deviation: float | Sequence[float] = 1.0,
    ) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32))
        self.register_buffer("deviation", torch.tensor(deviation, dtype=torch.float32))
        if not bool((self.deviation > 0).all() and self.deviation.isfinite().all() and self.mean.isfinite().all()):
            raise InputError(f"self_normalizing: deviation must be > 0, and mean finite, got {deviation} and {mean}")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The answers of all steps."""
        pixels = x.flatten(1, -2).movedim(-1, 1)
        answers: torch.Tensor = self.network((pixels - self.mean) / self.deviation)
        return answers.movedim(1, -1)


def self_normalizing(
    image_shape: tuple[int, int, int],
    n_classes: int,
    *,
    layers: int = 8,
    width: int = 128,
    form: str = "rectangular",
    dropout: float = 0.05,
    mean: float | Sequence[float] = 0.0,
    deviation: float | Sequence[float] = 1.0,
) -> SelfNormalizingImages:
    """Dense layers with SELU, LeCun's initialisation and alpha dropout: no spikes, so that it cannot be lowered.

    Klambauer, Unterthiner, Mayr, Hochreiter: Self-Normalizing Neural Networks, NeurIPS 2017.

    Args:
        image_shape: (channel, height, width) of the input.
        n_classes: Numbers of the answer, one per class.
        layers: Hidden layers.
        width: Units of the first one.
        form: "rectangular": all hidden layers are alike; "conic": their widths fall geometrically to the number of
            classes. The paper searched over both.
        dropout: Probability that a hidden unit is dropped, by alpha dropout.
        mean: Of the training split's pixels, which standardises them; one for all, or one for each.
        deviation: The standard deviation of the same.

    Returns:
        (batch, channel, height, width, time) -> (batch, n_classes, time), real numbers; train it with
        `spike_count_cross_entropy`, for which their sum over time is the count, and without fine-tuning.

    Raises:
        InputError: The arguments do not make a network.

    Example:
        >>> net = self_normalizing((1, 8, 8), 10, layers=3, width=128, form="conic", mean=4.9, deviation=6.0)
        >>> [layer.out_features for layer in net.network.layers if isinstance(layer, torch.nn.Linear)]
        [128, 68, 36, 10]
        >>> net(torch.ones(2, 1, 8, 8, 1)).shape
        torch.Size([2, 10, 1])
    """
    check_image("self_normalizing", image_shape)
    check_sizes("self_normalizing", n_classes=n_classes, layers=layers, width=width)
    check_choice("self_normalizing", "form", form, FORMS)
    fall = (n_classes / width) ** (1 / (layers + 1)) if form == "conic" else 1.0
    hidden = [max(1, round(width * fall**layer)) for layer in range(layers)]
    pixels = math.prod(image_shape)
    for name, value in (("mean", mean), ("deviation", deviation)):
        if not isinstance(value, (int, float)) and len(value) != pixels:
            raise InputError(
                f"self_normalizing: {name} must be one number or {pixels}, one per pixel, got {len(value)}"
            )
    network = SelfNormalizing([pixels, *hidden, n_classes], dropout=dropout)
    return SelfNormalizingImages(network, mean=mean, deviation=deviation)
