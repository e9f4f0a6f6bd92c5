"""Random options of neurons, blocks and synapses: mostly what networks have, sometimes what nobody would choose."""

from __future__ import annotations

from typing import Any

from pumice.nn.surrogate import SURROGATES
from pumice.testing.values import Rng, one_in, pick

Drawn = dict[str, Any]


def real(rng: Rng, low: float, high: float) -> float:
    """A number with few digits, so that scripts can be read."""
    return round(float(rng.uniform(low, high)), 3)


def whole(rng: Rng, low: int, high: int) -> int:
    """A whole number, both ends included."""
    return int(rng.integers(low, high + 1))


def pair(rng: Rng, choices: list[int]) -> list[int]:
    """(height, width), as a list; often both alike."""
    first = int(pick(rng, choices))
    return [first, first if one_in(rng, 2) else int(pick(rng, choices))]


def _decay(rng: Rng) -> float:
    """As a multiple of 1/4096, often one of the ends."""
    return pick(rng, [0, 1, 4095, 4096, 4096, 2048, 1024, whole(rng, 0, 4096), whole(rng, 0, 4096)]) / 4096


def threshold(rng: Rng) -> float:
    """Mostly near 1; sometimes the smallest, or a large one."""
    kind = whole(rng, 0, 19)
    if kind == 0:
        return whole(rng, 1, 3) / 64
    if kind in {1, 2}:
        return pick(rng, [8.0, 63.984375, 64.0, 100.0])
    return pick(rng, [0.25, 0.5, 0.5, 1.0, 1.25, real(rng, 0.1, 2)])


def neuron(rng: Rng, norms: list[str | None]) -> Drawn:
    """SLAYER's dictionary.

    Args:
        rng: Source of randomness.
        norms: What the norm is chosen from.
    """
    params: Drawn = {
        "threshold": threshold(rng),
        "current_decay": 1.0 if one_in(rng, 2) else _decay(rng),
        "voltage_decay": _decay(rng),
    }
    norm = pick(rng, norms)
    if norm is not None:
        params["norm"] = norm
    if one_in(rng, 5):
        params["surrogate"] = pick(rng, sorted(SURROGATES))
    if one_in(rng, 8):
        params["shared_param"] = False
        for name in ("current_decay", "voltage_decay"):
            if one_in(rng, 2):
                params[name] = sorted([_decay(rng), _decay(rng)])
    if one_in(rng, 10):
        params["requires_grad"] = True
    if one_in(rng, 80):
        params["persistent_state"] = True
    if one_in(rng, 20):
        params |= {"tau_grad": real(rng, 0.1, 2), "scale_grad": real(rng, 0.5, 3)}
    return params


def neuron_of_synapses(rng: Rng) -> Drawn:
    """SLAYER's dictionary where synapses may have norms, which need a current without memory."""
    params = neuron(rng, [None])
    if rng.integers(12):
        params["current_decay"] = 1.0
    return params


def scale(rng: Rng) -> float:
    """Of a block's initial weights: what makes it fire, mostly."""
    return pick(rng, [1, 3.0, 6.0, 6.0, 12.0, real(rng, 1, 20), 200.0 if one_in(rng, 3) else 4.0])


def conv(rng: Rng) -> Drawn:
    """Kernel, stride and the like."""
    drawn: Drawn = {"kernel": pair(rng, [1, 2, 3, 3, 3, 4])}
    if one_in(rng, 3):
        drawn["stride"] = pair(rng, [1, 2, 2, 3, 4])
    if not one_in(rng, 3):
        drawn["padding"] = pair(rng, [0, 1, 1, 2])
    if one_in(rng, 5):
        drawn["dilation"] = pair(rng, [1, 2, 3])
    if one_in(rng, 4):
        drawn["groups"] = whole(rng, 2, 8)
    return drawn


def block(rng: Rng) -> Drawn:
    """What SLAYER's blocks have in common."""
    lava_dl = one_in(rng, 5)
    plain = [None, None, "MeanOnlyBatchNorm", "WgtScaleBatchNorm"]
    drawn: Drawn = {"scale": scale(rng), "params": neuron(rng, [*plain, "TDBN", "TDBN", "BiasFreeNorm"])}
    if lava_dl:
        drawn["library"] = "lava-dl"
        drawn["delay_shift"] = one_in(rng, 4)
    if one_in(rng, 8):
        drawn["weight_norm"] = True
    if one_in(rng, 8):
        drawn["delay"] = True
    return drawn


def synapse(rng: Rng, *, image: bool, tags: bool = True) -> Drawn:
    """One of the synapses that are used on images, or on rows of neurons."""
    of_images = ["conv", "conv", "conv", "identity", "one-to-one", "mixing", "linear", "convt", "upsample"]
    kind = pick(rng, of_images if image else ["dense", "dense", "identity", "one-to-one", "linear"])
    drawn: Drawn = {"kind": kind, "out": pick(rng, [1, 2, 3, 4, 4, 8])}
    if kind == "conv":
        drawn |= conv(rng)
    if kind == "convt":
        choices = {"kernel": [1, 2, 2, 3], "stride": [1, 2, 2, 3], "dilation": [1, 1, 2], "padding": [0, 0, 1]}
        drawn |= {name: pair(rng, few) for name, few in {**choices, "output_padding": [0, 0, 1]}.items()}
        drawn["groups"] = whole(rng, 1, 4)
    if kind == "upsample":
        drawn["factor"] = pair(rng, [1, 2, 2, 3])
    if kind == "mixing":
        drawn["heads"] = whole(rng, 1, 4)
    norm = pick(rng, [None, "TDBN", "TDBN", "BiasFreeNorm"])
    if norm is not None:
        drawn["norm"] = norm
        if one_in(rng, 2):
            drawn["alpha"] = pick(rng, [0.7, 1.0, 0.5])
    if tags and one_in(rng, 5):
        drawn["tag"] = "tied"
    return drawn
