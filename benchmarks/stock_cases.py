"""The networks of `stock_defects.py`: random ones, each with one thing that stock lava-dl gets wrong."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from lava.lib.dl.slayer import block
from lava.lib.dl.slayer.neuron.norm import MeanOnlyBatchNorm, WgtScaleBatchNorm

STEPS = 60
LEAKY = {"threshold": 0.6, "current_decay": 0.3, "voltage_decay": 0.1}
RESONANT = {"threshold": 0.4, "period": 11.931, "decay": 0.00345}  # where stock rounds both decays wrong
ADAPTIVE = {**RESONANT, "threshold_step": 0.3, "threshold_decay": 0.2, "refractory_decay": 0.3}


@dataclass(frozen=True)
class Network:
    """A case: a network of SLAYER blocks, trained or not, exported by lava-dl.

    Attributes:
        build: Gives the blocks; its argument is SLAYER's `delay_shift`.
        x: Input of shape (batch, channels.., time).
        arguments: Of stock `netx.hdf5.Network`.
        through_file: pumice reads lava-dl's own file instead of lowering the network.
    """

    build: Callable[[bool], list[Any]]
    x: torch.Tensor
    arguments: dict[str, Any] = field(default_factory=dict)
    through_file: bool = False


def spikes(*shape: int, density: float = 0.3, samples: int = 2) -> torch.Tensor:
    return (torch.rand(samples, *shape, STEPS, generator=torch.Generator().manual_seed(1)) < density).float()


IMAGE = (2, 8, 8)


def dense(shift: bool, n_in: int = 10, n_out: int = 8, scale: float = 3, **options: Any) -> Any:
    params = {**LEAKY, **options.pop("params", {})}
    return block.cuba.Dense(params, n_in, n_out, weight_scale=scale, delay_shift=shift, **options)


def conv(shift: bool, n_in: int, n_out: int, **options: Any) -> Any:
    params = {**LEAKY, **options.pop("params", {})}
    return block.cuba.Conv(params, n_in, n_out, 3, weight_scale=3, delay_shift=shift, **options)


def constant(layer: Any, weight: float) -> Any:
    layer.synapse.weight.data[:] = weight
    return layer


def normed(kind: type) -> Callable[[bool], list[Any]]:
    return lambda s: [dense(s, 10, 16, params={"norm": kind}), dense(s, 16, 8, params={"norm": kind})]


def at_threshold(shift: bool) -> list[Any]:
    """A weight of 2 and a threshold of 64, no leak: the voltage meets the threshold exactly."""
    params = {"threshold": 64.0, "current_decay": 1.0, "voltage_decay": 0.0}
    return [constant(dense(shift, 20, 12, 1, params=params), 2.0)]


def current_wraps(shift: bool) -> list[Any]:
    params = {"threshold": 1000.0, "current_decay": 0.0, "voltage_decay": 0.0}
    return [constant(dense(shift, 300, 12, 1, params=params), 3.9)]


def voltage_clips(shift: bool) -> list[Any]:
    """Half of the inputs inhibit, the other half excite; see `INHIBITED_FIRST`."""
    params = {"threshold": 1000.0, "current_decay": 1.0, "voltage_decay": 0.0}
    layer = constant(dense(shift, 300, 12, 1, params=params), 3.9)
    layer.synapse.weight.data[:, :150] = -3.9
    return [layer]


def resonators(module: Any, params: dict[str, float]) -> Callable[[bool], list[Any]]:
    return lambda s: [
        module.Dense(dict(params), 10, 40, weight_scale=2, delay_shift=s),
        module.Dense(dict(params), 40, 20, weight_scale=2, delay_shift=s),
    ]


BINARY, PIXELS = spikes(10), spikes(*IMAGE)
MANY = spikes(300, density=0.9)
INHIBITED_FIRST = MANY.clone()
INHIBITED_FIRST[:, :150, STEPS // 2 :] = 0
INHIBITED_FIRST[:, 150:, : STEPS // 2] = 0

SILENT: dict[str, Network] = {
    "nothing unusual (control)": Network(lambda s: [dense(s, 10, 12), dense(s, 12, 8)], BINARY),
    "norm = WgtScaleBatchNorm": Network(normed(WgtScaleBatchNorm), BINARY),
    "norm = MeanOnlyBatchNorm, dense": Network(normed(MeanOnlyBatchNorm), BINARY),
    "norm = MeanOnlyBatchNorm, conv": Network(
        lambda s: [conv(s, 2, 4, params={"norm": MeanOnlyBatchNorm}), conv(s, 4, 4)],
        PIXELS,
        {"input_shape": IMAGE[::-1]},
    ),
    "conv with delays 0 to 7": Network(
        lambda s: [conv(s, 2, 4, delay=True), conv(s, 4, 4)], PIXELS, {"input_shape": IMAGE[::-1]}
    ),
    "recurrent with delays": Network(
        lambda s: [
            block.cuba.Recurrent(dict(LEAKY), 10, 10, weight_scale=3, delay_shift=s, delay=True),
            dense(s, 10, 8),
        ],
        BINARY,
    ),
    "dense with bias and delays": Network(
        lambda s: [dense(s, 10, 12, delay=True, params={"norm": MeanOnlyBatchNorm}), dense(s, 12, 8)],
        BINARY,
    ),
    "graded_spike = True": Network(
        lambda s: [dense(s, 10, 12, params={"graded_spike": True}), dense(s, 12, 8)], BINARY
    ),
    "ADRF": Network(resonators(block.adrf, ADAPTIVE), BINARY, through_file=True),
    "RF decays through the file": Network(resonators(block.rf, RESONANT), BINARY, through_file=True),
    "RF_IZ decays through the file": Network(resonators(block.rf_iz, RESONANT), BINARY, through_file=True),
    "threshold >= 64, voltage exactly there": Network(at_threshold, spikes(20)),
    "|u| beyond 24 bits (wraps)": Network(current_wraps, MANY),
    "|v| beyond 24 bits (clips)": Network(voltage_clips, INHIBITED_FIRST),
    "whole-number input, message bits 0": Network(
        lambda s: [dense(s, 10, 12), dense(s, 12, 8)], (BINARY * torch.arange(1, 11)[:, None]).float()
    ),
}

LOUD: dict[str, Callable[[], list[Any]]] = {
    "Pool": lambda: [block.cuba.Pool(dict(LEAKY), 2)],
    "ConvT": lambda: [block.cuba.ConvT(dict(LEAKY), 2, 2, 3)],
    "Unpool": lambda: [block.cuba.Unpool(dict(LEAKY), 2)],
    "Average": lambda: [block.cuba.Flatten(), block.cuba.Average(4)],
    "KWTA": lambda: [block.cuba.Flatten(), block.cuba.KWTA(dict(LEAKY), 128, 6, num_winners=2)],
    "ALIF": lambda: [
        block.cuba.Flatten(),
        block.alif.Dense({**LEAKY, "threshold_step": 0.1, "threshold_decay": 0.1, "refractory_decay": 0.1}, 128, 6),
    ],
    "ADRF_IZ (SLAYER's own forward pass)": lambda: [
        block.cuba.Flatten(),
        block.adrf_iz.Dense(dict(ADAPTIVE), 128, 6),
    ],
    "all-zero layer": lambda: [block.cuba.Flatten(), constant(dense(True, 128, 6), 0.0)],
    "count_log": lambda: [block.cuba.Flatten(), dense(True, 128, 6, count_log=True)],
}


def make(case: Network, shift: bool) -> Any:
    """The network, run once in training mode so that norms have statistics and delays exist."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(*case.build(shift))
    with torch.no_grad():
        for _ in range(3):
            model.train()(case.x)
    for module in model.modules():
        if getattr(module, "delay", None) is not None and hasattr(module.delay, "delay"):
            n = module.delay.delay.numel()
            module.delay.delay.data = torch.from_numpy(np.random.default_rng(0).permutation(n) % 8).float()
    return model.eval()
