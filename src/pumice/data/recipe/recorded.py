"""The test samples that a network file tells of, encoded as its recipe says."""

from __future__ import annotations

import itertools
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pumice import names
from pumice.data.dataset import Split
from pumice.data.encoders import draws
from pumice.data.encoding import encode
from pumice.data.recipe.own_code import check_own_code
from pumice.data.recipe.samples import build_encoder, prepare_data, with_whole_training_split
from pumice.data.recipe.schema import DataRecipe
from pumice.data.registry import ARGUMENTS_FROM_FILES, load_dataset
from pumice.errors import InputError
from pumice.ir import Graph, torch_to_lava

IntArray = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True)
class RecordedTest:
    """A test split, encoded one batch at a time.

    Attributes:
        name: The dataset's.
        labels: Class of each sample.
        recipe: What the record says of the data.
        encoder: Makes a sample's integers.
    """

    name: str
    labels: IntArray
    recipe: DataRecipe
    encoder: Any
    _split: Split

    def __len__(self) -> int:
        return len(self.labels)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        """Pairs (stream in Lava's order, label), or triples with each sample's own steps where lengths differ."""
        streams = itertools.chain.from_iterable(
            torch_to_lava(batch)
            for batch in encode(
                self.encoder, self._split.samples, seed=self.recipe.seed, workers=self.recipe.data.workers
            )
        )
        lengths = None if self._split.lengths is None else self.encoder.own_steps(self._split.lengths)
        return zip(streams, self.labels, *(() if lengths is None else (lengths,)), strict=True)

    def samples_at(self, indices: Sequence[int]) -> Iterator[tuple[Any, ...]]:
        """The samples of these numbers, which rise; the others are not decoded, unless an encoder draws."""
        if draws(self.encoder):  # its values depend on the samples before
            wanted = {*indices}
            until_last = itertools.islice(enumerate(self), max(wanted, default=-1) + 1)
            return (sample for number, sample in until_last if number in wanted)
        chosen = np.array(indices, np.int64)
        return iter(
            replace(self, labels=self.labels[chosen], _split=self._split.select(chosen)) if len(chosen) else ()
        )


def recorded_test(
    graph: Graph,
    root: str | None,
    limit: int | None = None,
    settings: Sequence[str] = (),
    trust: Collection[str] = (),
) -> RecordedTest:
    """The test split that a graph was trained for, from its own record of the recipe.

    Of the record, what it says of its data is read, and of that what changes the samples, and no more. Where to
    write, and whether to download, is the caller's to say, in `settings`.

    Args:
        graph: Made by `pumice lower` or `pumice demo`.
        root: Folder with the data, for datasets that are not bundled.
        limit: Use only the first samples.
        settings: Changes of the record, as of a recipe's data: "data.args.jpeg_test=true".
        trust: Modules outside the current folder that the record may name; see `restore`.

    Raises:
        InputError: The graph holds no recipe, or one that names code that is not trusted, or the data are not there.
    """
    if "recipe" not in graph.info:
        raise InputError("the file does not say what it was trained on; give samples of your own: --data X.npz")
    try:
        recipe = _of_record(json.loads(graph.info["recipe"]))
    except (ValueError, RecursionError) as error:
        raise InputError(f"the file's recipe is not one of this version of pumice: {error}") from error
    check_own_code(recipe, "the network's file", trust)
    recipe = with_arguments_of_effect_left_out(recipe).overridden(settings)
    dataset = load_dataset(recipe.data.dataset, root, **recipe.data_arguments())
    if names.is_own(recipe.data.encoding):  # it may look at what is left to train with
        dataset, _ = prepare_data(recipe, dataset)
    else:
        dataset = with_whole_training_split(recipe, dataset)
    split = dataset.test.first(limit)
    return RecordedTest(dataset.name, split.labels, recipe, build_encoder(recipe, dataset), split)


def _of_record(record: Any) -> DataRecipe:
    if not isinstance(record, dict):
        raise ValueError(f"it is a {type(record).__name__}, and must be names with values")
    return DataRecipe.from_record({key: record[key] for key in DataRecipe.model_fields if key in record})


def with_arguments_of_effect_left_out(recipe: DataRecipe) -> DataRecipe:
    """The recipe as a file may state it: of a bundled dataset's arguments, those that choose samples.

    Neither processes nor a cache, which are of no influence on the samples.

    Args:
        recipe: From a file; a dataset of the user's own, which is trusted, gets all its arguments.

    Example:
        >>> record = DataRecipe(data={"dataset": "fsdd", "args": {"bands": 40, "cache": "/tmp"}})
        >>> with_arguments_of_effect_left_out(record).data.args
        {'bands': 40}
        >>> with_arguments_of_effect_left_out(DataRecipe(data={"workers": 1000})).data.workers
        0
    """
    data = recipe.data
    allowed = ARGUMENTS_FROM_FILES.get(data.dataset, data.args)
    kept = {key: value for key, value in data.args.items() if key in allowed}
    return recipe.model_copy(update={"data": data.model_copy(update={"args": kept, "workers": 0, "cache": None})})
