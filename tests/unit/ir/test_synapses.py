"""What each kind states in its own way is what follows from its single weights."""

import numpy as np
import pytest

from pumice.fixedpoint import conv_output_shape, conv_transpose_output_shape
from pumice.ir import Conv, ConvTranspose, Dense, Direct, OneToOne, Sparse, Synapse, TokenMixing
from pumice.ir.synapses import KINDS

RNG = np.random.default_rng(0)
IMAGE = (3, 2, 4)


def whole(low, high, shape):
    return RNG.integers(low, high, shape) * (RNG.random(shape) < 0.7)


def conv(shape, **options):
    return Conv("a", "b", weight=whole(-9, 9, shape), delay_steps=RNG.integers(0, 3, 4), **options)


def transposed(shape, **options):
    weight = whole(-9, 9, shape)
    return ConvTranspose("a", "b", weight=weight, delay_steps=RNG.integers(0, 3, 4), weight_exp=1, **options)


PLACES = {"rows": RNG.integers(0, 24, 50), "columns": RNG.integers(0, 24, 50), "values": whole(-9, 9, 50)}
SYNAPSES = [
    (Direct("a", "b"), IMAGE, IMAGE),
    (Dense("a", "b", weight=whole(-9, 9, (5, 24)), weight_exp=2, delay_steps=whole(0, 3, (5, 24))), IMAGE, (5,)),
    (Dense("a", "b", weight=whole(-9, 9, (5, 7)), delay_steps=whole(0, 3, 7)), (7,), (5,)),
    (Sparse("a", "b", **PLACES, delay_steps=RNG.integers(0, 3, 50), weight_exp=1), IMAGE, (4, 3, 2)),
    (Sparse("a", "b", **PLACES), (24,), IMAGE),
    (OneToOne("a", "b", weight=7, weight_exp=3), IMAGE, IMAGE),
    (OneToOne("a", "b", weight=whole(-9, 9, 4), delay_steps=np.array([0, 2, 1, 1])), IMAGE, IMAGE),
    (TokenMixing("a", "b", weight=whole(-9, 9, (2, 6, 6)), delay_steps=np.array([2, 0, 1, 2])), IMAGE, IMAGE),
    (conv((6, 2, 2, 4), padding=(1, 2)), IMAGE, None),
    (conv((6, 2, 1, 2), padding=(2, 0), stride=(2, 1), groups=2), IMAGE, None),
    (transposed((6, 2, 2, 4)), IMAGE, None),
    (transposed((6, 3, 2, 2), stride=(2, 2), padding=(1, 0), output_padding=(1, 1), groups=2), IMAGE, None),
    (transposed((4, 2, 3, 1), stride=(1, 3), padding=(0, 2), dilation=(3, 1), groups=4), IMAGE, None),
    (transposed((6, 1, 1, 4), stride=(3, 2), output_padding=(2, 1)), IMAGE, None),
    (conv((4, 2, 3, 1), padding=(1, 3), dilation=(2, 2), stride=(1, 2), groups=4), IMAGE, None),
]


def ends(synapse, source, target):
    if target is None:
        s = synapse
        if isinstance(s, ConvTranspose):
            return source, conv_transpose_output_shape(
                source, s.weight.shape, s.stride, s.padding, s.output_padding, s.dilation
            )
        target = conv_output_shape(source, s.weight.shape, s.stride, s.padding, s.dilation)
    return source, target


@pytest.mark.parametrize(("synapse", "source", "target"), SYNAPSES, ids=lambda v: type(v).__name__)
def test_the_facts_of_a_kind_follow_from_its_entries(synapse, source, target):
    source, target = ends(synapse, source, target)
    assert [*synapse.all_problems(source, target)] == []
    x = RNG.integers(-9, 9, source).astype(np.int32)
    added = 0
    for delay in range(synapse.max_delay_steps + 1):
        own, single = (kind.accumulate(synapse, x, delay, target) for kind in (type(synapse), Synapse))
        assert own.dtype == single.dtype == np.int32
        np.testing.assert_array_equal(own, single)
        added += np.count_nonzero(own)
    assert added
    own, single = (kind.sums(synapse, source, target) for kind in (type(synapse), Synapse))
    assert all(np.shape(half) == target for half in (*own, *single))
    if isinstance(synapse, Conv | ConvTranspose):  # at the border, bounds
        assert np.all(own[0] >= single[0])
        assert np.all(own[1] <= single[1])
        assert (own[0].max(), own[1].min()) != (0, 0)
    else:
        np.testing.assert_array_equal(own, single)
    entries = synapse.entries(source, target)
    assert synapse.connections(source, target) >= len(entries.values)
    assert np.all(entries.values != 0)
    counted = np.zeros(source, int) if isinstance(synapse, Direct) else Synapse.fan_out(synapse, source, target)
    np.testing.assert_array_equal(synapse.fan_out(source, target), counted.reshape(-1))
    assert synapse.largest_sum(source, target) >= (single[0] - single[1]).max()


def test_every_kind_is_among_them():
    assert {type(synapse) for synapse, _, _ in SYNAPSES} == set(KINDS)


def test_entries_tell_a_wrong_accumulation(monkeypatch):
    """The comparison above has teeth: an image read with x and y swapped is another sum."""
    right = Dense.accumulate
    monkeypatch.setattr(Dense, "accumulate", lambda s, x, *a: right(s, x.swapaxes(0, 1) if x.ndim == 3 else x, *a))
    with pytest.raises(AssertionError):
        test_the_facts_of_a_kind_follow_from_its_entries(*SYNAPSES[1])
