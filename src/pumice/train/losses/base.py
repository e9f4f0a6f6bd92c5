"""What the training loop asks of a loss."""

from __future__ import annotations

import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import torch

from pumice.errors import InputError
from pumice.nn.padding import without_padding

Reads = Literal["spikes", "membrane", "surrogates", "outputs"]


class AbstractLoss(torch.nn.Module, ABC):
    """A function of what a network answers and of the labels.

    A loss of one's own may be a subclass, or anything that can be called: that gets whatever the network returns.

    Attributes:
        reads: What its first argument is: "spikes", the network's output, or the first of several; "membrane", the
            output neurons' potential; "surrogates", the output and what the surrogate modules gave; "outputs", all
            that the network returns.
    """

    reads: ClassVar[Reads] = "spikes"

    @property
    def needs_spikes(self) -> bool:
        """Whether it is defined for spikes only, and not for a read-out's numbers, which may be below 0."""
        return False

    @property
    def changes(self) -> bool:
        """Whether the loss is another one from batch to batch; such a one cannot be replayed as a CUDA graph."""
        return type(self).at is not AbstractLoss.at

    def at(self, progress: float) -> None:
        """Become what the loss is once this share of the first phase is done, 0 to 1; called before every batch."""

    @abstractmethod
    def forward(self, answer: Any, labels: torch.Tensor) -> torch.Tensor:
        """The loss of a batch, one number.

        A loss that has an argument `lengths`, too, is told how many steps of each sample count, (batch,).

        Args:
            answer: What `reads` says.
            labels: Classes, or targets.
        """

    def of_batch(self, answer: Any, labels: torch.Tensor, lengths: torch.Tensor | None) -> torch.Tensor:
        """The loss of samples of unequal length, or, without `lengths`, of equal length.

        A loss that has no argument `lengths` gets the answer (batch, ..., time) with zeros behind each sample's end.
        """
        if lengths is None:
            loss = self(answer, labels)
        elif "lengths" in inspect.signature(self._computes()).parameters:
            loss = self(answer, labels, lengths=lengths)
        else:
            loss = self(_unpadded(answer, lengths), labels)
        return one_number(loss, "training.loss")

    def _computes(self) -> Any:
        """What says which arguments it takes."""
        return self.forward


def one_number(found: Any, what: str) -> torch.Tensor:
    """What a user's loss or regulariser gave, if it is one number.

    Raises:
        InputError: It is not.

    Example:
        >>> one_number(None, "training.loss")
        Traceback (most recent call last):
        pumice.errors.InputError: training.loss must give one number, a tensor of shape (), got None
    """
    if isinstance(found, torch.Tensor) and found.numel() == 1:
        return found.reshape(())
    got = f"a tensor of shape {tuple(found.shape)}; take its mean" if isinstance(found, torch.Tensor) else repr(found)
    raise InputError(f"{what} must give one number, a tensor of shape (), got {got}")


class OwnLoss(AbstractLoss):
    """A user's function, as a loss that reads all that the network returns, or what its own `reads` says.

    Args:
        function: Called with these outputs and the labels.

    Example:
        >>> OwnLoss(torch.nn.CrossEntropyLoss()).reads
        'outputs'
    """

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function
        self.reads = getattr(function, "reads", "outputs")  # type: ignore[misc]

    def forward(self, answer: Any, labels: torch.Tensor, **lengths: torch.Tensor) -> torch.Tensor:
        """What the function gives."""
        loss: torch.Tensor = self.function(answer, labels, **lengths)
        return loss

    def _computes(self) -> Any:
        return self.function.forward if isinstance(self.function, torch.nn.Module) else self.function


def _unpadded(answer: Any, lengths: torch.Tensor) -> Any:
    """The same outputs with zeros behind each sample's end."""
    if isinstance(answer, torch.Tensor):
        return without_padding(answer, lengths) if answer.ndim > 2 else answer
    if isinstance(answer, Mapping):
        return {name: _unpadded(output, lengths) for name, output in answer.items()}
    found = [_unpadded(output, lengths) for output in answer]
    return tuple(found) if isinstance(answer, tuple) else found


class WeightedLoss(AbstractLoss):
    """A loss in which classes count differently.

    Args:
        class_weights: One number per class, > 0: how much its samples count; all alike if not given. The loss is the
            weighted mean over the samples, as in `torch.nn.CrossEntropyLoss`.

    Raises:
        InputError: A weight is not > 0, or not finite.
    """

    def __init__(self, class_weights: Sequence[float] | None = None) -> None:
        super().__init__()
        if class_weights is not None and not all(0 < weight < math.inf for weight in class_weights):
            raise InputError(f"class_weights must be > 0, and finite, got {list(class_weights)}")
        self.class_weights = None if class_weights is None else [float(weight) for weight in class_weights]
        self._weights = torch.empty(0)  # the same, where and as they were needed last

    def weights_for(self, answer: torch.Tensor) -> torch.Tensor | None:
        """The weights of the classes of an answer, shape (batch, class, ...).

        Raises:
            InputError: There are not as many.
        """
        if self.class_weights is None:
            return None
        if len(self.class_weights) != answer.shape[1]:
            raise InputError(
                f"class_weights has {len(self.class_weights)} numbers, and the network's answer {answer.shape[1]} "
                "classes; give one to each"
            )
        if self._weights.numel() == 0 or (self._weights.dtype, self._weights.device) != (answer.dtype, answer.device):
            self._weights = torch.tensor(self.class_weights, dtype=answer.dtype, device=answer.device)
        return self._weights

    def weight_of(self, labels: torch.Tensor) -> torch.Tensor | None:
        """How much these samples count together; None where all count alike."""
        if self.class_weights is None:
            return None
        return torch.tensor(self.class_weights, dtype=torch.float64, device=labels.device)[labels].sum()

    def mean(self, per_sample: torch.Tensor, answer: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The weighted mean of a loss of each sample, shape (batch,)."""
        weights = self.weights_for(answer)
        if weights is None:
            return per_sample.mean()
        of_sample = weights[labels]
        return (per_sample * of_sample).sum() / of_sample.sum()


def check_counts(true_count: float, false_count: float) -> None:
    """Refuse desired spike counts of the right class and of the others that do not tell them apart.

    Raises:
        InputError: They are not 0 <= false_count < true_count, both finite.
    """
    if not 0 <= false_count < true_count < math.inf:
        raise InputError(
            f"counts must be finite, and 0 <= false_count < true_count, got {false_count} and {true_count}"
        )
