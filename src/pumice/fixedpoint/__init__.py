"""THE integer arithmetic: every backend is compared with these functions, and these with Lava's models."""

from pumice.fixedpoint.bits import clip24, shift_toward_zero, to_int32, wrap24_accumulator, wrap24_once
from pumice.fixedpoint.cuba import CubaState, cuba_step, decay
from pumice.fixedpoint.synapse import conv_accumulate, conv_output_shape, dense_accumulate
from pumice.fixedpoint.weights import WeightForm, weight_form

__all__ = [
    "CubaState",
    "WeightForm",
    "clip24",
    "conv_accumulate",
    "conv_output_shape",
    "cuba_step",
    "decay",
    "dense_accumulate",
    "shift_toward_zero",
    "to_int32",
    "weight_form",
    "wrap24_accumulator",
    "wrap24_once",
]
