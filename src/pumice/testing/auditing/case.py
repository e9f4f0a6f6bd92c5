"""A case of the audit: a network and its life, as plain values that can be written down, drawn, and made smaller."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

Options = Mapping[str, Any]


@dataclass(frozen=True)
class Part:
    """One thing that a network does with values that it has.

    Attributes:
        kind: A key of `pumice.testing.auditing.parts.WRITERS`.
        sources: What it reads: 0 is the network's input, k what part k - 1 gives.
        options: Of its kind. They are wishes: whatever does not fit the shapes that come in is made to fit, so that
            every case is a network, also one that lost some of its parts.
    """

    kind: str
    sources: tuple[int, ...]
    options: Options = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """One thing that happens to a network between its construction and its lowering.

    Attributes:
        kind: A key of `pumice.testing.auditing.life.WRITERS`.
        options: Of its kind.
    """

    kind: str
    options: Options = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """A network, what happens to it, and what it is asked.

    Attributes:
        seed: Of its parameters, its training data and its samples.
        input_shape: (n,) or (channel, height, width).
        time: Steps of a sample.
        batch: Samples in the example.
        input_range: Smallest and largest input value that is declared.
        parts: What the network does, in this order.
        returns: What it returns: indices as those of `Part.sources`.
        returned_as: "one", "tuple", "list" or "dict"; of several values, "one" is the first.
        life: What happens to it.
        example: Which values the example holds: a key of `pumice.testing.auditing.script.VALUES`.
        samples: How many samples are compared.
        values: Which values they hold.
        layouts: Of the example and of the samples in memory: keys of `pumice.testing.auditing.script.LAYOUTS`.
        lower_under: Settings of torch while it is lowered: keys of `pumice.testing.auditing.settings.SETTINGS`.
        run_under: The same while it answers.
        lower: Options of `pumice.lower`.
        lava: Whether Lava is asked as well: "", "one process", "threads" or "processes".

    Example:
        >>> case = Case(seed=1, input_shape=(3,), time=4, parts=(Part("dense", (0,), {"out": 2}),), returns=(1,))
        >>> Case.from_json(case.to_json()) == case
        True
    """

    seed: int
    input_shape: tuple[int, ...]
    time: int
    parts: tuple[Part, ...]
    returns: tuple[int, ...]
    batch: int = 2
    input_range: tuple[int, int] = (0, 1)
    returned_as: str = "one"
    life: tuple[Step, ...] = ()
    example: str = "any"
    samples: int = 2
    values: str = "any"
    layouts: tuple[str, str] = ("plain", "plain")
    lower_under: tuple[str, ...] = ()
    run_under: tuple[str, ...] = ()
    lower: Options = field(default_factory=dict)
    lava: str = ""

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Case:
        """The case that `to_json` wrote."""
        values = json.loads(text)
        values["parts"] = tuple(Part(p["kind"], tuple(p["sources"]), p["options"]) for p in values["parts"])
        values["life"] = tuple(Step(**step) for step in values["life"])
        for name in ("input_shape", "returns", "input_range", "layouts", "lower_under", "run_under"):
            values[name] = tuple(values[name])
        return cls(**values)
