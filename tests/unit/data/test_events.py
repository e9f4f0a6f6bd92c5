import numpy as np
import pytest

from pumice.data.events import EVENT, concatenate, pack_events
from pumice.errors import InputError

FIELDS = {"x": [3, 1, 2], "y": [0, 1, 0], "t": [5, 6, 9], "p": [1, 0, 1]}


def test_indexing_gives_recordings_and_lists_of_them():
    samples = pack_events(**FIELDS, offsets=[0, 2, 2, 3])
    assert [len(events) for events in samples] == [2, 0, 1]
    assert samples[2].tolist() == [(2, 0, 9, 1)]
    assert samples[-1].tolist() == samples[2].tolist()
    chosen = samples[np.array([2, 0])]
    assert [events["t"].tolist() for events in chosen] == [[9], [5, 6]]
    assert chosen[1:][0]["x"].tolist() == [3, 1]


@pytest.mark.parametrize("offsets", [[0, 2], [1, 3], [0, 3, 2, 3], []])
def test_offsets_that_do_not_fit(offsets):
    with pytest.raises(InputError, match="offsets must rise from 0"):
        pack_events(**FIELDS, offsets=offsets)


def test_fields_of_unequal_length():
    with pytest.raises(InputError, match="offsets must rise from 0"):
        pack_events(**{**FIELDS, "p": [1]}, offsets=[0, 3])


def test_no_recordings():
    assert len(concatenate([])) == 0
    assert concatenate([np.zeros(0, EVENT)])[0].dtype == EVENT
