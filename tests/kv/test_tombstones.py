"""Deleted keys before, between and behind those that are left: scans find these, and soon do not pass over the others.

What a scan has to pass over is told by RocksDB: an iterator with a limit stops where it passes over more.
"""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
import rocksdict

from lutra.kv.batch import WriteBatch
from lutra.kv.rocksdb import RocksStore
from lutra.kv.tombstones import PASSED_MAX

KEYS, LIVE = 26_000, 1_000
AT_ONCE = 1_000
LITTLE = 200
WITHIN_S = 60


def key(number: int) -> bytes:
    return b"t%08d" % number


def put(store: RocksStore, numbers: range) -> None:
    for first in range(numbers.start, numbers.stop, AT_ONCE):
        batch = WriteBatch()
        for number in range(first, min(first + AT_ONCE, numbers.stop)):
            batch.put(key(number), b"value of %d" % number)
        store.commit(batch)


def delete(store: RocksStore, numbers: range) -> None:
    for first in range(numbers.start, numbers.stop, AT_ONCE):
        batch = WriteBatch()
        for number in range(first, min(first + AT_ONCE, numbers.stop)):
            batch.delete(key(number))
        store.commit(batch)


def passes_over(store: RocksStore, begin: bytes, end: bytes, limit: int) -> list[bool]:
    """Whether finding the first and the last key of a range passes over more than ``limit`` deleted ones."""
    result = []
    for reverse in (False, True):
        options = rocksdict.ReadOptions()
        options.set_iterate_upper_bound(end)
        options.set_max_skippable_internal_keys(limit)
        iterator = store._db.iter(options)
        if reverse:
            iterator.seek_to_last()
        else:
            iterator.seek(begin)
        try:
            iterator.status()
            result.append(False)
        except Exception as error:
            if "Too many internal keys skipped" not in str(error):
                raise
            result.append(True)
    return result


def wait_until_little_is_passed_over(store: RocksStore, begin: bytes, end: bytes) -> None:
    until_s = time.monotonic() + WITHIN_S
    while any(passes_over(store, begin, end, LITTLE)):
        assert time.monotonic() < until_s
        time.sleep(0.02)


@pytest.mark.parametrize("reverse", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize("place", ["front", "middle", "end"])
def test_a_scan_that_passes_over_many_is_the_last_that_does(tmp_path: Path, place: str, reverse: bool) -> None:
    store = RocksStore(tmp_path / "store")
    put(store, range(KEYS))
    gone = {"front": range(KEYS - LIVE), "middle": range(LIVE // 2, KEYS - LIVE // 2), "end": range(LIVE, KEYS)}[place]
    delete(store, gone)
    left = [number for number in range(KEYS) if number not in gone]
    first, last = key(gone.start), key(gone.stop)
    assert any(passes_over(store, first, last, PASSED_MAX))
    found = [pair[0] for pair in store.scan(key(0), key(KEYS), reverse=reverse)]
    assert found == [key(number) for number in (reversed(left) if reverse else left)]
    wait_until_little_is_passed_over(store, first, last)
    assert list(store.scan(key(0), key(KEYS))) == [(key(number), b"value of %d" % number) for number in left]
    store.close()


def test_so_is_the_first_after_a_restart(tmp_path: Path) -> None:
    store = RocksStore(tmp_path / "store")
    put(store, range(KEYS))
    delete(store, range(KEYS - LIVE))
    store.close()
    store = RocksStore(tmp_path / "store")
    assert passes_over(store, key(0), key(KEYS), PASSED_MAX)[0]
    assert next(store.scan(key(0), key(KEYS)))[0] == key(KEYS - LIVE)
    wait_until_little_is_passed_over(store, key(0), key(KEYS))
    store.close()


def test_few_deleted_keys_make_no_files(tmp_path: Path) -> None:
    """What is passed over is bounded either way; a file for every few of them would cost more."""
    store = RocksStore(tmp_path / "store")
    put(store, range(2 * PASSED_MAX))
    delete(store, range(2 * PASSED_MAX - 1))
    for _ in range(5):
        assert next(store.scan(key(0), key(KEYS)))[0] == key(2 * PASSED_MAX - 1)
    assert store._db.property_int_value("rocksdb.num-deletes-active-mem-table") == 2 * PASSED_MAX - 1
    store.close()


def test_scans_over_gaps_of_any_length_agree_with_a_dict(tmp_path: Path) -> None:
    """Gaps around the limit, wherever a scan stands when it comes upon them."""
    generator = random.Random(5)
    store = RocksStore(tmp_path / "store")
    put(store, range(KEYS))
    model = set(range(KEYS))
    start = 0
    while start < KEYS:
        start += generator.choice([1, 2, 3, 130, 300])
        length = generator.choice([1, 50, PASSED_MAX - 1, PASSED_MAX, PASSED_MAX + 1, 2_700])
        gap = range(start, min(KEYS, start + length))
        delete(store, gap)
        model.difference_update(gap)
        start = gap.stop
    for _ in range(20):
        low, high = sorted(generator.sample(range(KEYS), 2))
        expected = [key(number) for number in sorted(model) if low <= number < high]
        assert [pair[0] for pair in store.scan(key(low), key(high))] == expected
        assert [pair[0] for pair in store.scan(key(low), key(high), reverse=True)] == expected[::-1]
    store.close()


def test_closing_while_a_scan_is_read_on_and_files_are_written(tmp_path: Path) -> None:
    store = RocksStore(tmp_path / "store")
    put(store, range(KEYS))
    delete(store, range(1, KEYS - LIVE))
    scan = store.scan(key(0), key(KEYS))
    assert next(scan)[0] == key(0)
    next(scan)
    store.close()
    store = RocksStore(tmp_path / "store")
    assert len(list(store.scan(key(0), key(KEYS)))) == LIVE + 1
    store.close()
