"""A population as Lava's LIF process."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.proc.lif.process import LIF, LIFReset

from pumice.ir import Cuba


def lif_process(population: Cuba) -> LIF:
    """LIF, or LIFReset where the population is reset; the process has the population's name."""
    parameters: dict[str, Any] = {
        "shape": population.shape,
        "du": _scalar_or_array(np.asarray(population.i_decay_q12) - 1),  # Lava's model adds 1
        "dv": _scalar_or_array(np.asarray(population.v_decay_q12)),
        "vth": int(population.vth_mant),
        "bias_mant": np.broadcast_to(np.asarray(population.bias_mant), population.shape),
        "bias_exp": population.bias_exp,
        "name": population.name,
    }
    if population.reset is None:
        return LIF(**parameters)
    return LIFReset(**parameters, reset_interval=population.reset.interval, reset_offset=population.reset.offset)


def _scalar_or_array(value: Any) -> Any:
    return int(value) if value.ndim == 0 else value.astype(np.int64)
