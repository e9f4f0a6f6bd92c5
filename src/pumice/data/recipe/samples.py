"""The samples that a recipe wants, and the encoder that it names."""

from __future__ import annotations

from pumice import names
from pumice.data.binning import EventBinner
from pumice.data.dataset import Dataset, EventDataset, ImageDataset, Split
from pumice.data.encoders import EVENT_ENCODINGS, IMAGE_ENCODERS, SEQUENCE_ENCODING, AbstractEncoder, make_encoder
from pumice.data.folds import hold_out, take_fold
from pumice.data.recipe.schema import DataRecipe
from pumice.data.sequences import SequenceDataset, SequenceEncoder
from pumice.errors import InputError
from pumice.names import counted


def prepare_data(recipe: DataRecipe, dataset: Dataset) -> tuple[Dataset, Split | None]:
    """The dataset as the recipe wants it: fold, validation split, limits, grey levels.

    Args:
        recipe: What it says of its data.
        dataset: As loaded.

    Returns:
        The dataset, and the part of its training split that is kept for validation, if any.

    Raises:
        InputError: The recipe's values do not fit the dataset.
    """
    return hold_out(with_whole_training_split(recipe, dataset), recipe.data.validation, recipe.seed)


def with_whole_training_split(recipe: DataRecipe, dataset: Dataset) -> Dataset:
    """The same before a part is kept for validation, of which the test split knows nothing.

    Args:
        recipe: What it says of its data.
        dataset: As loaded.

    Raises:
        InputError: The recipe's values do not fit the dataset.
    """
    data = recipe.data
    if data.folds is not None:
        dataset = take_fold(dataset, data.folds, data.fold, data.fold_seed)
    dataset = dataset.limited(data.max_train, data.max_test)
    return dataset.with_levels(data.gray_levels) if isinstance(dataset, ImageDataset) else dataset


def build_encoder(recipe: DataRecipe, dataset: Dataset) -> AbstractEncoder:
    """The recipe's encoder for a prepared dataset.

    Raises:
        InputError: The encoding is not one for this kind of data.
    """
    data = recipe.data
    if names.is_own(data.encoding):
        return _own_encoder(recipe, dataset)
    if data.encoding_args:
        raise InputError(f"data.encoding_args are those of an encoding of your own, and it is {data.encoding!r}")
    if isinstance(dataset, ImageDataset):
        if data.encoding not in IMAGE_ENCODERS:
            raise InputError(
                f"data.encoding={data.encoding} is not for images, which {dataset.name} holds; "
                f"use one of: {', '.join(IMAGE_ENCODERS)}"
            )
        return make_encoder(data.encoding, data.steps, dataset.value_range)
    if isinstance(dataset, SequenceDataset):
        return _sequence_encoder(recipe, dataset)
    if not isinstance(dataset, EventDataset):
        raise InputError(
            f"data.encoding={data.encoding}: {dataset.name} is a {type(dataset).__name__}, and holds neither images "
            'nor sequences nor events; name an encoder of your own, data.encoding = "package.module:Class"'
        )
    if data.encoding not in EVENT_ENCODINGS:
        raise InputError(
            f"data.encoding={data.encoding} is not for events, which {dataset.name} holds; "
            f"use one of: {', '.join(EVENT_ENCODINGS)}"
        )
    return EventBinner(
        data.steps,
        dataset.sensor_shape,
        window=data.window or dataset.duration / data.steps,
        mode="time" if data.encoding == "time" else "count",
        max_count=data.max_count,
        downsample=data.downsample,
    )


def _sequence_encoder(recipe: DataRecipe, dataset: SequenceDataset) -> SequenceEncoder:
    data = recipe.data
    if data.encoding != SEQUENCE_ENCODING:
        raise InputError(
            f"data.encoding={data.encoding} is not for sequences, which {dataset.name} holds; use {SEQUENCE_ENCODING}"
        )
    if data.steps < dataset.longest:
        raise InputError(
            f"data.steps={data.steps}: the longest sequence of {dataset.name} has "
            f"{counted(dataset.longest, 'step')}; give as many, or cut the sequences"
        )
    if data.noise or data.augment:
        raise InputError("data.noise and data.augment are for images and events; change sequences in your own loader")
    return SequenceEncoder(data.steps, dataset.value_range)


def _own_encoder(recipe: DataRecipe, dataset: Dataset) -> AbstractEncoder:
    data = recipe.data
    offered = {"steps": data.steps, "dataset": dataset}
    if isinstance(dataset, ImageDataset):
        offered["image_range"] = dataset.value_range
    encoder = names.make(data.encoding, {}, "encoding", data.encoding_args, **offered)
    if not isinstance(encoder, AbstractEncoder):
        raise InputError(f"encoding {data.encoding!r} gives a {type(encoder).__name__}, no AbstractEncoder")
    return encoder
