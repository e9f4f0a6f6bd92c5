"""A population as one of Lava's neuron processes."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.process.ports.ports import InPort
from lava.magma.core.process.process import AbstractProcess
from lava.proc.lif.process import LIF, LIFReset
from lava.proc.rf.process import RF
from lava.proc.rf_iz.process import RF_IZ
from lava.proc.sdn.process import ActivationMode, Delta, Sigma, SigmaDelta

from pumice import ir
from pumice.errors import BackendError
from pumice.fixedpoint.formats import NEVER_FIRES_VTH_MANT
from pumice.ir.kinds import rule_for


def neuron_process(population: ir.Population) -> AbstractProcess:
    """The Lava process that computes a population; it has the population's name.

    CUBA neurons are a `LIF`, or a `LIFReset` where they are reset; an accumulator is one that cannot fire, so its
    value is its variable `v`. Its other states, too, are variables that are called as in `Population.states`.

    Args:
        population: Of any kind.

    Raises:
        BackendError: The kind is unknown here.
    """
    process: AbstractProcess = rule_for(_KINDS, population, "Lava's processes", BackendError)(population)
    process.name = population.name
    return process


def current_port(process: AbstractProcess, part: str) -> InPort:
    """Where the synapses end that drive the "real" or the "imag" part."""
    return getattr(process, f"a_{part}_in") if isinstance(process, RF) else process.a_in


def _lif(p: ir.Cuba | ir.Accumulator) -> AbstractProcess:
    parameters: dict[str, Any] = {
        "shape": p.shape,
        "du": _scalar_or_array(np.asarray(p.i_decay_q12) - 1),  # Lava's model adds 1
        "dv": _scalar_or_array(np.asarray(p.v_decay_q12)),
        "vth": int(p.vth_mant) if isinstance(p, ir.Cuba) else NEVER_FIRES_VTH_MANT,
        "bias_mant": np.broadcast_to(np.asarray(p.bias_mant), p.shape),
        "bias_exp": p.bias_exp,
    }
    if p.reset is None:
        return LIF(**parameters)
    return LIFReset(**parameters, reset_interval=p.reset.interval, reset_offset=p.reset.offset)


def _scalar_or_array(value: Any) -> Any:
    return int(value) if value.ndim == 0 else value.astype(np.int64)


def _sigma(p: ir.Sigma) -> AbstractProcess:
    return Sigma(shape=p.shape)


def _delta(p: ir.Delta) -> AbstractProcess:
    process = Delta(shape=p.shape, vth=0, cum_error=p.cum_error, spike_exp=p.spike_exp, state_exp=p.state_exp)
    process.vth.init = int(p.vth)  # the constructor would scale it once more
    return process


def _sigma_delta(p: ir.SigmaDelta) -> AbstractProcess:
    process = SigmaDelta(
        shape=p.shape,
        vth=0,
        act_mode=ActivationMode.RELU if p.relu else ActivationMode.UNIT,
        cum_error=p.cum_error,
        spike_exp=p.spike_exp,
        state_exp=p.state_exp,
    )
    process.vth.init = int(p.vth)
    process.bias.init = np.broadcast_to(np.asarray(p.bias, dtype=np.int32), p.shape)
    return process


def _resonator(p: ir.Resonator) -> AbstractProcess:
    process = (RF_IZ if p.izhikevich else RF)(
        shape=p.shape, period=1.0, alpha=1.0, state_exp=p.state_exp, decay_bits=p.decay_bits
    )
    # The constructor takes periods and truncates what follows from them; the model takes these integers as they are.
    process.sin_decay.init = _scalar_or_array(np.asarray(p.sin_decay))
    process.cos_decay.init = _scalar_or_array(np.asarray(p.cos_decay))
    process.vth.init = int(p.vth)
    return process


_KINDS: dict[type[ir.Population], Any] = {
    ir.Cuba: _lif,
    ir.Accumulator: _lif,
    ir.Sigma: _sigma,
    ir.Delta: _delta,
    ir.SigmaDelta: _sigma_delta,
    ir.Resonator: _resonator,
}
