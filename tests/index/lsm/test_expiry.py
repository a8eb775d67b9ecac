"""Documents that grow older than a bound: beside all timestamps in memory, and with few of them there."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.streams import MemoryStream

from lutra.index.lsm import expiry
from lutra.index.lsm.expiry import BLOCK, SOON_MAX, Expiry
from lutra.kernels.row_mask import RowMask
from lutra.scalars.stored_numbers import StoredNumbers
from lutra.segments.times import NO_TIMES, UNKNOWN_MS, Times

Numbers = npt.NDArray[np.int64]
NOW_MS = 1_700_000_000_000


def stored(times: Numbers, docs: Numbers | None = None) -> tuple[Times, MemoryStream]:
    """``times`` of ``docs`` (None: of all), as they lie in a segment."""
    stream = MemoryStream()
    places = None if docs is None else StoredNumbers.write(stream, docs)
    numbers = StoredNumbers.write(stream, times)
    return Times(len(times), int(times.min()) if len(times) else 0, stream, numbers, places), stream


@settings(max_examples=60, deadline=None)
@given(
    data=st.data(),
    times=st.lists(st.integers(0, 60), max_size=40),
    some=st.booleans(),
    ahead_ms=st.sampled_from([0, 5, 100]),
    soon_max=st.sampled_from([0, 3, SOON_MAX]),
)
def test_whatever_dies_and_whenever_it_is_asked(
    data: st.DataObject, times: list[int], some: bool, ahead_ms: int, soon_max: int
) -> None:
    """Bounds go up, and back too; what is found is what all timestamps would say."""
    of = np.array(times, np.int64)
    docs = np.arange(len(of)) * (2 if some else 1)
    live = np.ones(2 * len(of) + 1, bool)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(expiry, "BLOCK", 4)
        patch.setattr(expiry, "_BLOCKS_AT_ONCE", 2)
        patch.setattr(expiry, "SOON_MAX", soon_max)
        found = Expiry(stored(of, docs if some else None)[0], ahead_ms)
        for bound_ms in data.draw(st.lists(st.integers(-5, 70), min_size=1, max_size=8)):
            expected = set(docs[(of < bound_ms) & live[docs]].tolist())
            count = data.draw(st.none() | st.integers(1, 5))
            answer = found.older(bound_ms, RowMask(live), count).tolist()
            assert len(answer) == len(set(answer)) == (len(expected) if count is None else min(count, len(expected)))
            assert set(answer) <= expected
            dead = data.draw(st.lists(st.sampled_from(docs.tolist()), max_size=6)) if len(docs) else []
            live[data.draw(st.sampled_from([answer, dead]))] = False


def test_memory_and_reads_of_a_large_segment() -> None:
    """A million rows written over a day, of which some expire every second: a few KB are kept, and little is read."""
    rows = 1_000_000
    times = NOW_MS + np.random.default_rng(1).integers(0, 86_400_000, rows)
    live = np.ones(rows, bool)
    of, stream = stored(times)
    found = Expiry(of, ahead_ms=3_000)
    assert len(found.older(NOW_MS, RowMask(live))) == 0
    assert stream.reads == 0, "the footer says that none is so old"
    read_bytes = []
    for second in range(1, 31):
        bound_ms, before_bytes = NOW_MS + 1_000 * second, stream.read_bytes
        for at_ms in (bound_ms - 600, bound_ms - 300, bound_ms):  # searches, and then the rows are dropped
            docs = found.older(at_ms, RowMask(live))
            assert set(docs.tolist()) == set(np.flatnonzero(live & (times < at_ms)).tolist())
        live[docs] = False
        read_bytes.append(stream.read_bytes - before_bytes)
        assert found.state_bytes < 8 * rows / BLOCK + 5_000
    assert read_bytes[0] == rows * 4, "once: so that the least of each block is known"
    assert sum(read_bytes[1:]) < 29 / 3 * 60 * BLOCK * 4, "what expires in three seconds lies in some 46 of 245 blocks"


def test_more_at_once_than_is_kept() -> None:
    rows = 10 * SOON_MAX
    of, _ = stored(np.full(rows, NOW_MS, np.int64) + np.arange(rows) % 2)
    live = np.ones(rows, bool)
    found = Expiry(of, ahead_ms=3_000)
    for _ in range(2):
        assert len(found.older(NOW_MS + 9, RowMask(live))) == rows
        assert found.state_bytes <= 8 * (rows // BLOCK + 1)
    live[::3] = False
    assert len(found.older(NOW_MS + 9, RowMask(live))) == np.count_nonzero(live)


def test_a_few_of_many_cost_a_few_reads() -> None:
    """As a mass of values is read again: a number at a time, from the first blocks that have any."""
    rows = 1_000_000
    of, stream = stored(np.full(rows, NOW_MS, np.int64))
    live = np.ones(rows, bool)
    found, taken = Expiry(of), 0
    for _ in range(8):
        docs = found.older(NOW_MS + 1, RowMask(live), 1_000)
        live[docs] = False
        taken += len(docs)
    assert taken == 8_000
    assert stream.read_bytes <= 8 * 64 * BLOCK * of.numbers.item_bytes  # type: ignore[union-attr]
    live[: rows - 10] = False
    assert len(found.older(NOW_MS + 1, RowMask(live), 1_000)) == 10


def test_none_and_unknown() -> None:
    live = np.ones(5, bool)
    assert len(Expiry(NO_TIMES).older(NOW_MS, RowMask(live))) == 0
    assert Expiry(Times(5, UNKNOWN_MS)).older(-(10**12), RowMask(live)).tolist() == [0, 1, 2, 3, 4]
