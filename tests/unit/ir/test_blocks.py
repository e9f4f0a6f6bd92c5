import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pumice.ir import Conv, ConvTranspose, Dense, Direct, OneToOne, Sparse, TokenMixing
from pumice.ir.blocks import Blocks

RNG = np.random.default_rng(0)


def weights(*shape):
    return RNG.integers(1, 100, shape)


KINDS = {
    "dense": (Dense("a", "b", weight=weights(7, 12)), (2, 3, 2), (7,), (3,)),
    "sparse": (Sparse("a", "b", rows=np.array([0, 5, 5, 7]), columns=np.array([1, 1, 0, 3]), values=weights(4)),
               (4,), (8,), (3,)),
    "one to one": (OneToOne("a", "b", weight=4), (5, 4, 3), (5, 4, 3), (2, 3, 2)),
    "token mixing": (TokenMixing("a", "b", weight=weights(2, 6, 6)), (3, 2, 4), (3, 2, 4), (2, 2, 3)),
    "transposed": (ConvTranspose("a", "b", weight=weights(3, 2, 3, 2), stride=(2, 2)), (3, 2, 2), (6, 5, 3),
                   (4, 2, 2)),
    "conv": (Conv("a", "b", weight=weights(5, 3, 2, 2), stride=(2, 1), padding=(1, 0)), (8, 5, 2), (4, 4, 5),
             (2, 3, 2)),
    "grouped, dilated": (Conv("a", "b", weight=weights(6, 2, 3, 2), dilation=(3, 1), groups=2), (7, 6, 4), (4, 4, 6),
                         (4, 2, 4)),
}  # fmt: skip


def onto(s, source, target, blocks):
    """Stored weights of each source neuron onto each block, one by one."""
    found = s.entries(source, target)
    counts = np.zeros((int(np.prod(source)), blocks.n), int)
    where = blocks.numbers().reshape(-1)
    for row, column in zip(found.rows, found.columns, strict=True):
        counts[column, where[row]] += 1
    return counts


@given(st.lists(st.integers(1, 9), min_size=1, max_size=3), st.data())
@settings(max_examples=60)
def test_every_neuron_is_in_one_block(shape, data):
    tile = [data.draw(st.integers(1, 10)) for _ in shape]
    blocks = Blocks.cut(tuple(shape), tuple(tile))
    numbers = blocks.numbers()
    assert numbers.shape == tuple(shape)
    assert np.bincount(numbers.reshape(-1), minlength=blocks.n).tolist() == blocks.sizes().tolist()
    assert blocks.sizes().min() >= 1
    for number in range(blocks.n):
        places = np.argwhere(numbers == number)
        extent = places.max(0) - places.min(0) + 1
        assert np.all(extent <= tile)
        assert np.prod(extent) == len(places)


@pytest.mark.parametrize("kind", KINDS)
def test_traffic_is_what_the_entries_say(kind):
    s, source, target, tile = KINDS[kind]
    blocks = Blocks.cut(target, tile)
    sent = RNG.random((6, *source)) < 0.4
    counts = onto(s, source, target, blocks)
    flat = sent.reshape(6, -1).astype(int)
    found = s.traffic(sent, blocks)
    np.testing.assert_array_equal(found.operations, flat @ counts)
    reached = (counts > 0) if s.shares_weights or not s.enters_everywhere else np.ones_like(counts)
    np.testing.assert_array_equal(found.messages, flat @ reached)


@pytest.mark.parametrize("kind", KINDS)
def test_every_stored_weight_is_beside_its_targets(kind):
    s, source, target, tile = KINDS[kind]
    blocks = Blocks.cut(target, tile)
    stored = s.stored(source, blocks)
    per_block = stored.times @ stored.rows
    if not s.shares_weights:
        np.testing.assert_array_equal(per_block, onto(s, source, target, blocks).sum(0))
        return
    for number in range(blocks.n):
        channels = np.unique(np.argwhere(blocks.numbers() == number)[:, 2])
        assert per_block[number] == s.weight[channels].size


def test_only_what_a_core_has_an_entry_for_enters():
    s, source, target, tile = KINDS["one to one"]
    blocks = Blocks.cut(target, tile)
    np.testing.assert_array_equal(s.stored(source, blocks).inputs, blocks.sizes())
    s, source, target, tile = KINDS["sparse"]
    assert s.stored(source, Blocks.cut(target, tile)).inputs.tolist() == [4, 4, 4]  # two of them have no weight there


def test_zeros_are_stored_in_matrices_and_kernels_only():
    blocks = Blocks.cut((3,), (2,))
    assert Dense("a", "b", weight=np.zeros((3, 4), int)).stored((4,), blocks).rows.tolist() == [[2, 1]]
    none = Sparse("a", "b", rows=np.array([1]), columns=np.array([0]), values=np.array([0]))
    assert not none.stored((4,), blocks).rows.any()
    image = Blocks.cut((2, 2, 3), (2, 2, 3))
    assert Conv("a", "b", weight=np.zeros((3, 1, 1, 1), int)).stored((2, 2, 1), image).rows.tolist() == [[3]]


def test_a_direct_input_stores_nothing():
    blocks = Blocks.cut((4,), (2,))
    assert not Direct("a", "b").stored((4,), blocks).rows.size
    assert not Direct("a", "b").traffic(np.ones((3, 4), bool), blocks).operations.any()


def test_a_part_of_the_channels():
    """A synapse into channels 1 to 4 of 5, blocks of 2: it reaches one, two and one of them."""
    whole = Blocks.cut((1, 1, 5), (1, 1, 2))
    part = whole.channels((1, 5))
    assert part.shape == (1, 1, 4)
    assert part.n == whole.n == 3
    assert part.sizes().tolist() == [1, 2, 1]
    assert whole.channels(None) is whole
