"""The battery finds what it is there for: a copy of the reference with any one defect fails it."""

from contextlib import ExitStack
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest

from pumice.backends.reference import ReferenceBackend, neurons, synapses
from pumice.fixedpoint import CubaState, clip24, cuba, synapse, to_int32
from pumice.ir import Conv, ConvTranspose, Cuba, Dense, Sparse, TokenMixing
from pumice.ir.populations import SigmaDelta, leaky, resonator, sigma_delta
from pumice.ir.reset import Reset
from pumice.ir.synapses import conv, dense
from tests.unit.testing.planted import battery_of, failures


class Defective(ReferenceBackend):
    """The reference with functions replaced, or the graph changed, for the time of a run."""

    def __init__(self, patches=(), change=None):
        self._patches, self._change = patches, change

    def _run(self, graph, x, record):
        with ExitStack() as stack:
            for place, name, wrong in self._patches:
                stack.enter_context(patch.object(place, name, wrong))
            if self._change is not None:
                changed = tuple(self._change(s) for s in graph.synapses)
                graph = graph.replace(synapses=changed)
            return super()._run(graph, x, record)


def replaced(place, name, wrong):
    return lambda: Defective([(place, name, wrong)])


def changed(change):
    return lambda: Defective(change=change)


def fires_at_threshold(state, activation, *, vth_mant, **parameters):
    _, after = cuba.cuba_step(state, activation, vth_mant=2**30, **parameters)
    spikes = after.v >= np.asarray(vth_mant) << 6
    return spikes, CubaState(after.u, np.where(spikes, 0, after.v))


def one_more(field):
    return lambda s: replace(s, **{field: np.asarray(getattr(s, field)) + 1}) if np.any(getattr(s, field, 0)) else s


def only(kind, change):
    return lambda s: change(s) if isinstance(s, kind) else s


def reaches_all(state, activation, *, vth_mant, **parameters):
    return cuba.cuba_step(state, activation, vth_mant=min(vth_mant, 2**17 - 1), **parameters)


def first_block(self, states, activation):
    """Computes 2,048 neurons at a time, and no rest."""
    sent, after = CUBA(self, states, activation)
    rest = np.arange(self.size).reshape(self.shape) >= 2048
    return np.where(rest, 0, sent).astype(np.int32), after


APPLIES, RESONATE = Reset.applies, resonator.resonator_step
DELTA, SIGMA = sigma_delta.delta_step, sigma_delta.sigma_step
CUBA, BIAS = Cuba.step, leaky.effective_bias
FLATTEN, CONV = dense.flatten_whc, conv.conv_accumulate


def stale_reset(self, t, activation):
    """Resets after the step instead of before it."""
    sent = STEP(self, t, activation)
    if self.population.reset is not None and self.population.reset.applies(t):
        self.clear()
    return sent


STEP, SIGMA_DELTA = neurons.Neurons.step, SigmaDelta.step


def wrong_stride(weight, spikes, *, stride, **options):
    if stride == (2, 1):  # (1, 2) gives another shape; the kernel's position is what goes wrong
        return np.roll(CONV(weight, spikes, stride=stride, **options), 1, axis=0)
    return CONV(weight, spikes, stride=stride, **options)


def turns_backwards(*arguments, sin_decay, **parameters):
    return RESONATE(*arguments, sin_decay=-np.asarray(sin_decay), **parameters)


def linear_sigma_delta(self, states, activation):
    return SIGMA_DELTA(replace(self, relu=False), states, activation)


def last_wins(s):
    """Of two weights at one place, as in a matrix that is filled entry by entry."""
    places = {place: i for i, place in enumerate(zip(s.rows.tolist(), s.columns.tolist(), strict=True))}
    kept = sorted(places.values())
    delays = np.broadcast_to(s.delay_steps, s.rows.shape)[kept]
    return replace(s, rows=s.rows[kept], columns=s.columns[kept], values=s.values[kept], delay_steps=delays)


def narrow(field, low, high):
    return lambda s: replace(s, **{field: np.clip(getattr(s, field), low, high)})


DEFECTS = {
    "rounds down": (replaced(cuba, "shift_toward_zero", lambda v, n: np.asarray(v, np.int64) >> n), "cuba_decays"),
    "fires at the threshold": (replaced(leaky, "cuba_step", fires_at_threshold), "exactly"),
    "late reset": (replaced(Reset, "applies", lambda r, t: APPLIES(r, t - 1)), "cuba_reset"),
    "no reset": (replaced(Reset, "applies", lambda r, t: False), "accumulator_reset"),
    "reset after the step": (replaced(neurons.Neurons, "step", stale_reset), "cuba_reset"),
    "no bias": (replaced(leaky, "effective_bias", lambda mant, exp: 0), "cuba_bias"),
    "bias without exponent": (replaced(leaky, "effective_bias", lambda mant, _: mant), "cuba_bias_exp_7"),
    "u clips": (replaced(cuba, "wrap24_once", clip24), "dense_plain"),
    "v does not clip": (replaced(cuba, "clip24", to_int32), "accumulator"),
    "convolution does not wrap": (replaced(synapse, "wrap24_accumulator", to_int32), "conv_plain"),
    "graded as spikes": (replaced(synapses, "_values", lambda s, v: (v != 0).astype(np.int32)), "conv_plain"),
    "spikes as graded": (replaced(synapses, "_values", lambda s, v: v), "conv_plain"),
    "flattens x first": (
        replaced(dense, "flatten_whc", lambda v: v.reshape(-1) if v.ndim == 3 else v),
        "dense_plain",
    ),
    "swapped x/y in the flattening": (
        replaced(dense, "flatten_whc", lambda v: FLATTEN(v.transpose(1, 0, 2)) if v.ndim == 3 else v),
        "dense_plain",
    ),
    "swapped stride": (
        replaced(conv, "conv_accumulate", wrong_stride),
        "conv_stride",
    ),
    "flipped kernel": (changed(only(Conv, lambda s: replace(s, weight=s.weight[:, ::-1, ::-1]))), "conv_plain"),
    "heads swapped": (changed(only(TokenMixing, lambda s: replace(s, weight=s.weight[::-1]))), "token_mixing_plain"),
    "mixing transposed": (
        changed(only(TokenMixing, lambda s: replace(s, weight=s.weight.swapaxes(1, 2)))),
        "token_mixing_plain",
    ),
    "no weight exponent": (
        changed(lambda s: replace(s, weight_exp=0) if hasattr(s, "weight_exp") else s),
        "dense_weight_exp",
    ),
    "one step more delay": (
        changed(lambda s: s if s.max_delay_steps == 62 else one_more("delay_steps")(s)),
        "conv_one_delay",
    ),
    "one step less balance": (
        changed(lambda s: replace(s, balance_steps=max(0, s.balance_steps - 1))),
        "diamond",
    ),
    "balance forgotten on token mixing": (
        changed(only(TokenMixing, lambda s: replace(s, balance_steps=0))),
        "token_mixing_balance",
    ),
    "no delay on convolutions": (changed(only(Conv, lambda s: replace(s, delay_steps=0))), "conv_delays"),
    "no delay on recurrent synapses": (
        changed(lambda s: replace(s, delay_steps=0) if s.is_recurrent else s),
        "recurrent",
    ),
    "one delay for all sources": (
        changed(only(Dense, lambda s: replace(s, delay_steps=int(np.max(s.delay_steps))))),
        "dense_delays",
    ),
    "wrong channels": (
        changed(
            lambda s: replace(s, target_channels=tuple(n - 1 for n in s.target_channels))
            if s.target_channels and s.target_channels[0]
            else s
        ),
        "concat",
    ),
    "8-bit weights": (
        changed(only(Dense, lambda s: replace(s, weight=np.maximum(s.weight, -255)))),
        "weights_extreme",
    ),
    "kernels of 9 bits": (changed(only(Conv, narrow("weight", -256, 255))), "conv_16_bits"),
    "biases of 13 bits": (
        replaced(leaky, "effective_bias", lambda mant, exp: BIAS(np.clip(mant, -4096, 4095), exp)),
        "cuba_bias_16_bits",
    ),
    "exponents of 2 bits": (
        changed(lambda s: replace(s, weight_exp=s.weight_exp & 3) if hasattr(s, "weight_exp") else s),
        "dense_weight_exp_7",
    ),
    "a threshold out of reach is reached": (replaced(leaky, "cuba_step", reaches_all), "cuba_unreachable"),
    "transposed kernel flipped": (
        changed(only(ConvTranspose, lambda s: replace(s, weight=s.weight[:, ::-1, ::-1]))),
        "conv_transpose_plain",
    ),
    "no delay on transposed convolutions": (
        changed(only(ConvTranspose, lambda s: replace(s, delay_steps=0))),
        "conv_transpose_delays",
    ),
    "last weight of a place wins": (changed(only(Sparse, last_wins)), "sparse_twice_at_one_place"),
    "balance ends at 61 steps": (
        changed(
            lambda s: replace(s, balance_steps=max(0, s.balance_steps - (s.max_delay_steps + s.balance_steps == 62)))
        ),
        "sparse_longest_with_balance",
    ),
    "neurons beyond the last block": (replaced(Cuba, "step", first_block), "wide"),
    "first row missing": (changed(only(Sparse, lambda s: replace(s, values=s.values * (s.rows > 0)))), "sparse"),
    "no relu": (
        replaced(SigmaDelta, "step", linear_sigma_delta),
        "sigma_delta_6_6",
    ),
    "no residue": (
        replaced(sigma_delta, "delta_step", lambda s, a, **k: DELTA(s._replace(residue=s.residue * 0), a, **k)),
        "delta_6_6",
    ),
    "no summed-up error": (
        replaced(sigma_delta, "delta_step", lambda s, a, **k: DELTA(s, a, vth=k["vth"])),
        "delta_6_6_cumulative",
    ),
    "sigma forgets": (replaced(sigma_delta, "sigma_step", lambda s, a: SIGMA(s * 0, a)), "sigma_image"),
    "resonator turns backwards": (
        replaced(resonator, "resonator_step", turns_backwards),
        "resonator",
    ),
    "resonator without imaginary input": (
        replaced(resonator, "resonator_step", lambda s, re, im, **k: RESONATE(s, re, im * 0, **k)),
        "resonator",
    ),
    "both resonators one": (
        replaced(resonator, "resonator_step", lambda *a, **k: RESONATE(*a, **{**k, "izhikevich": False})),
        "resonator_izhikevich",
    ),
}  # fmt: skip


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_planted_defect_is_found(defect):
    make, case = DEFECTS[defect]
    found = failures(battery_of(make), "test_equals_the_reference", case)
    message = next(m for m in found.values() if f"\n  {case}" in m)
    assert "population " in message
    assert "expected " in message


def test_the_battery_passes_without_a_defect():
    assert failures(battery_of(Defective)) == {}
