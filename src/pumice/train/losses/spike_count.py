"""SLAYER's own loss for classification: a number of spikes within a window."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

from pumice.errors import InputError
from pumice.names import counted
from pumice.train.losses.base import AbstractLoss, check_counts
from pumice.train.losses.psp import alpha_kernel, check_tau, convolve, correlate


class SpikeCountLoss(AbstractLoss):
    r"""Distance from a target number of spikes within a window, and from silence outside of it.

    With :math:`n_k` spikes of neuron k in the window :math:`[t_0, t_1)` and the target :math:`\hat n_k`,

    .. math::
        E = \frac{1}{2} \sum_{t, k} e_k(t)^2, \qquad
        e_k(t) = \begin{cases}
            (n_k - \hat n_k) / (t_1 - t_0) & t_0 \le t < t_1 \\
            (\varepsilon * s_k)(t) & \text{otherwise}
        \end{cases}

    averaged over the batch. The gradient is not that of E: the error is held fixed and assigned to the spikes
    through the correlation with the post-synaptic kernel, :math:`\partial E / \partial s_k = \varepsilon \star e_k`,
    so that each step of the window, and the steps before it, take part.

    Shrestha and Orchard, SLAYER, NeurIPS 2018. Steps are of length 1.

    Args:
        true_count: Target of the right class in the window, spikes.
        false_count: Target of the others.
        start: First step of the window, t0.
        stop: The step after its last, t1; None for the end of the sample.
        tau: Time constant of the kernel, steps.

    Raises:
        InputError: The targets or the window do not fit, here or, for the window's end, in the call.

    Example:
        >>> spikes = torch.zeros(1, 1, 12)
        >>> spikes[..., [2, 4, 7]] = 1.0
        >>> loss = SpikeCountLoss(true_count=5, false_count=0, stop=10, tau=1.0)
        >>> spikes = spikes * (torch.arange(12) < 10)
        >>> error = loss.error(spikes, torch.tensor([0]))
        >>> round(error[0, 0, 0].item(), 6)
        -0.2
    """

    def __init__(
        self,
        true_count: float = 60.0,
        false_count: float = 10.0,
        start: int = 0,
        stop: int | None = None,
        tau: float = 10.0,
    ) -> None:
        super().__init__()
        check_counts(true_count, false_count)
        check_tau(tau)
        if start < 0 or (stop is not None and stop <= start):
            raise InputError(f"the window must satisfy 0 <= start < stop, got {start} and {stop}")
        self.true_count, self.false_count = true_count, false_count
        self.start, self.stop = start, stop
        self.tau = tau

    def forward(
        self, spikes: torch.Tensor, labels: torch.Tensor, lengths: torch.Tensor | None = None
    ) -> torch.Tensor:
        """The loss of a batch.

        Args:
            spikes: Shape (batch, class, time).
            labels: Class indices, shape (batch,).
            lengths: Steps of each sample that count, shape (batch,); all if not given.
        """
        error = self.error(spikes, labels, lengths)
        kernel = alpha_kernel(self.tau, spikes.shape[-1], spikes)
        loss: torch.Tensor = _AssignError.apply(spikes, error, kernel)
        return loss / len(spikes)

    def error(self, spikes: torch.Tensor, labels: torch.Tensor, lengths: torch.Tensor | None = None) -> torch.Tensor:
        """e, shape (batch, class, time), without gradient; arguments as in `forward`."""
        if lengths is not None:  # each sample as if it were alone, and no error behind its end
            error = torch.zeros_like(spikes)
            for index, n in enumerate(lengths.tolist()):
                error[index, :, :n] = self.error(spikes[index : index + 1, :, :n], labels[index : index + 1])[0]
            return error
        spikes = spikes.detach()
        steps = spikes.shape[-1]
        stop = steps if self.stop is None else self.stop
        if stop > steps or self.start >= stop:
            raise InputError(
                f"loss spike_count: its window {self.start}..{stop} does not lie within the sample's "
                f"{counted(steps, 'step')}"
            )
        right = functional.one_hot(labels, spikes.shape[1]).to(spikes.dtype)
        target = self.false_count + (self.true_count - self.false_count) * right
        error = convolve(spikes, alpha_kernel(self.tau, steps, spikes))
        count = spikes[..., self.start : stop].sum(-1)
        error[..., self.start : stop] = ((count - target) / (stop - self.start))[..., None]
        return error


class _AssignError(torch.autograd.Function):
    """Half the squared error; backwards the error itself, correlated with the kernel."""

    @staticmethod
    def forward(ctx: Any, spikes: torch.Tensor, error: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(error, kernel)
        return error.square().sum() / 2

    @staticmethod
    def backward(ctx: Any, grad_output: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        error, kernel = ctx.saved_tensors
        return grad_output * correlate(error, kernel), None, None
