"""The 32-bit loop against SLAYER's 64-bit integers: equal wherever it says that they sufficed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pumice.jit import njit
from pumice.nn.kernels import cuba, narrow
from pumice.nn.kernels.widths import in_narrowest

# ruff: noqa: PLR0917 -- compiled loops take their arrays by position
SCALE = np.float32(4096)


@njit()
def _round(x, y):
    for i in range(x.size):
        y.flat[i] = cuba.rounded(x.flat[i], SCALE, 1 / SCALE)


def rounded(x):
    y = np.empty_like(x)
    _round(x, y)
    return y


def leak(n, keep):
    product = n * keep
    return np.sign(product) * (np.abs(product) >> 12)


def definition(x, keep_u, keep_v, state, threshold, resets_at):
    """SLAYER's two leaky integrators, written down with NumPy's 64-bit integers."""
    n_u = n_v = (state * SCALE).astype(np.int64)
    u, v = np.empty_like(x), np.empty_like(x)
    for t in range(len(x)):
        n_u = leak(n_u, keep_u) + (x[t] * SCALE).astype(np.int64)
        u[t] = n_u.astype(np.float32) / SCALE
        n_v = leak(n_v, keep_v) + (u[t] * SCALE).astype(np.int64)
        v[t] = n_v.astype(np.float32) / SCALE
        n_v = np.where(n_v.astype(np.float32) >= resets_at, 0, n_v)
    return u, v, (v >= threshold).astype(np.float32)


def run(kernel, span, x, keeps, state, threshold, resets_at):
    u, v, s = (np.empty_like(x) for _ in range(3))
    states, left = (state, state), np.ones(x.shape[1], bool)
    kernel(*span, x, *keeps, *states, None, None, SCALE, threshold, resets_at, False, u, v, s, left)
    assert left.all() or not left.any()  # they are one block
    return not left.any(), (u, v, s)


def equal(ours, theirs):
    return all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**16),
    peak=st.sampled_from([1.0, 100.0, 3000.0, 1e5, 1e9]),
    shift=st.sampled_from([-1.0, 0.0]),
    threshold=st.sampled_from([-1.0, 0.5, 80.0, 5000.0]),
)
def test_states_and_spikes_are_the_definitions(seed, peak, shift, threshold):
    g = np.random.default_rng(seed)
    x = (peak * (g.standard_normal((40, 21)) + shift)).astype(np.float32)
    keeps = g.integers(-41, 4097 + 41, (2, 7))  # decays around 0 and 1 are drawn beyond them, by up to 1 %
    state = g.standard_normal(21).astype(np.float32)
    threshold = np.float32(threshold + 0.01 / SCALE)
    resets_at = threshold * SCALE if threshold > 0 else np.float32(np.inf)
    wanted = definition(x, *(np.tile(keep, 3) for keep in keeps), state, threshold, resets_at)
    narrow_enough, found = run(narrow.cuba_forward, (0, 21), x, keeps, state, threshold, resets_at)
    assert equal(found, wanted) or not narrow_enough
    assert narrow_enough or peak > 1 or threshold > 4095
    assert equal(run(cuba.cuba_forward, (0, 21), x, keeps, state, threshold, resets_at)[1], wanted)


@pytest.mark.parametrize(
    ("x", "keep_v", "fits"),
    [
        (4095.0, 0, True),
        (4096.0, 0, False),  # a current of 2^24
        (-4096.0, 0, True),  # -2^24 is a float32, too
        (-4097.0, 0, False),
        (-3900.0, 4096, True),
        (-4095.0, 4096, False),  # a voltage below -2^30, after 66 steps
        (3e9, 0, False),  # beyond 32 bits
        (np.nan, 0, False),
        (np.inf, 0, False),
    ],
)
def test_it_says_where_32_bits_do_not_suffice(x, keep_v, fits):
    inputs, state = np.full((66, 1), x, np.float32), np.zeros(1, np.float32)
    keeps = np.zeros(1, np.int64), np.full(1, keep_v)
    narrow_enough, _ = run(narrow.cuba_forward, (0, 1), inputs, keeps, state, np.float32(1), SCALE)
    assert narrow_enough == fits


@pytest.mark.parametrize("wide", [slice(0), slice(None), slice(5, 6)], ids=["32 bits", "64 bits", "one neuron"])
@pytest.mark.parametrize("neurons", [21, 2100])
def test_an_affine_current_is_the_one_computed_before(wide, neurons):
    """2100 neurons are several blocks, which 7 channels do not divide."""
    g = np.random.default_rng(0)
    x, state = g.standard_normal((12, neurons)).astype(np.float32), np.zeros(neurons, np.float32)
    x[:, wide] *= 3e4
    gain, offset = g.standard_normal((2, 7)).astype(np.float32)
    rounded = np.trunc(x * SCALE) / SCALE
    current = rounded * np.tile(gain, neurons // 7) + np.tile(offset, neurons // 7)
    keep = g.integers(-41, 4097 + 41, 7)
    seen = []
    for in_64_bits in (False, True):
        for inputs, rest, affine in (
            (x, None, (gain, offset)),
            (rounded, state, (gain, offset)),
            (current, state, (None, None)),
        ):
            v, s = np.empty_like(x), np.empty_like(x)
            numbers = SCALE, np.float32(0.5), np.float32(0.5) * SCALE, False
            args = inputs, None, keep, None, rest, *affine, *numbers, None, v, s
            if in_64_bits:
                cuba.cuba_forward(0, neurons, *args, np.ones(neurons, bool))
            else:
                in_narrowest(narrow.cuba_forward, cuba.cuba_forward, neurons, SCALE, *args)
            seen.append((v, s))
    assert all(equal(seen[0], other) for other in seen[1:])
    assert 0 < seen[0][1].mean() < 1


def test_64_bits_are_for_blocks_that_need_them():
    """And for a scale that is no power of two."""
    seen = []

    def wide(start, stop, x, left):
        seen.append(left.tolist())

    def narrow_but_one(start, stop, x, left):
        left[start:stop] = np.arange(start, stop) == x

    for x, scale in ((2, 64.0), (9, 64.0), (9, 63.0)):
        in_narrowest(narrow_but_one, wide, 4, scale, x)
    assert seen == [[False, False, True, False], [True] * 4]


@pytest.mark.parametrize("leaks", [True, False])
@pytest.mark.parametrize(("peak", "fits"), [(100.0, True), (4000.0, False), (np.nan, False), (1e12, False)])
def test_the_integrator_is_the_definition(peak, fits, leaks):
    g = np.random.default_rng(0)
    x, state = (peak * g.standard_normal((40, 21))).astype(np.float32), g.standard_normal(21).astype(np.float32)
    keep = g.integers(3000, 4097, 7) * leaks
    y, both = np.empty_like(x), np.empty_like(x)
    left = np.zeros(21, bool)
    narrow.integrate_forward(0, 21, x, keep, state, SCALE, y, left)
    assert (not left.any()) == fits
    cuba.integrate_forward(0, 21, x, keep, state, SCALE, both, np.ones(21, bool))
    if np.isnan(peak):
        assert np.isnan(both).all()
        return
    n = (state * SCALE).astype(np.int64)
    for t in range(40):
        n = leak(n, np.tile(keep, 3)) + (x[t] * SCALE).astype(np.int64)
        assert np.array_equal(both[t], n.astype(np.float32) / SCALE)
        assert np.array_equal(y[t], both[t]) or not fits


def test_a_current_of_which_nothing_is_kept_is_its_input_rounded():
    edges = [2.0**12, 2.0**19, 2.0**40, 2.0**51, 1e38, np.inf, np.nan, 1 / 4096, 2.0**-13, 0.0]
    g = np.random.default_rng(0)
    ends = np.nextafter(np.float32(edges), np.float32(0))
    x = np.concatenate([np.float32(edges), ends, (100 * g.standard_normal(200)).astype(np.float32)])
    x = np.stack([x, -x])[:, np.newaxis]  # two steps would hand on what is NaN
    for one in x:
        wanted, rest, keep = np.empty_like(one), np.zeros(len(one[0]), np.float32), np.zeros(1, np.int64)
        cuba.integrate_forward(0, len(rest), one, keep, rest, SCALE, wanted, np.ones(len(rest), bool))
        found = rounded(one)
        np.testing.assert_array_equal(found, wanted)
        np.testing.assert_array_equal(rounded(found), wanted)
    assert np.isnan(wanted).sum() == 7  # 2^63 and beyond
