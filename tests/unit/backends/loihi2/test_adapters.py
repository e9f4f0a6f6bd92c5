"""Bits of a message; which adapter is chosen is tested with the stand-in (tests/contract/test_loihi2_standin.py)."""

import numpy as np
import pytest

from pumice.backends.loihi2.adapters import ChipAdapters, input_bits
from pumice.errors import BackendError, MissingExtensionError
from pumice.ir import Cuba


@pytest.mark.parametrize(
    ("low", "high", "bits"), [(0, 127, 8), (0, 128, 16), (-128, 0, 8), (-129, 0, 16), (0, 1 << 15, 24)]
)
def test_a_message_holds_the_sign(low, high, bits):
    assert input_bits(np.array([low, high])) == bits


def test_values_that_no_message_holds_are_refused():
    with pytest.raises(BackendError, match="24 bits signed"):
        input_bits(np.array([0, 1 << 23]))


def test_without_the_extension_none_is_made():
    with pytest.raises(MissingExtensionError, match="INRC"):
        ChipAdapters().spikes(Cuba("a", (2,), vth_mant=1))
