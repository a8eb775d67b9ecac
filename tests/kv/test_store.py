"""What every store must do, on every store."""

from __future__ import annotations

import random
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lutra.kv.batch import WriteBatch
from lutra.kv.store import Estimate, KeyValueStore, prefix_end
from lutra.model.errors import StorageFailure

KEYS = st.binary(min_size=1, max_size=3)
CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("put"), KEYS, st.binary(max_size=4)),
        st.tuples(st.just("delete"), KEYS, st.just(b"")),
        st.tuples(st.just("range"), KEYS, KEYS),
    ),
    max_size=12,
)


def put(store: KeyValueStore, **pairs: bytes) -> None:
    batch = WriteBatch()
    for key, value in pairs.items():
        batch.put(key.encode(), value)
    store.commit(batch)


def apply(model: dict[bytes, bytes], batch: WriteBatch, changes: list[tuple[str, bytes, bytes]]) -> None:
    for kind, key, value in changes:
        if kind == "put":
            batch.put(key, value)
            model[key] = value
        elif kind == "delete":
            batch.delete(key)
            model.pop(key, None)
        else:
            batch.delete_range(key, value)
            for doomed in [k for k in model if key <= k < value]:
                del model[doomed]


def test_reads_what_was_put(store: KeyValueStore) -> None:
    put(store, a=b"1", c=b"3", d=b"")
    assert store.get(b"a") == b"1"
    assert store.get(b"b") is None
    assert store.get_many([b"d", b"b", b"c"]) == [b"", None, b"3"]
    assert store.get_many([]) == []


def test_scans_half_open_ranges_both_ways(store: KeyValueStore) -> None:
    put(store, a=b"1", b=b"2", c=b"3", d=b"4")
    assert list(store.scan(b"b", b"d")) == [(b"b", b"2"), (b"c", b"3")]
    assert list(store.scan(b"b", b"d", reverse=True)) == [(b"c", b"3"), (b"b", b"2")]
    assert list(store.scan(b"bb", b"cc", reverse=True)) == [(b"c", b"3")]
    assert list(store.scan(b"d", b"b")) == []
    assert list(store.scan(b"b", b"b")) == []
    assert list(store.scan(b"x", b"z", reverse=True)) == []


def test_a_batch_applies_in_its_order(store: KeyValueStore) -> None:
    batch = WriteBatch()
    batch.put(b"a", b"1")
    batch.delete(b"a")
    batch.put(b"b", b"1")
    batch.put(b"b", b"2")
    batch.delete_range(b"c", b"d")
    batch.put(b"c", b"3")
    batch.delete_range(b"d", b"c")
    assert len(batch) == 6
    assert batch.size_bytes == 11
    store.commit(batch)
    assert list(store.scan(b"a", b"z")) == [(b"b", b"2"), (b"c", b"3")]


def test_long_scans_come_whole_in_order(store: KeyValueStore) -> None:
    batch = WriteBatch()
    keys = [b"%06d" % i for i in range(3_000)]
    shuffled = keys.copy()
    random.Random(1).shuffle(shuffled)
    for key in shuffled:
        batch.put(key, key * 3)
    store.commit(batch)
    assert [key for key, _ in store.scan(b"0", b"9")] == keys
    assert [key for key, _ in store.scan(b"0", b"9", reverse=True)] == keys[::-1]
    with store.snapshot() as snapshot:
        assert [key for key, _ in snapshot.scan(b"0", b"9")] == keys
        assert list(snapshot.scan(b"000100", b"002900", reverse=True)) == [(k, k * 3) for k in keys[100:2_900][::-1]]


def test_a_snapshot_does_not_change(store: KeyValueStore) -> None:
    put(store, a=b"1", b=b"2")
    with store.snapshot() as snapshot:
        before = iter(snapshot.scan(b"a", b"z"))
        put(store, a=b"changed", c=b"3")
        batch = WriteBatch()
        batch.delete(b"b")
        store.commit(batch)
        assert snapshot.get(b"a") == b"1"
        assert snapshot.get(b"c") is None
        assert snapshot.get_many([b"b", b"c"]) == [b"2", None]
        assert list(before) == [(b"a", b"1"), (b"b", b"2")]
        assert list(snapshot.scan(b"a", b"z", reverse=True)) == [(b"b", b"2"), (b"a", b"1")]
    assert list(store.scan(b"a", b"z")) == [(b"a", b"changed"), (b"c", b"3")]
    with pytest.raises(StorageFailure, match="closed"):
        snapshot.get(b"a")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(batches=st.lists(CHANGES, max_size=4), begin=KEYS, end=KEYS)
def test_agrees_with_a_dict(
    store: KeyValueStore, batches: list[list[tuple[str, bytes, bytes]]], begin: bytes, end: bytes
) -> None:
    clear = WriteBatch()
    clear.delete_range(b"\0", b"\xff" * 4)
    store.commit(clear)
    model: dict[bytes, bytes] = {}
    for changes in batches:
        batch = WriteBatch()
        apply(model, batch, changes)
        store.commit(batch)
    expected = sorted((k, v) for k, v in model.items() if begin <= k < end)
    assert list(store.scan(begin, end)) == expected
    assert list(store.scan(begin, end, reverse=True)) == expected[::-1]
    assert store.get_many([begin, end]) == [model.get(begin), model.get(end)]
    with store.snapshot() as snapshot:
        assert list(snapshot.scan(begin, end)) == expected
        assert list(snapshot.scan(begin, end, reverse=True)) == expected[::-1]
        assert snapshot.get(begin) == model.get(begin)


def test_measures_and_splits_what_is_not_yet_on_disk(store: KeyValueStore) -> None:
    batch = WriteBatch()
    for i in range(1_000):
        batch.put(b"%04d" % i, b"x" * 996)
    batch.put(b"other", b"x" * 1_000_000)
    store.commit(batch)
    assert store.size_bytes(b"0", b":") == 1_000_000
    cuts = store.split(b"0", b":", 100_000, 50)
    assert cuts == [b"%04d" % i for i in range(100, 1_000, 100)]
    assert store.split(b"0", b":", 100_000, 3) == cuts[:3]
    assert store.split(b"0", b":", 2_000_000, 50) == []
    assert store.split(b"p", b"z", 1, 50) == []
    assert store.estimate(b"0", b":", 1_000) == Estimate(1_000, 1_000_000, is_exact=True)
    assert store.estimate(b"p", b"z", 1) == Estimate(0, 0, is_exact=True)


def test_it_tells_what_it_takes_in_memory(store: KeyValueStore) -> None:
    before = store.memory_bytes()
    put(store, a=b"x" * 1_000_000)
    assert 1_000_000 <= store.memory_bytes() - before < 3_000_000


def test_a_closed_store_says_so(store: KeyValueStore) -> None:
    put(store, a=b"1", b=b"2")
    scan = iter(store.scan(b"a", b"z"))
    assert next(scan) == (b"a", b"1")
    store.close()
    store.close()
    batch = WriteBatch()
    batch.put(b"c", b"3")
    for use in (
        lambda: store.get(b"a"),
        lambda: store.get_many([b"a"]),
        lambda: list(store.scan(b"a", b"b")),
        lambda: store.snapshot(),
        lambda: store.commit(batch),
        lambda: store.size_bytes(b"a", b"b"),
        lambda: store.estimate(b"a", b"b", 1),
        lambda: store.memory_bytes(),
    ):
        with pytest.raises(StorageFailure, match="closed"):
            use()


def test_many_threads_read_and_write(store: KeyValueStore) -> None:
    failures: list[BaseException] = []

    def work(worker: int) -> None:
        try:
            for i in range(60):
                batch = WriteBatch()
                batch.put(b"%d/%03d" % (worker, i), b"v")
                batch.put(b"shared", b"%d" % worker)
                store.commit(batch)
                assert store.get(b"%d/%03d" % (worker, i)) == b"v"
                assert len(list(store.scan(b"%d/" % worker, b"%d0" % worker))) == i + 1
                assert store.get_many([b"shared"])[0] is not None
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_prefix_end() -> None:
    assert prefix_end(b"a") == b"b"
    assert prefix_end(b"a\xff\xff") == b"b"
    assert prefix_end(b"\x00") == b"\x01"
    with pytest.raises(ValueError, match="no key"):
        prefix_end(b"\xff")
