"""The files of `stock_defects.py`: by hand, each with one thing that stock netx gets wrong."""

import h5py
import numpy as np
from stock_cases import STEPS

from pumice.ir import Conv, Cuba, Dense, Graph, Input

NEURON = {"type": "CUBA", "iDecay": 1024, "vDecay": 128, "vThMant": 40, "refDelay": 1, "gradedSpike": False}


def layer(weight, kind=b"dense", **more):
    weight = np.asarray(weight, dtype=float)
    return {"type": np.array([kind]), "shape": [len(weight)], "weight": weight, "neuron": NEURON, **more}


def write(path, *layers):
    def put(group, fields):
        for key, value in fields.items():
            if isinstance(value, dict):
                put(group.create_group(key), value)
            else:
                group.create_dataset(key, data=value)

    with h5py.File(path, "w") as file:
        put(file, {"layer": {str(i): fields for i, fields in enumerate(layers)}})
    return path


def file_cases(folder):
    """name -> (file, stream, arguments, what was meant as a graph)."""
    rng = np.random.default_rng(3)
    a, b, c = (2 * rng.integers(-30, 61, shape) for shape in ((6, 6), (6, 6), (4, 6)))
    x = (rng.random((STEPS, 6)) < 0.4).astype(int)
    single = x * (x.cumsum(1) == 1)  # one spike in each step
    inhibiting = -rng.choice([2, 256], (4, 6))
    forgets = {**NEURON, "iDecay": 4096, "vDecay": 4096}  # one spike through -256 leaves exactly the threshold
    big = rng.integers(-500, 501, (3, 2, 3, 3))
    image = (rng.random((STEPS, 6, 5, 2)) < 0.3).astype(int)
    options = {"groups": 1, "stride": 1, "padding": 0, "dilation": 1}
    kinds = {"i_decay_q12": 1024, "v_decay_q12": 128}

    def chain(*weights, bias=0, **changes):
        names = [f"n{i}" for i in range(len(weights))]
        cells = tuple(
            Cuba(n, (len(w),), 40, bias_mant=bias, **{**kinds, **changes})
            for n, w in zip(names, weights, strict=True)
        )
        synapses = zip(["input", *names], names, weights, strict=False)
        return Graph(Input("input", (6,)), cells, tuple(Dense(s, t, weight=w) for s, t, w in synapses), (names[-1],))

    kernel = big.transpose(0, 3, 2, 1)
    wide = Graph(
        Input("input", (6, 5, 2)),
        (Cuba("n0", (4, 3, 3), 40, **kinds),),
        (Conv("input", "n0", weight=np.clip(kernel, -256, 254) // 2 * 2),),
        ("n0",),
    )
    fields = {**layer(big), "shape": [3, 3, 4], "type": np.array([b"conv"]), **options}
    small = 2 * rng.integers(-5, 11, (3, 2, 3, 3))
    shifted = wide.replace(synapses=(Conv("input", "n0", weight=8 * small.transpose(0, 3, 2, 1)),))
    scaled = {**fields, "weight": small.astype(float), "neuron": {**NEURON, "weight_exp": 3}}
    each = 2 * rng.integers(5, 25, (128, 1, 2, 2))  # depthwise
    channels = (rng.random((STEPS, 3, 3, 128)) < 0.3).astype(int)
    depthwise = Graph(
        Input("input", (3, 3, 128)),
        (Cuba("n0", (2, 2, 128), 40, **kinds),),
        (Conv("input", "n0", weight=each.transpose(0, 3, 2, 1), groups=128),),
        ("n0",),
    )
    grouped = {**layer(each), "shape": [128, 2, 2], "type": np.array([b"conv"]), **options, "groups": 128}
    excitatory = rng.integers(1, 301, (4, 6))
    return {
        "unknown layer type in the file": (
            write(folder / "unknown.net", layer(a), layer(b, b"mystery"), layer(c)), x, {}, chain(a, b, c)
        ),
        "inhibitory-only layer holding -256": (
            write(folder / "inhibitory.net", layer(inhibiting, bias=np.full(4, 296.0), neuron=forgets)), single, {},
            chain(inhibiting, bias=296, i_decay_q12=4096, v_decay_q12=4096),
        ),
        "conv weights beyond 8 bits (against the chip's range)": (
            write(folder / "wide.net", fields), image, {"input_shape": [6, 5, 2]}, wide
        ),
        "conv with a weight_exp": (
            write(folder / "scaled.net", scaled), image, {"input_shape": [6, 5, 2]}, shifted
        ),
        "conv with 128 groups (Lava holds 127)": (
            write(folder / "groups.net", grouped), channels, {"input_shape": [3, 3, 128]}, depthwise
        ),
        "excitatory weights beyond 255 (against the chip's range)": (
            write(folder / "excitatory.net", layer(excitatory)), x, {}, chain(np.minimum(excitatory, 255))
        ),
        "concat in the file (loud)": (
            write(folder / "concat.net", layer(a), layer(b, b"concat")), x, {}, chain(a, b)
        ),
        "messageBits in the file (loud)": (
            write(folder / "bits.net", layer(a, neuron={**NEURON, "messageBits": 8})), x, {}, chain(a)
        ),
    }  # fmt: skip
