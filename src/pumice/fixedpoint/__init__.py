"""THE integer arithmetic: every backend is compared with these functions, and these with Lava's models."""

from pumice.fixedpoint.bits import clip24, shift_toward_zero, to_int32, wrap24_accumulator, wrap24_once
from pumice.fixedpoint.cuba import CubaState, cuba_step, decay
from pumice.fixedpoint.resonator import ResonatorState, resonator_step
from pumice.fixedpoint.sigma_delta import DeltaState, delta_step, sigma_step
from pumice.fixedpoint.synapse import (
    conv_accumulate,
    conv_output_shape,
    conv_transpose_accumulate,
    conv_transpose_output_shape,
    dense_accumulate,
    sparse_accumulate,
    token_mixing_accumulate,
)
from pumice.fixedpoint.weights import WeightForm, stored_bits, weight_form

__all__ = [
    "CubaState",
    "DeltaState",
    "ResonatorState",
    "WeightForm",
    "clip24",
    "conv_accumulate",
    "conv_output_shape",
    "conv_transpose_accumulate",
    "conv_transpose_output_shape",
    "cuba_step",
    "decay",
    "delta_step",
    "dense_accumulate",
    "resonator_step",
    "shift_toward_zero",
    "sigma_step",
    "sparse_accumulate",
    "stored_bits",
    "to_int32",
    "token_mixing_accumulate",
    "weight_form",
    "wrap24_accumulator",
    "wrap24_once",
]
