import numpy as np
import pytest

from pumice.backends.lava import memory
from pumice.backends.lava.supervise import Deadline, supervise
from pumice.errors import BackendError


def test_processes_share_an_array():
    array = memory.shared_array((2, 3), np.int32)

    def work():
        array[1] = 7

    supervise(work, Deadline(None))
    assert array.tolist() == [[0, 0, 0], [7, 7, 7]]


def test_an_array_of_nothing():
    assert memory.shared_array((0, 3), np.int32).shape == (0, 3)


def test_more_than_the_address_space_holds_is_an_error_of_ours():
    with pytest.raises(BackendError, match=r"no memory for 4194304\.0 GiB that Lava's processes share"):
        memory.shared_array((2**52,), np.int8)
