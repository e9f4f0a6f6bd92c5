"""`pumice.nn.from_nir`: a network of another simulator as blocks that train through their rounding."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from pumice.nir.importing import checked_data, input_scale_of
from pumice.nir.in_memory import NirSource
from pumice.nir.layers import read_network
from pumice.nir.maps import image_shape
from pumice.nir.neurons import Decay, check_arguments
from pumice.nir.reader import read_nir
from pumice.nir.simulation import simulate
from pumice.quantization.quantize import plan
from pumice.quantization.switch import apply
from pumice.train.nir_network import NirNetwork

EXAMPLE_STEPS = 8


def from_nir(
    source: NirSource,
    *,
    dt: float = 1e-4,
    decay: Decay = "euler",
    reset: str = "hard",
    input_range: tuple[int, int] = (0, 1),
    input_scale: float = 1.0,
    calibrate: Any = None,
    surrogate: Any = None,
) -> NirNetwork:
    r"""Read a NIR file (Pedersen et al., Nature Communications 2024) as a quantized model that trains.

    Each layer of neurons becomes a `pumice.nn.Merge` whose threshold is 1, with weights in thresholds, and then the
    chip's integers: S integers per threshold, weights :math:`w_\text{int} = 2 \, \mathrm{round}(S w / 2)`, of which
    the gradient passes straight through the rounding (`pumice.quantize_`). Training wins back what rounding lost;
    `pumice.lower` gives the graph.

    Before training the graph has the integers of ``pumice.from_nir(source, ...)`` with three exceptions: where that
    graph needs an exponent that a block lacks, whole weights that are odd, or a bias of more than 4095 integers, this
    one's scale S is another, by powers of 2; other odd weights are rounded to even; and biases are whole numbers of
    1 / S thresholds here, of 1 / (64 S) there. Filtered biases (of a
    CubaLIF) are weights of a neuron that fires in each step, which train, too.

    Args:
        source: The file's path, or a `nir.NIRGraph`.
        dt: Time step, in the unit of the file's time constants.
        decay: How a time constant becomes a decay, see `pumice.from_nir`.
        reset: As there; only "hard".
        input_range: Smallest and largest integer that enters.
        input_scale: Integers per unit of the file's input.
        calibrate: The user's own data as there, (n, T, *shape) or (T, *shape): voltages bound the scales, and
            read-outs are scaled by it. Random spikes if not given.
        surrogate: Of all neurons, a `pumice.nn.surrogate` or its name; SLAYER's exponential if not given.

    Shape:
        (batch, *input shape, time) -> (batch, *output shape, time): time is last here, as in all blocks; (C, L)
        enters as (C, 1, L).

    Raises:
        FileFormatError: As `pumice.from_nir`; or a layer has no block that trains: matrices into images, delays of
            the input or of different length into different layers, decays and biases that differ within a channel,
            a v_leak other than v_reset behind a tau_syn, read-outs whose current has a memory.
        InputError: An argument does not fit.
        LoweringError: A bias or threshold does not fit the chip.

    Example:
        >>> from_nir("network.nir", reset="subtract")
        Traceback (most recent call last):
        ...
        pumice.errors.InputError: reset must be 'hard', got 'subtract': the chip's neurons are set to 0 when they ...
    """
    check_arguments(dt, decay, reset)
    dt = float(dt)
    entering = input_scale_of(input_range, input_scale)
    network = read_network(read_nir(source), dt, decay)
    low, high = entering.low, entering.high
    if calibrate is None:
        shape = (2, EXAMPLE_STEPS, *network.input_shape)
        integers = np.random.default_rng(0).integers(low, high + 1, shape)
        v_low: dict[str, float] = {}
    else:
        data = checked_data(calibrate, network, entering)
        integers = np.rint(data * entering.scale)
        v_low = {name: found.v_low for name, found in simulate(network, integers / entering.scale).items()}
    model = NirNetwork(network, entering, v_low, surrogate)
    example = torch.tensor(integers.reshape(*integers.shape[:2], *image_shape(network.input_shape)))
    # Not quantize_, which compares with SLAYER's arithmetic: these weights were never trained in it.
    apply(model, plan(model, example.movedim(1, -1).float(), input_range=(low, high)))
    return model
