"""Surrogate module learning: auxiliary artificial networks teach the spiking one, and learn from it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch.nn import functional

from pumice.errors import InputError
from pumice.nn import padding
from pumice.train.losses.base import AbstractLoss


class SurrogateModuleLoss(AbstractLoss):
    r"""Cross-entropy of all answers, and agreement of each surrogate module with the spiking network.

    .. math:: L = (1 - \lambda) \, \frac{\mathrm{CE}(z_0) + \alpha \sum_i \mathrm{CE}(z_i)}{1 + K \alpha}
        + \frac{\lambda}{2 K} \sum_i \Bigl[ \mathrm{KL}(\bar p_0 \,\|\, p_i) + \mathrm{KL}(\bar p_i \,\|\, p_0)
        \Bigr], \qquad p = \mathrm{softmax}(z / \tau)

    z_0 is the spiking network's mean answer over time, z_1 ... z_K are the surrogate modules'; no gradient flows
    through a barred p. Nothing is detached between the spiking network and the surrogate modules. Without any
    (evaluation, fine-tuning in integers) the loss is CE(z_0).

    Deng, Lin, Li, Gu: Surrogate Module Learning, ICML 2023; Deng, Wu, Du, Gu: Spiking Token Mixer, NeurIPS 2024.

    Args:
        weight: lambda, of the agreement, 0 to 1.
        last_weight: lambda at the end of training, which it reaches in a straight line; as in the papers it is the
            same in all epochs if not given.
        surrogate_weight: alpha, of a surrogate module's cross-entropy, >= 0.
        temperature: tau, > 0.
        label_smoothing: Of the cross-entropies, 0 to 1.

    Raises:
        InputError: A value does not fit.

    Example:
        >>> main, surrogate = torch.tensor([[[2.0], [0.0]]]), torch.tensor([[1.0, 1.0]])
        >>> round(SurrogateModuleLoss()((main, [surrogate]), torch.tensor([0])).item(), 7)
        0.0797937
    """

    reads = "surrogates"

    def __init__(
        self,
        weight: float = 0.9,
        surrogate_weight: float = 0.5,
        temperature: float = 3.0,
        label_smoothing: float = 0.0,
        last_weight: float | None = None,
    ) -> None:
        super().__init__()
        last_weight = weight if last_weight is None else last_weight
        weights_fit = 0 <= weight <= 1 and 0 <= last_weight <= 1
        weights_fit = weights_fit and 0 <= surrogate_weight < math.inf and 0 < temperature < math.inf
        if not weights_fit or not 0 <= label_smoothing < 1:
            raise InputError(
                "weight and last_weight must lie in 0..1, surrogate_weight be >= 0, temperature > 0, both finite, "
                f"and label_smoothing in 0..1 (below 1), got {weight}, {last_weight}, {surrogate_weight}, "
                f"{temperature} and {label_smoothing}"
            )
        self.weight = weight
        self.last_weight = last_weight
        self.surrogate_weight = surrogate_weight
        self.temperature = temperature
        self.label_smoothing = label_smoothing
        self.at(0.0)

    @property
    def changes(self) -> bool:
        """Whether lambda moves."""
        return self.last_weight != self.weight

    def at(self, progress: float) -> None:
        """Move lambda from `weight` to `last_weight`."""
        self._weight_now = self.weight + progress * (self.last_weight - self.weight)

    def forward(
        self,
        answer: torch.Tensor | tuple[torch.Tensor, Sequence[torch.Tensor]],
        labels: torch.Tensor,
        lengths: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The loss of a batch.

        Args:
            answer: The network's output, shape (batch, class, time), alone or with the surrogate modules' answers,
                each of shape (batch, class).
            labels: Class indices, shape (batch,).
            lengths: Steps of each sample that count, shape (batch,); all if not given.
        """
        output, surrogates = answer if isinstance(answer, tuple) else (answer, ())
        main, count = padding.mean_over_steps(output, lengths), len(surrogates)
        surrogates = [z.to(main.dtype) for z in surrogates]  # they may come in 16 bits from within autocast
        if not count:
            return self._cross_entropy(main, labels)
        hard = self._cross_entropy(main, labels)
        hard = hard + self.surrogate_weight * sum(self._cross_entropy(z, labels) for z in surrogates)
        soft = sum(self._divergence(main, z) + self._divergence(z, main) for z in surrogates)
        hard = hard / (1 + count * self.surrogate_weight)
        weight = self._weight_now
        return (1 - weight) * hard + weight / (2 * count) * soft

    def _cross_entropy(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return functional.cross_entropy(logits, labels, label_smoothing=self.label_smoothing)

    def _divergence(self, target: torch.Tensor, learner: torch.Tensor) -> torch.Tensor:
        """KL(target || learner), mean over the batch; only the learner gets a gradient."""
        p = (target.detach() / self.temperature).log_softmax(1)
        q = (learner / self.temperature).log_softmax(1)
        return functional.kl_div(q, p, reduction="batchmean", log_target=True)
