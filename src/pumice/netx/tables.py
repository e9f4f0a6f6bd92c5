"""The graph form, field by field: one line for each field of each kind of population and synapse.

The defaults are part of the format: they hold whatever the dataclasses of `pumice.ir` come to have.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import h5py
import numpy as np

from pumice.fixedpoint.formats import DECAY_ONE
from pumice.ir import (
    Accumulator,
    Conv,
    ConvTranspose,
    Cuba,
    Delta,
    Dense,
    Direct,
    OneToOne,
    Population,
    Resonator,
    Sigma,
    SigmaDelta,
    Sparse,
    Synapse,
    TokenMixing,
)
from pumice.ir.kinds import rule_for
from pumice.ir.limits import MAX_GEOMETRY
from pumice.ir.own_kinds import is_flag, own_fields, own_kinds
from pumice.netx.fields import LARGE, Node
from pumice.netx.header import known_only, put_packed, put_text

Reader = Callable[[Node, str], Any]

REQUIRED: Final = object()
"""Stands for the default of fields that have none."""


class Field(NamedTuple):
    """A field of the file and the attribute that it holds.

    Attributes:
        name: In the file.
        attribute: Of the dataclass.
        default: Not written if it holds; `REQUIRED` if there is none.
        read: How it is read; by default within the `limits` of the kind.
    """

    name: str
    attribute: str
    default: Any = REQUIRED
    read: Reader | None = None

    def reader(self, kind: Kind) -> Reader:
        """How it is read in a kind."""
        if self.read is not None:
            return self.read
        limit = kind.made.limits[self.attribute]
        return _numbers(limit.low, limit.high) if limit.per_neuron else _number(limit.low, limit.high)


class Kind(NamedTuple):
    """A kind of population or synapse, and the fields that only it has."""

    made: type[Any]
    fields: tuple[Field, ...]


def _number(low: int, high: int) -> Reader:
    return lambda node, name: node.integer(name, low, high)


def _numbers(low: int, high: int) -> Reader:
    """One number or an array of them: what it is stays what it is."""

    def read(node: Node, name: str) -> Any:
        values = node.integers(name, low, high)
        return int(values) if values.ndim == 0 else values

    return read


def _array(node: Node, name: str) -> Any:
    return node.integers(name, -LARGE, LARGE)


def _pair(low: int, high: int = MAX_GEOMETRY) -> Reader:
    return lambda node, name: node.pair(name, low, high)


def _flag(node: Node, name: str) -> bool:
    return bool(node.integer(name, 0, 1))


def _text(node: Node, name: str) -> str:
    return node.text(name)


_LEAKY = (
    Field("iDecay", "i_decay_q12", DECAY_ONE),
    Field("vDecay", "v_decay_q12", 0),
    Field("bias", "bias_mant", 0),
    Field("biasExp", "bias_exp", 6),
)
_CHANGES = (
    Field("vTh", "vth"),
    Field("spikeExp", "spike_exp", 6),
    Field("stateExp", "state_exp", 6),
    Field("cumError", "cum_error", False, _flag),
)

POPULATIONS: dict[str, Kind] = {
    "CUBA": Kind(Cuba, (Field("vThMant", "vth_mant"), *_LEAKY)),
    "accumulator": Kind(Accumulator, _LEAKY),
    "sigma": Kind(Sigma, ()),
    "delta": Kind(Delta, _CHANGES),
    "sigma_delta": Kind(SigmaDelta, (*_CHANGES, Field("bias", "bias", 0), Field("relu", "relu", True, _flag))),
    "resonator": Kind(
        Resonator,
        (
            Field("vTh", "vth"),
            Field("sinDecay", "sin_decay"),
            Field("cosDecay", "cos_decay"),
            Field("stateExp", "state_exp", 6),
            Field("decayBits", "decay_bits", 12),
            Field("izhikevich", "izhikevich", False, _flag),
        ),
    ),
}

_WEIGHT = Field("weight", "weight", read=_array)
_WEIGHT_EXP = Field("weightExp", "weight_exp", 0)
_GEOMETRY = (
    Field("stride", "stride", (1, 1), _pair(1)),
    Field("padding", "padding", (0, 0), _pair(0)),
    Field("dilation", "dilation", (1, 1), _pair(1)),
    Field("groups", "groups", 1, _number(1, LARGE)),
)
_DELAY = Field("delay", "delay_steps", 0, _numbers(0, LARGE))

ENDS = (
    Field("source", "source", read=_text),
    Field("target", "target", read=_text),
    Field("graded", "graded", False, _flag),
    Field("balance", "balance_steps", 0, _number(0, LARGE)),
    Field("targetChannels", "target_channels", None, _pair(0, LARGE)),
    Field("part", "part", "real", _text),
)
"""What every synapse has."""

SYNAPSES: dict[str, Kind] = {
    "direct": Kind(Direct, ()),
    "dense": Kind(Dense, (_WEIGHT, _WEIGHT_EXP, _DELAY)),
    "sparse": Kind(
        Sparse,
        (
            Field("rows", "rows", read=_array),
            Field("columns", "columns", read=_array),
            Field("values", "values", read=_array),
            _WEIGHT_EXP,
            _DELAY,
        ),
    ),
    "conv": Kind(
        Conv,
        (
            _WEIGHT,
            *_GEOMETRY,
            _DELAY,
        ),
    ),
    "one_to_one": Kind(OneToOne, (Field("weight", "weight", read=_numbers(-LARGE, LARGE)), _WEIGHT_EXP, _DELAY)),
    "token_mixing": Kind(TokenMixing, (_WEIGHT, _WEIGHT_EXP, _DELAY)),
    "conv_transpose": Kind(
        ConvTranspose,
        (
            _WEIGHT,
            *_GEOMETRY,
            Field("outputPadding", "output_padding", (0, 0), _pair(0)),
            _WEIGHT_EXP,
            _DELAY,
        ),
    ),
}
"""Arrays are read whatever they hold: whether it is within the limits is `verify_graph`'s to say."""


def population_rows() -> dict[str, Kind]:
    """The rows of all kinds of populations, those of a user's own included."""
    return POPULATIONS | {name: _own_row(kind) for name, kind in own_kinds(Population).items()}


def synapse_rows() -> dict[str, Kind]:
    """The rows of all kinds of synapses, those of a user's own included."""
    return SYNAPSES | {name: _own_row(kind) for name, kind in own_kinds(Synapse).items()}


def _own_row(kind: type[Any]) -> Kind:
    """Every field by its own name, and none left out: what the defaults of somebody else's class are may change."""
    return Kind(kind, tuple(Field(f.name, f.name, read=_own_reader(kind, f)) for f in own_fields(kind)))


def _own_reader(kind: type[Any], field: dataclasses.Field[Any]) -> Reader:
    """As far as the kind's own limits reach, and a tuple where it has one."""
    if is_flag(field):
        return _flag
    limit = kind.limits[field.name]
    read = _numbers(limit.low, limit.high)
    is_tuple = str(field.type).startswith("tuple")
    return (lambda node, name: tuple(np.ravel(read(node, name)).tolist())) if is_tuple else read


def write_fields(
    group: h5py.Group, kinds: Mapping[str, Kind], common: tuple[Field, ...], value: Population | Synapse
) -> None:
    """Write the type of `value` and every field that is not at its default.

    Args:
        group: Where to.
        kinds: `POPULATIONS` or `SYNAPSES`.
        common: Fields that all kinds have.
        value: A population or synapse.

    Raises:
        GraphError: The format has no such kind.
    """
    made = {kind.made: (name, kind) for name, kind in kinds.items()}
    name, kind = rule_for(made, value, "the file format")
    put_text(group, "type", name)
    for field in (*common, *kind.fields):
        found = getattr(value, field.attribute)
        if _equal(found, field.default):
            continue
        if isinstance(found, str):
            put_text(group, field.name, found)
        else:
            put_packed(group, field.name, np.asarray(found))


def _equal(value: Any, default: Any) -> bool:
    """Whether a field is at its default; an array never is, so that it comes back as an array."""
    return (np.ndim(value) == 0 or isinstance(value, tuple)) and bool(value == default)


def read_fields(
    node: Node, kinds: Mapping[str, Kind], common: tuple[Field, ...], known: tuple[str, ...]
) -> tuple[type[Any], dict[str, Any]]:
    """The type and the attributes that a group states; a field that this kind does not have is refused.

    Args:
        node: The group.
        kinds: `POPULATIONS` or `SYNAPSES`.
        common: Fields that all kinds have.
        known: Names of further fields, which the caller reads.

    Raises:
        FileFormatError: The type or a field is missing, unknown or out of range.
    """
    name = node.text("type")
    if name not in kinds:
        hint = (
            "; a kind of somebody's own has to be registered first (pumice.ir.register_kind)" if ":" in name else ""
        )
        raise node.error(f"{name!r} is not known; known are {', '.join(kinds)}{hint}", "type")
    fields = (*common, *kinds[name].fields)
    known_only(node, ("type", *known, *(field.name for field in fields)))
    return kinds[name].made, {
        field.attribute: field.reader(kinds[name])(node, field.name)
        if field.default is REQUIRED or field.name in node
        else field.default
        for field in fields
    }
