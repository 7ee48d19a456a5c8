import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgcrs.core.errors import KgcrsError
from kgcrs.data.dialogue_batches import (
    bucket_of,
    ordered_epoch,
    reply_bucket_of,
    shuffled_epoch,
    token_lengths,
    widths_of,
)
from kgcrs.data.dialogue_samples import reply_samples
from kgcrs.data.vocab import PAD, build_vocabulary
from tests.dialogue_worlds import conversation, dialogues

buckets = st.lists(st.integers(0, 5), max_size=50).map(lambda codes: np.array(codes, np.int32))


@given(buckets, st.integers(1, 9), st.integers(0, 3))
def test_every_sample_is_in_one_batch_of_its_bucket(bucket, batch, number):
    for epoch in (shuffled_epoch(bucket, batch, seed=1, epoch=number), ordered_epoch(bucket, batch)):
        rows = np.concatenate([part.row[part.mask] for part in epoch.buckets] or [np.zeros(0, int)])
        assert sorted(rows.tolist()) == list(range(len(bucket)))
        for part in epoch.buckets:
            assert part.row.dtype == np.int32 and part.mask.dtype == np.bool_
            assert part.row.shape == part.mask.shape == (len(part.row), batch)
            # Places without a sample of their own still hold a row of the bucket.
            assert (bucket[part.row] == part.bucket).all() and part.mask.any(axis=1).all()
        steps = [(place, step) for place, part in enumerate(epoch.buckets) for step in range(len(part.row))]
        assert sorted(map(tuple, epoch.order.tolist())) == steps


def test_the_seed_and_the_epoch_decide_the_order():
    bucket = np.repeat(np.arange(3, dtype=np.int32), 40)
    first = shuffled_epoch(bucket, 8, seed=5, epoch=0)
    again = shuffled_epoch(bucket, 8, seed=5, epoch=0)
    assert np.array_equal(first.order, again.order) and first.order.shape == (15, 2)
    assert all(np.array_equal(one.row, other.row) for one, other in zip(first.buckets, again.buckets, strict=True))
    for other in (shuffled_epoch(bucket, 8, seed=5, epoch=1), shuffled_epoch(bucket, 8, seed=6, epoch=0)):
        assert not np.array_equal(first.buckets[0].row, other.buckets[0].row)
        assert not np.array_equal(first.order, other.order)
    assert np.array_equal(ordered_epoch(bucket, 8).buckets[1].row.ravel(), np.arange(40, 80))


def test_a_last_batch_that_is_not_full():
    epoch = ordered_epoch(np.array([1, 0, 1, 1], np.int32), 2)
    assert [part.bucket for part in epoch.buckets] == [0, 1]
    assert epoch.buckets[0].row.tolist() == [[1, 1]] and epoch.buckets[0].mask.tolist() == [[True, False]]
    assert epoch.buckets[1].row.tolist() == [[0, 2], [3, 0]]
    assert epoch.buckets[1].mask.tolist() == [[True, True], [True, False]]


@pytest.fixture(scope="module")
def samples():
    """Replies of 3 and 20 tokens after contexts of about 20, 100 and 200 tokens."""
    short, long = "a b c", " ".join(f"w{number}" for number in range(20))
    talks = [
        conversation(f"{size}-{reply[:3]}", "S: " + " ".join(["word"] * size), f"R: {reply}", "S: ok", f"R: {reply}")
        for size in (20, 100, 200)
        for reply in (short, long)
    ]
    data = dialogues(*talks)
    return reply_samples(data, build_vocabulary(data), "train")


def test_cutting_to_the_widths_of_a_bucket_loses_nothing_and_less_would(samples):
    bucket = reply_bucket_of(samples)
    assert bucket.dtype == np.int32 and np.unique(bucket).tolist() == [0, 1, 2, 3, 4, 5]
    for code in range(6):
        context, reply = widths_of(code)
        rows = bucket == code
        assert (samples.context.tokens[rows, context:] == PAD).all() and (samples.reply[rows, reply:] == PAD).all()
        assert (samples.context.tokens[rows, (context // 2 if context > 64 else 0) :] != PAD).any(axis=1).all()
        assert (samples.reply[rows, (16 if reply == 32 else 0) :] != PAD).any(axis=1).all()


def test_buckets_by_hand():
    assert bucket_of(np.array([0, 64, 65, 128, 129, 256])).tolist() == [0, 0, 1, 1, 2, 2]
    assert bucket_of(np.array([16, 17]), (16, 32)).tolist() == [0, 1]
    assert bucket_of(np.zeros(0, np.int32)).tolist() == []
    assert token_lengths(np.array([[5, 6, 0], [0, 0, 0]], np.int32)).tolist() == [2, 0]
    assert [widths_of(code) for code in range(6)] == [(64, 16), (64, 32), (128, 16), (128, 32), (256, 16), (256, 32)]


def test_bad_widths_and_sizes_are_refused():
    with pytest.raises(KgcrsError, match="lengths holds 33, but the widest bucket has 32"):
        bucket_of(np.array([33]), (16, 32))
    for edges in ((32, 16), (), (16, 16)):
        with pytest.raises(KgcrsError, match="must ascend"):
            bucket_of(np.array([1]), edges)
    with pytest.raises(KgcrsError, match="batch is 0"):
        ordered_epoch(np.zeros(3, np.int32), 0)
