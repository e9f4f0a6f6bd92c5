"""A network together with how it came to be."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from pumice.data import AbstractEncoder, ImageDataset
from pumice.errors import FileFormatError
from pumice.train.build import build_encoder, build_network, deploy, example_input, prepare_data
from pumice.train.checkpoint import Checkpoint
from pumice.train.evaluate import predict, predict_counts
from pumice.train.history import FINETUNE, FLOAT, EpochRecord
from pumice.train.recipe import Recipe


@dataclass(eq=False)
class Trained:
    """A network and how it came to be.

    Attributes:
        recipe: What was asked for.
        dataset: The data, as the recipe wants them.
        model: The network; deployed once fine-tuning has begun.
        history: One record per epoch.
    """

    recipe: Recipe
    dataset: ImageDataset
    model: torch.nn.Module
    history: tuple[EpochRecord, ...] = ()

    @property
    def encoder(self) -> AbstractEncoder:
        """Turns the dataset's images into the network's input."""
        return build_encoder(self.recipe, self.dataset)

    @property
    def example(self) -> torch.Tensor:
        """A few encoded training samples, for `nn.deploy` and `pumice.lower`."""
        return example_input(self.recipe, self.dataset)

    @property
    def accuracy_float(self) -> float:
        """Test accuracy after the last epoch in real numbers, 0 to 1."""
        return [record for record in self.history if record.phase == FLOAT][-1].test_accuracy

    def test_accuracy(self) -> float:
        """Test accuracy of the network as it is now, 0 to 1."""
        test = self.dataset.test
        counts = predict_counts(self.model, self.encoder, test.images, seed=self.recipe.seed)
        return float((predict(counts) == test.labels).mean())


def start(recipe: Recipe, dataset: ImageDataset) -> Trained:
    """The recipe's network before its first epoch.

    Args:
        recipe: What to train.
        dataset: The data that the recipe names, as loaded.
    """
    prepared = prepare_data(recipe, dataset)
    model = build_network(recipe, prepared)
    with torch.no_grad():
        # Some of SLAYER's parameters and buffers get their shape in the first call.
        model.eval()(example_input(recipe, prepared))
    return Trained(recipe, prepared, model)


def restore(checkpoint: Checkpoint, dataset: ImageDataset | None = None) -> Trained:
    """Rebuild a checkpoint's network.

    Args:
        checkpoint: As read from its file.
        dataset: The data that its recipe names, as loaded; the checkpoint's own excerpt, which is enough for
            lowering, if not given.

    Raises:
        FileFormatError: The weights do not fit the network that the recipe describes.
    """
    trained = start(checkpoint.recipe, dataset or checkpoint.excerpt)
    if any(record.phase == FINETUNE for record in checkpoint.history):
        deploy(trained.model, checkpoint.recipe, trained.dataset)
    try:
        trained.model.load_state_dict(checkpoint.model_state)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise FileFormatError(f"the checkpoint's weights do not fit its recipe's network: {error}") from error
    trained.history = checkpoint.history
    return trained
