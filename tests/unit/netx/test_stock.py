"""The rules in `stock` against the very functions of lava-dl and lava that they describe."""

import contextlib
import importlib.util
import io
import warnings
from pathlib import Path

import numpy as np
import pytest

from pumice.netx.stock import lava_weights, stock_form, stock_weights


def module(path):
    """A file of the installed stack alone, without importing the packages around it."""
    root = importlib.util.find_spec("lava")
    if root is None:
        pytest.skip("lava-dl is not installed")
    for place in root.submodule_search_locations:
        if (Path(place) / path).exists():
            spec = importlib.util.spec_from_file_location(f"stock_{Path(path).stem}", Path(place) / path)
            found = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(found)
            return found
    pytest.skip("lava-dl is not installed")


def random_matrix(rng):
    edges = [0, 1, 2, 3, 64, 127, 128, 200, 254, 255, 256, 300, 1000]
    low, high = -int(rng.choice(edges)), int(rng.choice(edges))
    sign = rng.integers(3)
    low, high = (0 if sign == 1 else low), (-int(rng.integers(2)) if sign == 2 else high)
    w = rng.integers(min(low, high), high + 1, size=rng.integers(1, 4, 2))
    return w // rng.choice([1, 2, 32]) * rng.choice([1, 2, 32])


def test_equal_to_the_stack_itself(rng):
    netx, process = module("lib/dl/netx/utils.py"), module("utils/weightutils.py")
    changed = 0
    for _ in range(1500):
        w = random_matrix(rng)
        if not w.any():
            continue
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            shifted, bits, exponent, _ = netx.optimize_weight_bits(w)
        form = stock_form(w)
        np.testing.assert_array_equal(form.shifted, shifted)
        assert (form.num_weight_bits, form.scale_bits) == (bits, -exponent)
        mode = process.determine_sign_mode(shifted)
        acting = process.truncate_weights(process.clip_weights(shifted, mode, num_bits=8), mode, bits)
        np.testing.assert_array_equal(lava_weights(form.shifted, bits), acting)
        found = stock_weights(w)
        changed += found is None or not np.array_equal(found[0], w)
    assert changed > 200


@pytest.mark.parametrize(
    ("weight", "acting"),
    [
        ([[-256, 254]], [[-256, 254]]),
        ([[-200, 3]], [[-200, 3]]),
        ([[0, 255]], [[0, 255]]),
        ([[-300, 300]], [[-256, 254]]),
        ([[0, 300]], [[0, 0]]),
        ([[-256, -2]], [[-254, -2]]),
        ([[-128]], [[0]]),
        ([[-3, 0]], [[-3, 0]]),
        ([[-200, -3, 0]], [[0, 0, 0]]),
        ([[0, 0]], [[0, 0]]),
    ],
)
def test_weights_that_act(weight, acting):
    assert stock_weights(np.array(weight))[0].tolist() == acting


def test_what_is_not_linear_has_no_weights():
    assert stock_weights(np.array([[0], [-1]])) is None


def test_recurrent_weights_are_shifted_together():
    forward, recurrent = stock_weights(np.array([[2, -4]]), np.array([[100]]))
    assert (forward.tolist(), recurrent.tolist()) == ([[2, -4]], [[100]])
    forgotten = stock_weights(np.array([[2, -4]]), np.array([[100]]), forget_exponent=True)
    assert [w.tolist() for w in forgotten] == [[[4, -8]], [[200]]]
