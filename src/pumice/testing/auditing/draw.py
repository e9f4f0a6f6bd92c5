"""Random cases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pumice.testing.auditing import chance
from pumice.testing.auditing.case import Case, Part
from pumice.testing.auditing.chance import Drawn, pair, whole
from pumice.testing.auditing.draw_life import draw_life
from pumice.testing.auditing.parts import write_part
from pumice.testing.auditing.pen import Pen
from pumice.testing.auditing.script import LAVA
from pumice.testing.auditing.settings import LAYOUTS, SETTINGS
from pumice.testing.auditing.synapses import Options
from pumice.testing.values import Rng, one_in, pick

RANGES = (
    *((0, 1),) * 8,
    (0, 2),
    (-1, 1),
    (-1, 1),
    (0, 15),
    (0, 255),
    (-128, 127),
    (-5, 0),
    (1, 3),
    (0, 2**12),
    (0, 2**16),
    (-(2**16), 2**16),
)
LARGEST_LAYER = 300
"""Neurons; the reference backend is slow."""


def draw_case(seed: int, index: int) -> Case:
    """The case number `index` of a seed.

    Example:
        >>> draw_case(5, 0) == draw_case(5, 0), draw_case(5, 0) == draw_case(5, 1)
        (True, False)
    """
    rng = np.random.default_rng([seed, index])
    shape = _input_shape(rng)
    sketch = _Sketch(rng, shape)
    for _ in range(pick(rng, [1, 2, 2, 3, 3, 4, 5])):
        sketch.add()
    returns, returned_as = _heads(sketch)
    low, high = pick(rng, RANGES)
    return Case(
        seed=whole(rng, 0, 10**6),
        input_shape=shape,
        time=pick(rng, [1, 2, 4, 5, 8, 8, 12, 16]),
        batch=pick(rng, [1, 2, 2, 3, 4]),
        input_range=(low, high),
        parts=tuple(sketch.parts),
        returns=returns,
        returned_as=returned_as,
        life=draw_life(rng, sketch.parts),
        example=pick(rng, ["any", "some", "some", "few", "ones", "extreme"]),
        samples=pick(rng, [1, 2, 3, 3]),
        values=pick(rng, ["any", "some", "some", "extreme", "ones"]),
        layouts=(_layout(rng), _layout(rng)),
        lower_under=_settings(rng),
        run_under=_settings(rng),
        lower=_lower(rng),
        lava=_lava(rng),
    )


def _input_shape(rng: Rng) -> tuple[int, ...]:
    if one_in(rng, 3):
        return (pick(rng, [1, 2, 3, 5, 8, 12]),)
    channels = pick(rng, [1, 1, 2, 3, 4])
    side = pick(rng, [1, 2, 3, 4, 4, 5, 6, 8])
    return channels, side, side if one_in(rng, 2) else pick(rng, [1, 2, 3, 4, 5, 7])


class _Sketch:
    """Parts so far, with the shapes of what they give."""

    def __init__(self, rng: Rng, shape: tuple[int, ...]) -> None:
        self.rng = rng
        self.parts: list[Part] = []
        self.pen = Pen(shape)
        # What shares a term of a current must have one threshold.
        self.stream = chance.neuron_of_synapses(rng)

    def add(self) -> None:
        """One more part, mostly behind the last one."""
        for _ in range(5):
            source = self.source()
            kinds = _FOR[self.pen.values[source].kind if self.pen.values[source].is_image else "row"]
            if self.pen.values[source].kind == "current":
                kinds = _FOR["current"]
            kind = pick(self.rng, kinds)
            if self.put(kind, _DRAWN[kind](self, source)):
                return

    def put(self, kind: str, drawn: tuple[tuple[int, ...], Options]) -> bool:
        """Add a part unless it would be too large."""
        part = Part(kind, *drawn)
        write_part(self.pen, part.kind, part.sources, part.options)
        if self.pen.values[-1].size > LARGEST_LAYER:
            self.pen.values.pop()
            return False
        self.parts.append(part)
        return True

    def source(self) -> int:
        """The last value, or sometimes another one; never a read-out's."""
        usable = [i for i, value in enumerate(self.pen.values) if value.kind != "numbers"]
        return usable[-1] if self.rng.integers(4) else int(pick(self.rng, usable))

    def is_image(self, source: int) -> bool:
        return self.pen.values[source].is_image


def _heads(sketch: _Sketch) -> tuple[tuple[int, ...], str]:
    """What the network ends in, and which of it is returned in which order."""
    rng = sketch.rng
    heads = [len(sketch.parts)]
    for _ in range(pick(rng, [0, 1, 1, 1, 2, 2, 3])):
        source = heads[0] if rng.integers(3) else sketch.source()
        if sketch.pen.values[source].kind == "numbers":
            source = sketch.source()
        kind = pick(rng, ["dense", "dense", "dense", "merge", "readout", "recurrent"])
        options = dict(_DRAWN[kind](sketch, source)[1])
        options["out"] = pick(rng, [1, 2, 3, 5, 10])
        if one_in(rng, 4) and kind == "merge":
            options["synapses"] = [{"kind": "linear", "out": options["out"]}]
        if sketch.put(kind, ((source,), options)):
            heads.append(len(sketch.parts))
    body, *made = heads
    made = made or [body]
    if len(made) > 1 and one_in(rng, 3):
        made.pop(whole(rng, 0, len(made) - 1))  # called, not returned
    if one_in(rng, 12):
        made.append(body)
    order = [made[i] for i in rng.permutation(len(made))]
    form = "one" if len(order) == 1 and rng.integers(4) else pick(rng, ["tuple", "list", "dict"])
    return tuple(int(i) for i in order), form


def _layout(rng: Rng) -> str:
    return pick(rng, list(LAYOUTS)) if one_in(rng, 3) else "plain"


def _settings(rng: Rng) -> tuple[str, ...]:
    if rng.integers(3):
        return ()
    names = [pick(rng, list(SETTINGS)) for _ in range(pick(rng, [1, 1, 2, 3]))]
    return tuple(dict.fromkeys(names))


def _lower(rng: Rng) -> dict[str, Any]:
    return {"residual": pick(rng, ["synapses", "relays"])} if one_in(rng, 6) else {}


def _lava(rng: Rng) -> str:
    one, threads, processes = LAVA
    kind = whole(rng, 0, 99)
    return processes if kind < 1 else threads if kind < 4 else one if kind < 10 else ""


def _tag(rng: Rng) -> Drawn:
    return {"tag": "again"} if one_in(rng, 12) else {}


def _of_block(sketch: _Sketch, source: int) -> Drawn:
    rng = sketch.rng
    return {"out": pick(rng, [1, 2, 3, 4, 6, 8])} | chance.block(rng) | _tag(rng)


def _dense(sketch: _Sketch, source: int) -> tuple[tuple[int, ...], Drawn]:
    own = {"mask": one_in(sketch.rng, 10), "over_image": one_in(sketch.rng, 4)}
    own = {name: True for name, wanted in own.items() if wanted}
    return (source,), _of_block(sketch, source) | own


def _conv(sketch: _Sketch, source: int) -> tuple[tuple[int, ...], Drawn]:
    return (source,), _of_block(sketch, source) | chance.conv(sketch.rng)


def _pool(sketch: _Sketch, source: int) -> tuple[tuple[int, ...], Drawn]:
    drawn = _of_block(sketch, source) | {"kernel": pair(sketch.rng, [1, 2, 2, 3])}
    drawn.pop("out")
    drawn["params"].pop("norm", None)
    return (source,), drawn


def _merge(sketch: _Sketch, source: int) -> tuple[tuple[int, ...], Drawn]:
    rng = sketch.rng
    sources = (source, *(sketch.source() for _ in range(pick(rng, [0, 1, 1, 2]))))
    synapses = [chance.synapse(rng, image=sketch.is_image(s)) for s in sources]
    drawn: Drawn = {"synapses": synapses, "params": chance.neuron_of_synapses(rng)} | _tag(rng)
    if one_in(rng, 4):
        drawn["concat"] = True
    if one_in(rng, 8):
        drawn["delay"] = True
    if one_in(rng, 5):
        drawn["recurrent"] = {"kind": pick(rng, ["one-to-one", "channels"])}
    return sources, drawn


def _inhibition(sketch: _Sketch, source: int) -> tuple[tuple[int, ...], Drawn]:
    rng = sketch.rng
    drawn = _of_block(sketch, source) | {
        "strength": pick(rng, [1 / 32, 0.5, 1.0, 1.0, 2.0, 4.0, chance.real(rng, 0.04, 4)])
    }
    if one_in(rng, 4):
        drawn["params"]["gradient"] = pick(rng, ["hm2bp", "stbp"])
    return (source,), drawn


def _residual(sketch: _Sketch, source: int) -> tuple[tuple[int, ...], Drawn]:
    rng = sketch.rng
    params = chance.neuron_of_synapses(rng) | {
        "current_decay": 1.0,
        "norm": pick(rng, ["TDBN", "TDBN", None, "BiasFreeNorm"]),
    }
    drawn: Drawn = {"params": params, "out": pick(rng, [1, 2, 4])} | _tag(rng)
    if one_in(rng, 3):
        drawn["bottleneck"] = True
    if one_in(rng, 3):
        drawn["stride"] = 2
    if one_in(rng, 4):
        drawn["identity_norm"] = False
    if one_in(rng, 3):
        drawn["gradient"] = pick(rng, ["slayer", "stbp-detached"])
    return (source,), drawn


def _current(sketch: _Sketch, source: int) -> tuple[tuple[int, ...], Drawn]:
    synapse = chance.synapse(sketch.rng, image=sketch.is_image(source))
    return (source,), {"synapse": synapse, "params": sketch.stream}


def _add(sketch: _Sketch, source: int) -> tuple[tuple[int, ...], Drawn]:
    rng, image = sketch.rng, sketch.is_image(source)
    synapses = {"synapse": chance.synapse(rng, image=image), "other_synapse": chance.synapse(rng, image=image)}
    drawn: Drawn = synapses | {"params": sketch.stream} | ({"beside": True} if one_in(rng, 4) else {})
    return (source, sketch.source()), drawn


def _neurons(sketch: _Sketch, source: int) -> tuple[tuple[int, ...], Drawn]:
    own = chance.neuron_of_synapses(sketch.rng) if one_in(sketch.rng, 12) else sketch.stream
    return (source,), {"params": own}


def _mixer(sketch: _Sketch, source: int) -> tuple[tuple[int, ...], Drawn]:
    rng = sketch.rng
    drawn: Drawn = {"params": sketch.stream, "norm": pick(rng, [None, "TDBN", "TDBN", "BiasFreeNorm"])}
    drawn |= {"over": pick(rng, ["tokens", "channels"]), "heads": whole(rng, 1, 4), "expansion": whole(rng, 1, 2)}
    return (source,), drawn | {"synapse": chance.synapse(rng, image=True, tags=False)}


def _patches(sketch: _Sketch, source: int) -> tuple[tuple[int, ...], Drawn]:
    rng = sketch.rng
    drawn: Drawn = {"params": sketch.stream, "norm": pick(rng, [None, "TDBN", "TDBN", "BiasFreeNorm"])}
    drawn |= {"downsampling": whole(rng, 1, 3), "short_path": bool(rng.integers(3))}
    return (0,), drawn | {"synapse": chance.synapse(rng, image=sketch.is_image(source), tags=False)}


def _readout(sketch: _Sketch, source: int) -> tuple[tuple[int, ...], Drawn]:
    rng = sketch.rng
    drawn: Drawn = {"out": pick(rng, [1, 2, 5]), "bias": not one_in(rng, 4), "params": sketch.stream}
    if one_in(rng, 2):
        drawn["leak"] = pick(rng, [1 / 4096, 0.1, 0.25, 0.5, 4095 / 4096])
    return (source,), drawn | {"synapse": chance.synapse(rng, image=sketch.is_image(source))}


def _nothing(sketch: _Sketch, source: int) -> tuple[tuple[int, ...], Drawn]:
    return (source,), {}


_DRAWN: dict[str, Callable[[_Sketch, int], tuple[tuple[int, ...], Drawn]]] = {
    "dense": _dense,
    "conv": _conv,
    "pool": _pool,
    "recurrent": lambda sketch, source: ((source,), _of_block(sketch, source)),
    "inhibition": _inhibition,
    "flatten": _nothing,
    "merge": _merge,
    "residual": _residual,
    "current": _current,
    "add": _add,
    "neurons": _neurons,
    "mixer": _mixer,
    "patches": _patches,
    "readout": _readout,
}

_FOR: dict[str, list[str]] = {
    "spikes": [
        "conv",
        "conv",
        "conv",
        "pool",
        "dense",
        "merge",
        "merge",
        "residual",
        "current",
        "mixer",
        "patches",
        "flatten",
    ],
    "row": ["dense", "dense", "recurrent", "inhibition", "merge", "merge", "current", "add"],
    "current": ["neurons", "neurons", "neurons", "add", "mixer", "conv", "dense", "merge"],
}
"""What may come behind an image of spikes, a row of neurons, or a current."""
