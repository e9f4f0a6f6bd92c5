"""Which linear map a torch module or function is, and its numbers; layers along a row are images of height 1."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import torch
from torch import nn

from pumice.frameworks.recording import Made

KNOWN = "Linear, Conv1d/2d, BatchNorm1d/2d, AvgPool1d/2d, MaxPool1d/2d, Flatten, Dropout, Identity"
_BATCH_NORMS = {"BatchNorm1d", "BatchNorm2d", "ThresholdDependentBatchNorm1d", "ThresholdDependentBatchNorm2d"}
_DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.AlphaDropout, nn.Identity)
_AVERAGES, _MAXIMA = (nn.AvgPool1d, nn.AvgPool2d), (nn.MaxPool1d, nn.MaxPool2d)
_ROWS = (nn.Conv1d, nn.AvgPool1d, nn.MaxPool1d)
_PACKAGES = {"torch", "snntorch", "spikingjelly", "norse", "sinabs", "pumice"}
Pair = tuple[int, int]


class OneToOne(nn.Module):
    """Each neuron to the one at its own place.

    Args:
        weight: One, or one per channel.
    """

    weight: torch.Tensor

    def __init__(self, weight: Any) -> None:
        super().__init__()
        self.register_buffer("weight", torch.as_tensor(weight).detach().clone())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The product."""
        return x * self.weight


def in_order(module: nn.Module) -> tuple[nn.Module, ...]:
    """The layers of nested Sequentials.

    Example:
        >>> in_order(nn.Sequential(nn.Flatten(), nn.Sequential(nn.Linear(1, 1))))
        (Flatten(start_dim=1, end_dim=-1), Linear(in_features=1, out_features=1, bias=True))
    """
    if type(module) is not nn.Sequential:
        return (module,)
    return tuple(layer for child in module for layer in in_order(child))


def linear_of(weight: torch.Tensor, bias: torch.Tensor | None = None) -> nn.Linear:
    """A Linear with a copy of a matrix (out, in).

    Example:
        >>> linear_of(torch.ones(2, 3))
        Linear(in_features=3, out_features=2, bias=False)
    """
    found = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    with torch.no_grad():
        found.weight.data = weight.detach().clone()
        if bias is not None:
            found.bias.data = bias.detach().clone()
    return found


def passes_on(module: nn.Module) -> bool:
    """Whether a module gives what it gets, in evaluation mode.

    Example:
        >>> passes_on(nn.Dropout(0.5)), passes_on(nn.Linear(1, 1))
        (True, False)
    """
    return isinstance(module, _DROPOUTS) or type(module).__name__.startswith("Dropout")


def is_plain_layer(module: nn.Module) -> bool:
    """Whether a module is a layer between neurons that is known as a whole.

    Example:
        >>> is_plain_layer(nn.Linear(1, 1)), is_plain_layer(nn.Sequential())
        (True, False)
    """
    return (
        passes_on(module) or isinstance(module, (nn.Flatten, nn.Unflatten)) or kind_and_values(module)[0] is not None
    )


def has_weights(module: nn.Module) -> bool:
    """Whether a module is a layer with weights, or a norm.

    Example:
        >>> has_weights(nn.Linear(1, 1)), has_weights(nn.MaxPool2d(2))
        (True, False)
    """
    return kind_and_values(module)[0] in {"linear", "conv", "norm", "one_to_one"}


def kind_and_values(module: Any) -> tuple[str | None, tuple[Any, ...]]:
    """What linear map a module is, and the numbers of a pool: kernel, stride and padding, (y, x) each, and divisor.

    Example:
        >>> kind_and_values(nn.AvgPool1d(2))
        ('avg_pool', ((1, 2), (1, 2), (0, 0), 2))
    """
    if not _computes_as_its_class(module):
        return None, ()
    if isinstance(module, (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d)) and module.output_size in (1, (1,), (1, 1)):
        return "avg_pool", (None, None, None, None)
    if isinstance(module, (*_AVERAGES, *_MAXIMA)) or type(module).__name__ == "SumPool2d":
        return _pool(module)
    return _weighted(module), ()


def _weighted(module: Any) -> str | None:
    if isinstance(module, nn.Linear):
        return "linear"
    if isinstance(module, OneToOne):
        return "one_to_one"
    if isinstance(module, (nn.Conv1d, nn.Conv2d)):
        return "conv" if module.padding_mode == "zeros" and not isinstance(module.padding, str) else None
    is_norm = type(module).__name__ in _BATCH_NORMS and isinstance(module, nn.modules.batchnorm._BatchNorm)
    return "norm" if is_norm and module.running_mean is not None else None


def _computes_as_its_class(module: Any) -> bool:
    """Whether its forward is torch's or a framework's: one of the user's own may do anything."""
    definer = next(kind for kind in type(module).__mro__ if "forward" in vars(kind))
    return "forward" not in vars(module) and definer.__module__.partition(".")[0] in _PACKAGES


def _pool(module: Any) -> tuple[str | None, tuple[Any, ...]]:
    row = isinstance(module, _ROWS)
    kernel, padding = _pair(module.kernel_size, row, 1), _pair(getattr(module, "padding", 0), row, 0)
    stride = kernel if module.stride is None else _pair(module.stride, row, 1)
    strange = module.ceil_mode or _pair(getattr(module, "dilation", 1), row, 1) != (1, 1)
    divisor: float = prod(kernel)
    if isinstance(module, _AVERAGES):
        strange = strange or (not module.count_include_pad and any(padding))
        divisor = getattr(module, "divisor_override", None) or divisor
    if type(module).__name__ == "SumPool2d":
        divisor = 1
    kind = "max_pool" if isinstance(module, _MAXIMA) else "avg_pool"
    return (None if strange else kind), (kernel, stride, padding, divisor)


def geometry(conv: Any) -> dict[str, Any]:
    """Stride, padding and dilation of a convolution, (y, x) each.

    Example:
        >>> geometry(nn.Conv1d(1, 1, 3, padding=1))
        {'stride': (1, 1), 'padding': (0, 1), 'dilation': (1, 1)}
    """
    row = isinstance(conv, _ROWS)
    plain = {"stride": 1, "padding": 0, "dilation": 1}
    return {name: _pair(getattr(conv, name), row, value) for name, value in plain.items()}


def kernel(conv: Any) -> torch.Tensor:
    """The weight of a convolution, (out, in / groups, height, width)."""
    weight: torch.Tensor = conv.weight.detach()
    return weight.unsqueeze(2) if isinstance(conv, _ROWS) else weight


def as_image(features: Sequence[int]) -> tuple[int, ...]:
    """A shape without batch and time; (channel, length) is an image of height 1.

    Example:
        >>> as_image((4, 9)), as_image((4,))
        ((4, 1, 9), (4,))
    """
    channels, *size = features
    return (channels, 1, *size) if len(size) == 1 else (channels, *size)


def axes_in(features: tuple[int, ...], shape: tuple[int, ...]) -> int | None:
    """How many axes at a tensor's end are its features; None if they are not there.

    Example:
        >>> axes_in((4, 1, 9), (2, 4, 9)), axes_in((4, 1, 9), (2, 4, 1, 9)), axes_in((4, 1, 9), (2, 36))
        (2, 3, None)
    """
    forms = [features, (features[0], features[2])] if len(features) == 3 and features[1] == 1 else [features]
    return next((len(form) for form in forms if shape[len(shape) - len(form) :] == form), None)


def function_as_module(name: str, made: Made) -> nn.Module | None:
    """The module that a function of pooling is."""
    modules: dict[str, Callable[..., nn.Module]] = {
        "avg_pool1d": nn.AvgPool1d,
        "avg_pool2d": nn.AvgPool2d,
        "max_pool1d": nn.MaxPool1d,
        "max_pool2d": nn.MaxPool2d,
        "adaptive_avg_pool1d": nn.AdaptiveAvgPool1d,
        "adaptive_avg_pool2d": nn.AdaptiveAvgPool2d,
    }
    if name not in modules:
        return None
    kwargs = {k: v for k, v in made.kwargs.items() if k != "input" and not isinstance(v, torch.Tensor)}
    return modules[name](*[x for x in made.args if not isinstance(x, torch.Tensor)], **kwargs)


def _pair(value: Any, row: bool, beside: int) -> Pair:
    """A number for each axis; of a row, with what stands for no effect along the other."""
    numbers = [int(n) for n in value] if isinstance(value, (tuple, list)) else [int(value)]
    if row:
        return beside, numbers[0]
    return (numbers[0], numbers[-1])
