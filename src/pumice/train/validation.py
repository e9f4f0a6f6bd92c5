"""Loss and accuracy on the part of the training split that was kept from training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from pumice.data.encoding import encode
from pumice.train.answer import watch_answer
from pumice.train.losses import AbstractLoss
from pumice.train.outputs import first_output
from pumice.train.predict import to_tensor
from pumice.train.score import score_of, score_sum
from pumice.train.trained import Trained

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def validate(trained: Trained, loss_of: AbstractLoss, fabric: Fabric) -> dict[str, float]:
    """The figures of the validation split, by the names that an `EpochRecord` has for them; none without a split.

    Every process computes them: the split is small.
    """
    split, model = trained.validation, trained.model
    if split is None:
        return {}
    model.eval()
    loss, score, start, counted = 0.0, 0.0, 0, trained.steps_of(split)
    with torch.no_grad(), watch_answer(model, loss_of) as answer_of:
        for stream in encode(
            trained.encoder, split.samples, seed=trained.recipe.seed, workers=trained.recipe.data.workers
        ):
            labels = fabric.to_device(torch.tensor(split.labels[start : start + len(stream)]))
            lengths = None
            if counted is not None:
                lengths = fabric.to_device(torch.tensor(counted[start : start + len(stream)]))
            output = model(fabric.to_device(to_tensor(stream)))
            loss += float(loss_of.of_batch(answer_of(output), labels, lengths)) * len(labels)
            score += float(score_sum(first_output(output), labels, lengths))
            start += len(stream)
    found = score_of("validation", score, len(split), has_targets=trained.dataset.has_targets)
    return {"validation_loss": loss / len(split), **found}
