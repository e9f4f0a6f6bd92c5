"""Sample boosting: training samples that are answered wrong weigh more from epoch to epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from pumice.errors import InputError
from pumice.names import counted
from pumice.nn.padding import sum_over_steps
from pumice.train.outputs import first_output
from pumice.train.runtime.fabric import gathered

if TYPE_CHECKING:
    from pumice.train.run import Run


@dataclass(eq=False)
class SampleWeights:
    r"""How much each training sample counts, and whose answer was wrong in this epoch.

    At an epoch's end, with the weighted error of a sample's class,

    .. math::
        w_i \leftarrow w_i \, e^{\gamma \, \epsilon_{c(i)}} \text{ where the answer was wrong}, \qquad
        \epsilon_c = \frac{\sum_{i \in c,\,\mathrm{wrong}} w_i}{\sum_{i \in c} w_i}

    Jin, Zhang, Li: HM2-BP, NeurIPS 2018, of whose code this is (gamma = 1/20).

    Attributes:
        weights: Shape (sample,), float64; 1 at the start.
        missed: Shape (sample,), whether this epoch's answer so far was wrong.

    Example:
        >>> samples = SampleWeights.start(4)
        >>> samples.missed[:] = torch.tensor([True, False, False, False])
        >>> samples.boost(torch.tensor([0, 0, 1, 1]), rate=0.1)
        >>> samples.weights.tolist()  # exp(0.1 * 1/2)
        [1.0512710963760241, 1.0, 1.0, 1.0]
    """

    weights: torch.Tensor
    missed: torch.Tensor

    @classmethod
    def start(cls, n_samples: int) -> SampleWeights:
        """All alike."""
        return cls(torch.ones(n_samples, dtype=torch.float64), torch.zeros(n_samples, dtype=torch.bool))

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> SampleWeights:
        """The inverse of `to_dict`, of what a file holds.

        Raises:
            TypeError: A value is missing, unknown, or no tensor of its type.
            ValueError: The weights are not finite and > 0, or are of other samples than the answers.
        """
        found = cls(**values)
        for name, kind in (("weights", torch.float64), ("missed", torch.bool)):
            if (
                not isinstance(tensor := getattr(found, name), torch.Tensor)
                or tensor.dtype != kind
                or tensor.ndim != 1
            ):
                raise TypeError(f"{name} of samples must be a row of {kind}")
        if len(found.weights) != len(found.missed) or not bool(
            (found.weights.isfinite() & (found.weights > 0)).all()
        ):
            raise ValueError("weights of samples must be finite and > 0, one for each sample")
        return found

    def to_dict(self) -> dict[str, torch.Tensor]:
        """Copies, as a checkpoint stores them."""
        return {"weights": self.weights.clone(), "missed": self.missed.clone()}

    def boost(self, labels: torch.Tensor, rate: float) -> None:
        """End an epoch.

        Args:
            labels: Classes, shape (sample,).
            rate: gamma.
        """
        n_classes = int(labels.max()) + 1
        of_class = torch.zeros(n_classes, dtype=torch.float64).index_add(0, labels, self.weights)
        wrong = torch.zeros(n_classes, dtype=torch.float64).index_add(0, labels, self.weights * self.missed)
        factors = (rate * wrong[labels] / of_class[labels]).exp()
        self.weights = torch.where(self.missed, self.weights * factors, self.weights)
        self.missed = torch.zeros_like(self.missed)


class SampleBoosting:
    """Boosts the samples of a run's epoch; what it learns goes to `position.samples`, of which checkpoints are made.

    Args:
        run: Its recipe has `training.sample_boosting`.

    Raises:
        InputError: The data has no classes, or a checkpoint is of other data.
    """

    def __init__(self, run: Run) -> None:
        train, rate = run.trained.dataset.train, run.trained.recipe.training.sample_boosting
        if run.trained.dataset.has_targets:
            raise InputError(
                "training.sample_boosting: this dataset has targets, numbers, and no classes to mistake; leave it out"
            )
        assert rate is not None
        if run.position.samples is None:
            run.position.samples = SampleWeights.start(len(train))
        self._samples: SampleWeights = run.position.samples
        if len(self._samples.weights) != len(train):
            raise InputError(
                f"training.sample_boosting: the checkpoint weighs "
                f"{counted(len(self._samples.weights), 'sample')}, and the data "
                f"has {len(train)} to train with; resume it with its own data"
            )
        self._rate, self._labels, self._fabric = rate, torch.tensor(train.labels, dtype=torch.int64), run.fabric
        self._weights = run.fabric.to_device(self._samples.weights.float())
        self._missed = run.fabric.to_device(self._samples.missed.clone())

    def scaled(self, answer: Any, samples: torch.Tensor) -> Any:
        """The same answer, whose gradient is multiplied by each sample's weight.

        Args:
            answer: What the loss reads: a tensor, or several, of which those with a batch as first axis are scaled.
            samples: Which ones they are, shape (batch,).
        """
        return scale_gradient(answer, self._weights[samples])

    def note(
        self, output: torch.Tensor, labels: torch.Tensor, lengths: torch.Tensor | None, samples: torch.Tensor
    ) -> None:
        """Remember whose class had not the most spikes."""
        counts = sum_over_steps(first_output(output).detach(), lengths)
        self._missed[samples] = counts.argmax(1) != labels

    def share(self) -> None:
        """Bring together what all processes noted, before a checkpoint is written."""
        everywhere = gathered(self._fabric, self._missed.to(torch.uint8))
        self._missed = everywhere.bool().any(0)
        self._samples.missed = self._missed.cpu().clone()

    def end_epoch(self) -> None:
        """Weigh anew what was answered wrong."""
        self.share()
        self._samples.boost(self._labels, self._rate)


def scale_gradient(answer: Any, factors: torch.Tensor) -> Any:
    """An identity whose gradient is multiplied by one factor per sample.

    Args:
        answer: A tensor (batch, ...), or a tuple, list or mapping of them; what is no tensor of the batch is left.
        factors: Shape (batch,).

    Example:
        >>> x = torch.ones(2, 3, requires_grad=True)
        >>> scale_gradient((x, None), torch.tensor([1.0, 2.0]))[0].sum().backward()
        >>> x.grad.tolist()
        [[1.0, 1.0, 1.0], [2.0, 2.0, 2.0]]
    """
    if isinstance(answer, torch.Tensor):
        of_batch = answer.ndim > 0 and len(answer) == len(factors) and answer.requires_grad
        return _Scaled.apply(answer, factors) if of_batch else answer
    if isinstance(answer, Mapping):
        return {name: scale_gradient(output, factors) for name, output in answer.items()}
    if isinstance(answer, (tuple, list)):
        found = [scale_gradient(output, factors) for output in answer]
        return tuple(found) if isinstance(answer, tuple) else found
    return answer


class _Scaled(torch.autograd.Function):
    """See `scale_gradient`."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
        """As the class says."""
        ctx.save_for_backward(factors)
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Gradients of the arguments."""
        (factors,) = ctx.saved_tensors
        return grads[0] * factors.to(grads[0].dtype).reshape(-1, *[1] * (grads[0].ndim - 1)), None
