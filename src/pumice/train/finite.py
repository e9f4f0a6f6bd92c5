"""Numbers that are not finite: looked for in every step all together, and by name only once there are any."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from pumice.errors import InputError

LARGEST = 1e18
"""What is larger has no square in float32: Adam's second moment would be infinite, and its step 0 for ever."""


class FiniteCheck:
    """Finds NaN and infinity in what a network learns.

    A spiking layer hides them: a NaN becomes no spike, and the loss of a silent network is finite.

    Args:
        model: Its parameters must stay the same objects, as an optimiser wants it.

    Example:
        >>> model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
        >>> check = FiniteCheck(model)
        >>> check.weights() is None
        True
        >>> model[1].bias.data[1] = torch.inf
        >>> check.weights()
        '1.bias is inf'
    """

    def __init__(self, model: torch.nn.Module) -> None:
        self._parameters = list(model.named_parameters())
        self._buffers = statistics(model)

    def weights(self) -> str | None:
        """What of the parameters and statistics is not finite, or larger than `LARGEST`; None if nothing is."""
        buffers = [(name, getattr(module, key)) for name, module, key in self._buffers]
        return first_not_finite([*self._parameters, *buffers])

    def largest_gradient(self) -> torch.Tensor:
        """The largest norm of a parameter's gradient, where it is: nothing is waited for. NaN if one is NaN."""
        gradients = [p.grad for _, p in self._parameters if p.grad is not None]
        return torch.stack(torch._foreach_norm(gradients)).max()

    def gradients(self) -> str | None:
        """The same of the gradients."""
        found = first_not_finite([(name, p.grad) for name, p in self._parameters if p.grad is not None])
        return None if found is None else f"gradient of {found}"


def statistics(model: torch.nn.Module) -> list[tuple[str, torch.nn.Module, str]]:
    """Where a network's statistics are: their names, modules and keys; a buffer may be replaced by another.

    Buffers that no checkpoint keeps are states, not statistics.

    Example:
        >>> [name for name, _, _ in statistics(torch.nn.Sequential(torch.nn.BatchNorm1d(2)))]
        ['0.running_mean', '0.running_var']
    """
    return [
        (f"{prefix}.{key}".lstrip("."), module, key)
        for prefix, module in model.named_modules()
        for key, buffer in module.named_buffers(recurse=False)
        if buffer.is_floating_point() and key not in module._non_persistent_buffers_set
    ]


def check_finite(model: torch.nn.Module) -> None:
    """Refuse NaN and infinity in a network's parameters, statistics and gradients; for a training loop of one's own.

    `train` looks at every step. Called between `backward` and the optimiser's step, this keeps the weights whole.

    Args:
        model: The network.

    Raises:
        InputError: A number is not finite, or a tensor's norm is above `LARGEST`.

    Example:
        >>> model = torch.nn.Linear(2, 1)
        >>> (model(torch.ones(1, 2)) * torch.nan).sum().backward()
        >>> check_finite(model)
        Traceback (most recent call last):
        ...
        pumice.errors.InputError: the gradient of weight is nan; use a smaller learning rate, or clip gradients
    """
    check = FiniteCheck(model)
    found = check.weights() or check.gradients()
    if found is not None:
        raise InputError(f"the {found}; use a smaller learning rate, or clip gradients")


def first_not_finite(tensors: Iterable[tuple[str, torch.Tensor]]) -> str | None:
    """Name and value of the first tensor with a number that is not finite, or hardly: with a norm above `LARGEST`.

    Example:
        >>> first_not_finite([("a", torch.ones(2)), ("b", torch.tensor([0.0, torch.nan]))])
        'b is nan'
    """
    named = [(name, tensor.detach()) for name, tensor in tensors if tensor.is_floating_point()]
    if not named:
        return None
    norms = torch._foreach_norm([tensor for _, tensor in named])
    fits = torch.stack([norm.to(norms[0]) for norm in norms]) <= LARGEST  # NaN does not
    if bool(fits.all()):
        return None
    name, tensor = named[fits.tolist().index(False)]
    bad = tensor[~torch.isfinite(tensor)]
    return f"{name} is {float(bad[0]) if len(bad) else f'as large as {float(tensor.abs().max()):.1e}'}"
