"""From a sample to integers over time, in SLAYER's tensor order (time last)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from pumice.errors import InputError
from pumice.names import unknown

IntArray = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True)
class AbstractEncoder(ABC):
    """Turns samples into the stream of integers that enters a network.

    Attributes:
        steps: Time steps per sample, T >= 1.
        without_chance: A class that says so does not use the generator in the `encode` that it defines; then samples
            can be encoded without those before them.

    Raises:
        InputError: There is no time step.
    """

    steps: int
    without_chance: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise InputError(f"an encoder needs at least one time step, got {self.steps}")

    @property
    @abstractmethod
    def value_range(self) -> tuple[int, int]:
        """Smallest and largest value that can leave the encoder."""

    def own_steps(self, lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64] | None:
        """How many of the steps belong to samples of these lengths; the others are padding, and count for nothing.

        Args:
            lengths: Of the samples before they are encoded, shape (n,); see `Split`.

        Returns:
            Shape (n,), 1 to `steps`; None where all steps count, as those of an encoder that says nothing do.
        """
        return None

    @abstractmethod
    def encode(self, samples: Any, rng: np.random.Generator) -> IntArray:
        """Encode n samples to shape (n, channel, height, width, T).

        Args:
            samples: Part of a `Split`'s samples.
            rng: Source of chance, used sample by sample, so that batches of any size give the same values.
        """


@dataclass(frozen=True)
class AbstractImageEncoder(AbstractEncoder):
    """An encoder of images, integers of shape (n, channel, height, width).

    Attributes:
        steps: Time steps per image, T >= 1.
        image_range: Smallest and largest pixel value.
    """

    image_range: tuple[int, int]


class DirectEncoder(AbstractImageEncoder):
    """The image is shown unchanged at each of T steps, its pixels as graded input; the first layer encodes.

    Example:
        >>> encoder = DirectEncoder(steps=3, image_range=(0, 16))
        >>> encoder.encode(np.full((1, 1, 1, 1), 7), np.random.default_rng(0)).tolist()
        [[[[[7, 7, 7]]]]]
    """

    without_chance = True

    @property
    def value_range(self) -> tuple[int, int]:
        """The pixels' own range."""
        return self.image_range

    def encode(self, samples: IntArray, rng: np.random.Generator) -> IntArray:
        """Repeat each image T times; `rng` is not used."""
        return np.broadcast_to(samples[..., None], (*samples.shape, self.steps))


class RateEncoder(AbstractImageEncoder):
    """Each pixel spikes in each step with a probability that grows linearly with its value, from 0 to 1.

    Example:
        >>> encoder = RateEncoder(steps=1000, image_range=(0, 16))
        >>> spikes = encoder.encode(np.full((1, 1, 1, 1), 4), np.random.default_rng(0))
        >>> float(spikes.mean().round(1)), int(spikes.max())
        (0.2, 1)
    """

    @property
    def value_range(self) -> tuple[int, int]:
        """Spikes."""
        return 0, 1

    def encode(self, samples: IntArray, rng: np.random.Generator) -> IntArray:
        """Draw T Bernoulli trials per pixel."""
        low, high = self.image_range
        probability = (samples.astype(np.float64) - low) / (high - low)
        return (rng.random((*samples.shape, self.steps)) < probability[..., None]).astype(np.uint8)


def shows_images(encoder: AbstractEncoder) -> bool:
    """Whether samples are images that are shown as they are: chance has no part, and a batch is encoded as a whole.

    Example:
        >>> shows_images(DirectEncoder(8, (0, 16)))
        True
    """
    return type(encoder) is DirectEncoder


def draws(encoder: AbstractEncoder) -> bool:
    """Whether an encoder may use its generator: the class whose `encode` it has does not say that this is not so.

    Example:
        >>> draws(DirectEncoder(8, (0, 16))), draws(RateEncoder(8, (0, 16)))
        (False, True)
    """
    owner = next(of for of in type(encoder).__mro__ if "encode" in vars(of))
    return not vars(owner).get("without_chance", False)


EVENT_ENCODINGS = ("time", "count")
IMAGE_ENCODERS: dict[str, type[AbstractImageEncoder]] = {"direct": DirectEncoder, "rate": RateEncoder}

SEQUENCE_ENCODING = "sequence"

ENCODING_NAMES = (*IMAGE_ENCODERS, *EVENT_ENCODINGS, SEQUENCE_ENCODING)


def make_encoder(name: str, steps: int, image_range: tuple[int, int]) -> AbstractEncoder:
    """The image encoder called `name`, "direct" or "rate".

    Raises:
        InputError: There is no such encoder.

    Example:
        >>> make_encoder("rate", 8, (0, 16)).value_range
        (0, 1)
    """
    if name not in IMAGE_ENCODERS:
        raise InputError(unknown(name, IMAGE_ENCODERS, "image encoding"))
    return IMAGE_ENCODERS[name](steps, image_range)
