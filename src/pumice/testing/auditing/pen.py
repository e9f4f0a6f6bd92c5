"""Writes the class of a case's network, line by line, and keeps track of the shapes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

Shape = tuple[int, ...]

NORMS: dict[str, str] = {
    "TDBN": "nn.TDBN",
    "BiasFreeNorm": "nn.BiasFreeNorm",
    "MeanOnlyBatchNorm": "MeanOnlyBatchNorm",
    "WgtScaleBatchNorm": "WgtScaleBatchNorm",
}
"""What stands for a norm in options, and in Python."""
OURS = ("TDBN", "BiasFreeNorm")
"""Norms that synapses can have, and that know a threshold."""


class Value(NamedTuple):
    """What a variable of the forward pass holds.

    Attributes:
        name: The variable.
        shape: (n,) or (channel, height, width).
        kind: "spikes", "current" (an `nn.Current`), or "numbers" (of a read-out).
    """

    name: str
    shape: Shape
    kind: str = "spikes"

    @property
    def is_image(self) -> bool:
        """Whether it has a height and a width."""
        return len(self.shape) == 3

    @property
    def size(self) -> int:
        """Numbers in one step."""
        total = 1
        for n in self.shape:
            total *= n
        return total


class Pen:
    """Two lists of lines: what `__init__` makes and what `forward` computes.

    Args:
        input_shape: (n,) or (channel, height, width).

    Attributes:
        stream: Neurons of the currents so far: those that share a term must have the same threshold.

    Example:
        >>> pen = Pen((3,))
        >>> block = pen.module("dense", "nn.Dense({}, 3, 2)")
        >>> pen.let(f"{block}(x)", (2,))
        Value(name='h0', shape=(2,), kind='spikes')
        >>> pen.made, pen.computed
        (['self.dense0 = nn.Dense({}, 3, 2)'], ['h0 = self.dense0(x)'])
    """

    def __init__(self, input_shape: Shape) -> None:
        self.values = [Value("x", tuple(input_shape))]
        self.made: list[str] = []
        self.computed: list[str] = []
        self.stream: Mapping[str, Any] = LIF
        self._shared: dict[tuple[str, str], str] = {}

    def module(self, prefix: str, source: str, tag: str = "") -> str:
        """The attribute that holds a new module; an old one, if one of this tag was made by the same source."""
        if tag and (tag, source) in self._shared:
            return self._shared[tag, source]
        attribute = f"self.{prefix}{len(self.made)}"
        self.made.append(f"{attribute} = {source}")
        if tag:
            self._shared[tag, source] = attribute
        return attribute

    def let(self, expression: str, shape: Iterable[int], kind: str = "spikes") -> Value:
        """A variable with the value of an expression."""
        value = Value(f"h{len(self.computed)}", tuple(shape), kind)
        self.computed.append(f"{value.name} = {expression}")
        return value

    def spikes(self, value: Value, params: Mapping[str, Any] | None = None) -> Value:
        """The value, or the spikes that neurons make of it if it is a current."""
        if value.kind != "current":
            return value
        neurons = self.module("neurons", f"nn.Neurons({params_source(params or self.stream, norm=False)})")
        return self.let(f"{neurons}({value.name})", value.shape)

    def flat(self, value: Value) -> Value:
        """The value as a row of neurons."""
        if not value.is_image:
            return value
        flatten = self.module("flatten", "nn.Flatten()")
        return self.let(f"{flatten}({value.name})", (value.size,))


LIF = {"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 0.25}
"""Neurons where a case does not say which."""


def call_source(function: str, *args: Any, **options: Any) -> str:
    """A call as Python; strings are source, everything else a value.

    Example:
        >>> call_source("nn.Dense", "{}", 3, 2, delay=True, norm="nn.TDBN")
        'nn.Dense({}, 3, 2, delay=True, norm=nn.TDBN)'
    """
    shown = [_shown(value) for value in args]
    return f"{function}({', '.join([*shown, *(f'{name}={_shown(value)}' for name, value in options.items())])})"


def params_source(params: Mapping[str, Any], *, norm: bool = True, knows_threshold: bool = True) -> str:
    """SLAYER's dictionary as Python.

    Args:
        params: With the norm by its name.
        norm: Whether there may be one.
        knows_threshold: Whether the block tells the norm its threshold.

    Example:
        >>> params_source({"threshold": 0.5, "norm": "TDBN"})
        "{'threshold': 0.5, 'norm': nn.TDBN}"
    """
    items = []
    for name, value in params.items():
        if name != "norm":
            items.append(f"{name!r}: {value!r}")
        elif norm and value is not None:
            given = None if knows_threshold else float(params["threshold"])
            items.append(f"'norm': {norm_source(value, threshold=given)}")
    return "{" + ", ".join(items) + "}"


def norm_source(name: str | None, *, alpha: float | None = None, threshold: float | None = None) -> str:
    """What makes a norm, as Python.

    Example:
        >>> norm_source("TDBN", alpha=0.7)
        'partial(nn.TDBN, alpha=0.7)'
    """
    if name is None:
        return "None"
    options = {"alpha": alpha, "threshold": threshold} if name in OURS else {}
    given = {key: value for key, value in options.items() if value is not None}
    return call_source("partial", NORMS[name], **given) if given else NORMS[name]


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return value
    return repr(tuple(value) if isinstance(value, list) else value)
