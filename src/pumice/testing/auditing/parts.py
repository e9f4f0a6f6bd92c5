"""Writes what a network does, part by part; whatever a part wishes for is made to fit what comes in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import gcd
from typing import Any

from pumice.testing.auditing.pen import LIF, Pen, Value, call_source, norm_source, params_source
from pumice.testing.auditing.synapses import conv_options, write_recurrent, write_synapse

Options = Mapping[str, Any]
Writer = Callable[[Pen, Sequence[Value], Options], Value]


def write_part(pen: Pen, kind: str, sources: Sequence[int], options: Options) -> None:
    """Write one part; its value is the pen's last."""
    values = [pen.values[index] for index in sources]
    usable = [value for value in values if value.kind != "numbers"] or pen.values[:1]
    pen.values.append(WRITERS[kind](pen, usable, options))


def _block(pen: Pen, prefix: str, kind: str, options: Options, *args: Any, **own: Any) -> str:
    """A block of SLAYER's kinds, ours or lava-dl's own."""
    params = dict(options.get("params", LIF))
    given: dict[str, Any] = {name: True for name in ("weight_norm", "delay") if options.get(name, False)}
    if options.get("scale", 1) != 1:
        given["weight_scale"] = options["scale"]
    given |= own
    library = "nn"
    if options.get("library") == "lava-dl":
        library = "slayer"
        _leave_to_lava_dl(kind, params, given, of_image=kind in {"Conv", "Pool"} or isinstance(args[0], tuple))
        if not options.get("delay_shift", False):
            given["delay_shift"] = False
    source = params_source(params, knows_threshold=library == "nn")
    return pen.module(prefix, call_source(f"{library}.{kind}", source, *args, **given), str(options.get("tag", "")))


def _leave_to_lava_dl(kind: str, params: dict[str, Any], given: dict[str, Any], *, of_image: bool) -> None:
    """Take away what lava-dl's own blocks do not know, or fail with in training."""
    params.pop("surrogate", None)
    params.pop("persistent_state", None)  # its delay_shift writes into what autograd made
    if of_image:  # it takes the last axis for the channels, and gives a delay a gradient of another shape
        params.pop("shared_param", None)
        params |= {name: decay[0] for name, decay in params.items() if isinstance(decay, list)}
        given.pop("delay", None)
    if kind == "Recurrent":  # its second backward pass goes through the first one
        given.pop("weight_norm", None)


def _dense(pen: Pen, values: Sequence[Value], options: Options) -> Value:
    value = pen.spikes(values[0])
    out = int(options.get("out", 4))
    if value.is_image and options.get("over_image", False):
        channels, height, width = value.shape
        size: Any = (width, height, channels)
        shape: tuple[int, ...] = (out, 1, 1)
    else:
        value = pen.flat(value)
        size, shape = value.size, (out,)
    own = {}
    if options.get("mask", False) and isinstance(size, int):
        own["mask"] = f"(torch.arange({out * size}) % 3 > 0).float().view({out}, {size})"
    block = _block(pen, "dense", "Dense", options, size, out, **own)
    return pen.let(f"{block}({value.name})", shape)


def _recurrent(pen: Pen, values: Sequence[Value], options: Options) -> Value:
    value = pen.flat(pen.spikes(values[0]))
    out = int(options.get("out", 4))
    block = _block(pen, "recurrent", "Recurrent", options, value.size, out)
    return pen.let(f"{block}({value.name})", (out,))


def _inhibition(pen: Pen, values: Sequence[Value], options: Options) -> Value:
    value = pen.flat(pen.spikes(values[0]))
    out = max(2, int(options.get("out", 4)))
    params = {name: x for name, x in dict(options.get("params", LIF)).items() if name not in _NOT_INHIBITED}
    own = {"strength": options["strength"]} if "strength" in options else {}
    fitting = {**options, "params": params, "library": "nn"}
    block = _block(pen, "inhibition", "LateralInhibition", fitting, value.size, out, **own)
    return pen.let(f"{block}({value.name})", (out,))


_NOT_INHIBITED = ("norm", "persistent_state")
"""What neurons that inhibit each other do not have."""


def _conv(pen: Pen, values: Sequence[Value], options: Options) -> Value:
    value = pen.spikes(values[0])
    if not value.is_image:
        return _dense(pen, values, options)
    own, shape = conv_options(value.shape, int(options.get("out", 4)), options)
    kernel = own.pop("kernel_size")
    block = _block(pen, "conv", "Conv", options, value.shape[0], shape[0], kernel, **own)
    return pen.let(f"{block}({value.name})", shape)


def _pool(pen: Pen, values: Sequence[Value], options: Options) -> Value:
    value = pen.spikes(values[0])
    if not value.is_image:
        return value
    wished = options.get("kernel", [2, 2])
    sides = value.shape[1:]
    kernel = tuple(
        max(k for k in range(1, n + 1) if n % k == 0 and k <= max(w, 1)) for n, w in zip(sides, wished, strict=True)
    )
    block = _block(pen, "pool", "Pool", options, kernel)
    return pen.let(f"{block}({value.name})", (value.shape[0], *(n // k for n, k in zip(sides, kernel, strict=True))))


def _flatten(pen: Pen, values: Sequence[Value], options: Options) -> Value:
    return pen.flat(pen.spikes(values[0]))


def _merge(pen: Pen, values: Sequence[Value], options: Options) -> Value:
    wishes = list(options.get("synapses", [{}]))
    concat = bool(options.get("concat", False))
    synapses: list[str] = []
    read: list[str] = []
    shape: tuple[int, ...] = ()
    for index, wish in enumerate(wishes):
        value = pen.spikes(values[index % len(values)])
        target = shape or None
        if target and concat:
            target = (int(wish.get("out", 4)), *shape[1:])
        written = write_synapse(pen, value, wish, target)
        if written is None:
            continue
        synapses.append(written[0])
        read.append(value.name)
        shape = (shape[0] + written[1][0], *shape[1:]) if shape and concat else written[1]
    own: dict[str, Any] = {"concat": True} if concat else {}
    own |= {"delay": True} if options.get("delay", False) else {}
    if "recurrent" in options:
        own["recurrent"] = write_recurrent(pen, shape, options["recurrent"])
    params = params_source(options.get("params", LIF), norm=False)
    block = pen.module("merge", call_source("nn.Merge", params, *synapses, **own), str(options.get("tag", "")))
    return pen.let(f"{block}({', '.join(read)})", shape)


def _residual(pen: Pen, values: Sequence[Value], options: Options) -> Value:
    value = pen.spikes(values[0])
    if not value.is_image:
        return value
    kind = "Bottleneck" if options.get("bottleneck", False) else "ResidualBlock"
    channels, stride = int(options.get("out", 4)), int(options.get("stride", 1))
    own = {name: options[name] for name in ("identity_norm",) if not options.get(name, True)}
    if options.get("gradient", "stbp") != "stbp":
        own["gradient"] = repr(options["gradient"])
    own |= {"stride": stride} if stride > 1 else {}
    source = call_source(f"nn.{kind}", params_source(options.get("params", LIF)), value.shape[0], channels, **own)
    block = pen.module("residual", source, str(options.get("tag", "")))
    sides = (-(-n // stride) for n in value.shape[1:])
    return pen.let(f"{block}({value.name})", (channels * (4 if kind == "Bottleneck" else 1), *sides))


def _current(pen: Pen, values: Sequence[Value], options: Options) -> Value:
    return _as_current(pen, values[0], options.get("synapse", {}), threshold=_threshold(pen, options))


def _as_current(pen: Pen, value: Value, wishes: Options, *, threshold: float, target: Any = None) -> Value:
    """A current that a synapse makes of spikes; one that is one already stays."""
    if value.kind == "current" and target in (None, value.shape):
        return value
    value = pen.spikes(value)
    written = write_synapse(pen, value, wishes, target, threshold)
    if written is None:
        return value
    return pen.let(f"nn.Current.of({written[0]}, {value.name})", written[1], "current")


def _threshold(pen: Pen, options: Options) -> float:
    """Of the neurons that a current is for, which the pen remembers."""
    pen.stream = options.get("params", pen.stream)
    return float(pen.stream["threshold"])


def _add(pen: Pen, values: Sequence[Value], options: Options) -> Value:
    """A sum of currents, or, with `beside`, their channels side by side."""
    threshold = _threshold(pen, options)
    total = _as_current(pen, values[0], options.get("synapse", {}), threshold=threshold)
    for value in values[1:]:
        target = total.shape
        if options.get("beside", False):
            target = (value.shape[0] if value.kind == "current" else int(options.get("out", 4)), *total.shape[1:])
        term = _as_current(pen, value, options.get("other_synapse", {}), threshold=threshold, target=target)
        if term.kind != "current":
            continue
        if options.get("beside", False):
            channels = total.shape[0] + term.shape[0]
            total = pen.let(f"{total.name}.beside({term.name})", (channels, *total.shape[1:]), "current")
        else:
            total = pen.let(f"{total.name} + {term.name}", total.shape, "current")
    return total


def _neurons(pen: Pen, values: Sequence[Value], options: Options) -> Value:
    return pen.spikes(values[0], options.get("params"))


def _mixer(pen: Pen, values: Sequence[Value], options: Options) -> Value:
    """A block of a Spiking Token Mixer, on a current of image shape."""
    params = options.get("params", LIF)
    value = values[0]
    if value.kind != "current":
        value = _as_current(
            pen, value, {**options.get("synapse", {}), "kind": "conv"}, threshold=_threshold(pen, options)
        )
    if not value.is_image:
        return value
    channels, height, width = value.shape
    own: dict[str, Any] = {"neurons": f"partial(nn.Neurons, {params_source(params, norm=False)})"}
    own["norm"] = norm_source(options.get("norm"), threshold=_threshold(pen, options))
    if options.get("over", "tokens") == "tokens":
        own |= {"tokens": height * width, "heads": gcd(int(options.get("heads", 1)), channels)}
        source = call_source("nn.TokenMixerBlock", channels, **own)
    else:
        source = call_source("nn.ChannelMixerBlock", channels, expansion=int(options.get("expansion", 2)), **own)
    block = pen.module("mixer", source, str(options.get("tag", "")))
    return pen.let(f"{block}({value.name})", value.shape, "current")


def _patches(pen: Pen, values: Sequence[Value], options: Options) -> Value:
    """Spiking patch splitting, as deep as the image's sides allow."""
    value = pen.spikes(values[0])
    common = gcd(*value.shape[1:]) if value.is_image else 1
    depth = max((d for d in range(6) if common % 2**d == 0 and d <= int(options.get("downsampling", 1))), default=0)
    if not depth:
        return _as_current(pen, value, options.get("synapse", {}), threshold=_threshold(pen, options))
    channels = 8 * int(options.get("eighths", 1))
    neurons = f"partial(nn.Neurons, {params_source(options.get('params', LIF), norm=False)})"
    norm = norm_source(options.get("norm"), threshold=_threshold(pen, options))
    own = {} if options.get("short_path", True) else {"short_path": False}
    source = call_source("nn.SpikingPatchSplitting", value.shape[0], channels, depth, neurons, norm, **own)
    block = pen.module("patches", source)
    return pen.let(f"{block}({value.name})", (channels, *(n >> depth for n in value.shape[1:])), "current")


def _readout(pen: Pen, values: Sequence[Value], options: Options) -> Value:
    value = _as_current(pen, values[0], options.get("synapse", {}), threshold=_threshold(pen, options))
    if value.kind != "current":
        return value
    n = int(options.get("out", 4))
    own: dict[str, Any] = {} if options.get("bias", True) else {"bias": False}
    if "leak" in options:
        own["voltage_decay"] = options["leak"]
    block = pen.module("readout", call_source("nn.LinearReadout", value.shape[0], n, **own))
    return pen.let(f"{block}({value.name})", (n,), "numbers")


WRITERS: dict[str, Writer] = {
    "dense": _dense,
    "conv": _conv,
    "pool": _pool,
    "recurrent": _recurrent,
    "inhibition": _inhibition,
    "flatten": _flatten,
    "merge": _merge,
    "residual": _residual,
    "current": _current,
    "add": _add,
    "neurons": _neurons,
    "mixer": _mixer,
    "patches": _patches,
    "readout": _readout,
}
"""The kinds of parts."""
