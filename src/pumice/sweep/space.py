"""What a sweep tries: for each key of a recipe, a range or a list of values."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pumice.errors import InputError

LOG_FROM = 10
"""A range of numbers above 0 whose ends differ by this factor is searched by orders of magnitude."""
_EXAMPLE = "expected KEY=LOW..HIGH or KEY=A,B,C, for example training.lr=1e-4..1e-2 or neuron.threshold=0.5,1.0"


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included: integers if both are, else real numbers.

    Attributes:
        low: The smallest.
        high: The largest.
        log: Whether orders of magnitude are searched.
    """

    low: float
    high: float
    log: bool = False

    @property
    def is_integer(self) -> bool:
        """Whether its numbers are integers."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def examples(self) -> list[int | float]:
        """Its ends, and a fraction between them where there are fractions."""
        if self.is_integer:
            return [self.low, self.high]
        third = self.low + (self.high - self.low) / 3
        return [self.low, self.high, math.nextafter(third, self.high) if third.is_integer() else third]

    def suggested(self, trial: Any, key: str) -> int | float:
        """A value, from Optuna's trial."""
        if self.is_integer:
            return int(trial.suggest_int(key, self.low, self.high, log=self.log))
        return float(trial.suggest_float(key, self.low, self.high, log=self.log))


@dataclass(frozen=True)
class Choice:
    """One of some values.

    Attributes:
        values: As JSON, each: Optuna keeps texts, and lists are values, too.
    """

    values: tuple[str, ...]

    def examples(self) -> list[Any]:
        """All of them."""
        return [json.loads(value) for value in self.values]

    def suggested(self, trial: Any, key: str) -> Any:
        """A value, from Optuna's trial."""
        return json.loads(trial.suggest_categorical(key, list(self.values)))


def parse_space(texts: Sequence[str]) -> dict[str, Range | Choice]:
    """Keys of a recipe and what each may be.

    Args:
        texts: "KEY=LOW..HIGH", numbers; "KEY=A,B,C", JSON or plain words; or "KEY=[[1, 2], [3]]", a list of lists.

    Raises:
        InputError: One is neither, names a key again, or there is none.

    Example:
        >>> parse_space(["training.lr=1e-4..1e-2", "neuron.threshold=0.5,1.0"])
        {'training.lr': Range(low=0.0001, high=0.01, log=True), 'neuron.threshold': Choice(values=('0.5', '1.0'))}
    """
    space: dict[str, Range | Choice] = {}
    for text in texts:
        key, equals, given = (part.strip() for part in text.partition("="))
        if not equals or not key or not given:
            raise InputError(f"--over {text}: {_EXAMPLE}")
        if key in space:
            raise InputError(f"--over {text}: {key} is given twice")
        space[key] = (
            _range(text, given) if ".." in given and not given.startswith(("[", '"')) else _choice(text, given)
        )
    if not space:
        raise InputError(f"--over: what shall be tried? {_EXAMPLE}")
    return space


def _range(text: str, given: str) -> Range:
    try:
        low, high = (_number(end) for end in given.split(".."))
        finite = math.isfinite(low) and math.isfinite(high)
    except (ValueError, OverflowError):
        raise InputError(f"--over {text}: {_EXAMPLE}") from None
    if not (finite and low < high):
        raise InputError(f"--over {text}: the first number must be below the second, and both finite")
    return Range(low, high, log=low > 0 and high / low >= LOG_FROM)


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        return float(text)


def _choice(text: str, given: str) -> Choice:
    try:
        values = json.loads(given) if given.startswith("[[") else json.loads(f"[{given}]")
    except ValueError:
        values = [_value(word.strip()) for word in given.split(",")]
    found = tuple(json.dumps(value) for value in values)
    if len({*found}) < max(2, len(found)):
        raise InputError(f"--over {text}: at least two values are needed, each once")
    return Choice(found)


def _value(word: str) -> Any:
    try:
        return json.loads(word)
    except ValueError:
        return word
