"""Threshold-dependent batch normalisation, in SLAYER's `norm` position."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from pumice.errors import InputError, PumiceWarning
from pumice.names import counted
from pumice.nn.checks import check_sizes
from pumice.nn.deviation import deviation
from pumice.nn.layout import slayer_order, time_major
from pumice.nn.norms.across_processes import channel_size, channel_sum, is_shared
from pumice.nn.norms.normalize import Normalize
from pumice.nn.padding import ReadsPadding
from pumice.nn.precision import at_least_float32


class TDBN(ReadsPadding, torch.nn.Module):
    r"""Threshold-dependent batch normalisation (tdBN).

    Per channel k, with mean and variance over batch, space *and time* together:

    .. math:: y_k = \lambda_k \, \alpha V_{th} \, \frac{x_k - \mu_k}{\sqrt{\sigma_k^2 + \epsilon}} + \beta_k

    so that at the start (lambda 1, beta 0) each neuron's input has standard deviation alpha * V_th. In a
    deployed network it is folded into the synapse's integer weights and the neuron's bias, and no normalisation
    is left. With several processes, `pumice.train` makes the statistics those of all of them
    (`pumice.nn.synchronize_norms_`).

    A plain batch norm whose weight starts at alpha * V_th (spikingjelly's way to write it) is the same function;
    its state dictionary (`weight`, `bias`, ...) is loaded as lambda = weight / (alpha V_th), beta = bias.

    Zheng, Wu, Deng, Hu, Li: Going Deeper With Directly-Trained Larger Spiking Neural Networks, AAAI 2021.

    Args:
        num_features: Channels; taken from the first input (or from the block) if not given.
        alpha: 1 in a chain (if not given), 1/sqrt(n) on each of n branches that are summed.
        threshold: V_th in SLAYER's units; the neuron that owns the norm sets it if not given.
        eps: Added to the variance.
        momentum: Weight of a new batch in the running estimates.
        unbiased: Normalize by the variance with n - 1; the running estimate has n - 1 always.

    Shape:
        (batch, channel, ..., time) -> the same.

    In training, one value per channel (one sample of one step, no image) is its own mean: y is beta then, the running
    estimates stay as they are, and there is a `PumiceWarning`. Of samples of unequal length only their own steps
    count in the statistics (`pumice.nn.padding.padded_`; `pumice.train` sees to it).

    Raises:
        InputError: An argument is out of range, the input has other channels, or the threshold is not known.

    Example:
        >>> norm = TDBN(num_features=2, threshold=0.5)
        >>> y = norm(torch.randn(8, 2, 5, 5, 4))
        >>> round(y.std().item(), 1)
        0.5
    """

    folds = True
    """In evaluation mode, what this class's forward computes is gain() * x + offset()."""
    synchronized = False
    """Whether a batch's statistics are those of all processes that share it; see `pumice.nn.synchronize_norms_`."""
    running_mean: torch.Tensor
    running_var: torch.Tensor

    def __init__(
        self,
        num_features: int | None = None,
        alpha: float | None = None,
        threshold: float | None = None,
        eps: float = 1e-5,
        momentum: float = 0.1,
        *,
        unbiased: bool = False,
    ) -> None:
        super().__init__()
        self.num_features: int | None = None
        self.alpha = 1.0 if alpha is None else alpha
        self.alpha_is_given = alpha is not None
        self.threshold = threshold
        self.eps = eps
        self.momentum = momentum
        self.unbiased = unbiased
        self._check_options()
        self.scale = torch.nn.Parameter(torch.ones(1))
        self.shift = torch.nn.Parameter(torch.zeros(1))
        self.register_buffer("running_mean", torch.zeros(1))
        self.register_buffer("running_var", torch.ones(1))
        if num_features is not None:
            self.set_features(num_features)

    def set_features(self, num_features: int) -> None:
        """Give every channel its own parameters; the parameter objects stay, so an optimiser keeps them."""
        check_sizes(type(self).__name__, num_features=num_features)
        self.num_features = num_features
        for tensor in (self.scale, self.shift, self.running_mean, self.running_var):
            with torch.inference_mode(False), torch.no_grad():  # they may be trained later
                tensor.data = tensor.data.expand(num_features).clone()

    def gain(self) -> torch.Tensor:
        """Per channel lambda * alpha * V_th / sqrt(running variance + eps): what the weights are multiplied by."""
        return self.scale * (self.alpha * self._threshold()) / deviation(self.running_var + self.eps)

    def gain_of_batch(self, x: torch.Tensor) -> torch.Tensor:
        """Per channel lambda * alpha * V_th: what a batch's deviations are multiplied by.

        Raises:
            InputError: The input has other channels, or the threshold is not known.
        """
        self._check_channels(x)
        return self.scale * (self.alpha * self._threshold())

    def offset(self) -> torch.Tensor:
        """Per channel beta - gain * running mean, in SLAYER's units: what is added in every step."""
        return self.shift - self.gain() * self.running_mean

    def _threshold(self) -> float:
        if self.threshold is None:
            raise InputError("TDBN does not know the threshold: pass threshold=, or use it as a pumice block's norm")
        return self.threshold

    def _check_options(self) -> None:
        for name, value, fits, allowed in (
            ("alpha", self.alpha, self.alpha > 0, "> 0: 1, or 1/sqrt(n) for one of n synapses"),
            ("threshold", self.threshold, self.threshold is None or self.threshold > 0, "> 0, the neuron's"),
            ("eps", self.eps, self.eps >= 0, ">= 0"),
            ("momentum", self.momentum, 0 <= self.momentum <= 1, "0 to 1"),
        ):
            if not fits:
                raise InputError(f"{type(self).__name__}: {name} must be {allowed}, got {value}")

    def _check_channels(self, x: torch.Tensor) -> None:
        """Take the number of channels from the first input; refuse another one afterwards."""
        if self.num_features is None:
            self.set_features(x.shape[1])
        if x.shape[1] != self.num_features:
            raise InputError(
                f"{type(self).__name__} has {counted(self.num_features or 0, 'channel')}, got input of shape "
                f"{tuple(x.shape)}; make it with num_features={x.shape[1]}, or without"
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalize by the batch in training, by the running estimates otherwise; never in less than float32."""
        self._check_channels(x)
        if not (self.training and Normalize.widens(x)):
            x = at_least_float32(x)
        if not self.training:
            return _scaled(x, self.gain(), self.offset())
        own, shared = self.own_steps_of(x), self.synchronized and is_shared()
        if not shared and own is not None and self._is_one_value(own, x):  # the last of the longest samples
            return _scaled(at_least_float32(x), self.gain(), self.offset())
        if shared or own is not None:
            return self._by_sums(at_least_float32(x), own, shared=shared)
        if self._is_single(x):
            return _scaled(at_least_float32(x), 0 * self.scale, self.shift)
        gain = self.gain_of_batch(x)
        if Normalize.takes(x):
            y, mean, with_n_minus_1 = Normalize.apply(time_major(x), gain, self.shift, self.eps, self.unbiased)
            self.remember(mean, with_n_minus_1)
            return slayer_order(y)
        dims = [d for d in range(x.ndim) if d != 1]
        mean, var = x.mean(dims), x.var(dims, unbiased=False)
        n = x.numel() / x.shape[1]
        with_n_minus_1 = var * (n / (n - 1))
        self.remember(mean, with_n_minus_1)
        gain = gain / deviation((with_n_minus_1 if self.unbiased else var) + self.eps)
        return _scaled(x, gain, self.shift - gain * mean)

    def _by_sums(self, x: torch.Tensor, own: torch.Tensor | None, *, shared: bool) -> torch.Tensor:
        """By the statistics of the steps that count, of all processes if the batch is shared."""
        shape, size = (1, -1, *[1] * (x.ndim - 2)), channel_size(x, own, shared=shared)
        mean = channel_sum(x, own, shared=shared) / size
        squares = channel_sum((x - mean.view(shape)).square(), own, shared=shared)
        var, with_n_minus_1 = squares / size, squares / (size - 1).clamp(min=1)
        self.remember(mean, with_n_minus_1)
        gain = self.scale * (self.alpha * self._threshold())
        gain = gain / deviation((with_n_minus_1 if self.unbiased else var) + self.eps)
        return (x - mean.view(shape)) * gain.view(shape) + self.shift.view(shape)

    @staticmethod
    def _is_one_value(own: torch.Tensor, x: torch.Tensor) -> bool:
        """Whether what counts is at most one value per channel; that it is one of few, nobody has to be told."""
        return int(own.sum()) * x[0, 0, ..., 0].numel() <= 1

    def _is_single(self, x: torch.Tensor) -> bool:
        """Whether a channel is one value, which is its own mean and says nothing of the variance; warns."""
        is_single = x.numel() <= x.shape[1]
        if is_single:
            warnings.warn(
                f"{type(self).__name__}: nothing is learned from one value per channel, in an input of shape "
                f"{tuple(x.shape)}, and the running estimates stay as they are; train with batches of two or more "
                "samples (drop_last=True leaves out a last one of 1), or more steps",
                PumiceWarning,
                stacklevel=3,
            )
        return is_single

    def remember(self, mean: torch.Tensor | None, var: torch.Tensor) -> None:
        """Move the running estimates, in their own precision, towards a batch's."""
        with torch.no_grad():
            if mean is not None:
                self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
            self.running_var.lerp_(var.to(self.running_var.dtype), self.momentum)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        if prefix + "weight" in state_dict:
            self._translate(state_dict, prefix)
        saved = state_dict.get(prefix + "scale")
        if self.num_features is None and saved is not None and len(saved) > 1:
            self.set_features(len(saved))
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _translate(self, state_dict: dict[str, Any], prefix: str) -> None:
        """From a batch norm's parameters; they have alpha * V_th inside."""
        state_dict[prefix + "scale"] = state_dict.pop(prefix + "weight") / (self.alpha * self._threshold())
        state_dict[prefix + "shift"] = state_dict.pop(prefix + "bias")
        state_dict.pop(prefix + "num_batches_tracked", None)


def _scaled(x: torch.Tensor, gain: torch.Tensor, offset: torch.Tensor) -> torch.Tensor:
    shape = (1, -1, *[1] * (x.ndim - 2))
    return x * gain.view(shape) + offset.view(shape)


@contextmanager
def momentum_of(model: torch.nn.Module, momentum: float) -> Iterator[None]:
    """Every `TDBN` of the model has this momentum until the context ends.

    With momentum 1, one forward pass in training mode makes the running estimates those of its batch.

    Example:
        >>> norm = TDBN(2, threshold=1.0)
        >>> with momentum_of(norm, 1.0):
        ...     _ = norm(torch.ones(3, 2, 4))
        >>> norm.running_mean.tolist(), norm.momentum
        ([1.0, 1.0], 0.1)
    """
    norms = [module for module in model.modules() if isinstance(module, TDBN)]
    before = [norm.momentum for norm in norms]
    try:
        for norm in norms:
            norm.momentum = momentum
        yield
    finally:
        for norm, value in zip(norms, before, strict=True):
            norm.momentum = value
