"""Ranges of keys of which nothing is shown: of every read, at once, for good; and removed in the background."""

from __future__ import annotations

import itertools
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.waiting import wait_until

from lutra.kv.batch import WriteBatch
from lutra.kv.slatedb import store as store_module
from lutra.kv.slatedb.hidden import HiddenRange, hidden_for_good
from lutra.kv.slatedb.store import SlateStore
from lutra.kv.store import Estimate
from lutra.model.errors import ParameterInvalid


def fill(store: SlateStore, count: int, version: bytes = b"1") -> None:
    batch = WriteBatch()
    for i in range(count):
        batch.put(b"%05d" % i, version)
    store.commit(batch)


def keys_of(store: SlateStore) -> list[bytes]:
    return [key for key, _ in store.scan(b"\0", b"\xff")]


def stored_in(store: SlateStore, begin: bytes, end: bytes) -> int:
    """Also what is hidden."""
    return sum(1 for _ in store._reads.stored(begin, end))


def test_no_read_shows_what_is_hidden(tmp_path: Path) -> None:
    first = SlateStore(tmp_path / "store")
    fill(first, 1_000)
    first.close()
    store = SlateStore(tmp_path / "store")
    store.hide([(b"00100", b"00200"), (b"00900", b"99999")])
    expected = [b"%05d" % i for i in (*range(100), *range(200, 900))]
    for _ in range(2):  # before, or while, it is swept; and after
        assert keys_of(store) == expected
        assert [key for key, _ in store.scan(b"00150", b"00950", reverse=True)] == expected[:99:-1]
        assert store.get(b"00150") is None
        assert store.get_many([b"00099", b"00100", b"00199", b"00200"]) == [b"1", None, None, b"1"]
        with store.snapshot() as snapshot:
            assert [key for key, _ in snapshot.scan(b"0", b"9")] == expected
            assert snapshot.get(b"00950") is None
        assert store.estimate(b"0", b"9", 1_000) == Estimate(800, 4_800, is_exact=True)
        assert store.size_bytes(b"00100", b"00200") == 0
        wait_until(lambda: store.is_swept)
    assert stored_in(store, b"0", b"9") == 800
    store.close()
    plain = SlateStore(tmp_path / "store")
    assert keys_of(plain) == expected
    plain.close()


def test_a_hidden_range_has_to_be_one(tmp_path: Path) -> None:
    with closing(SlateStore(tmp_path / "store")) as store, pytest.raises(ParameterInvalid, match="end after it begins"):
        store.hide([(b"b", b"a")])


@pytest.mark.parametrize("count", [10, 1_000])
def test_a_range_of_many_keys_is_deleted_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(store_module, "DELETED_SINGLY_MAX", 100)
    store = SlateStore(tmp_path / "store")
    fill(store, count)
    before = store.snapshot()
    batch = WriteBatch()
    batch.put(b"00003", b"lost")
    batch.delete_range(b"00001", b"99999")
    batch.put(b"00002", b"new")
    store.commit(batch)
    after = store.snapshot()
    assert list(store.scan(b"0", b"9")) == [(b"00000", b"1"), (b"00002", b"new")]
    assert store.get_many([b"00002", b"00003"]) == [b"new", None]
    assert before.get_many([b"00002", b"00003"]) == [b"1", b"1"]
    assert len(list(before.scan(b"0", b"9"))) == count
    fill(store, 5, b"2")
    assert [value for _, value in store.scan(b"0", b"9")] == [b"2"] * 5
    assert list(after.scan(b"0", b"9")) == [(b"00000", b"1"), (b"00002", b"new")]
    for snapshot in (before, after):
        snapshot.close()
    store.close()
    reopened = SlateStore(tmp_path / "store")
    assert [value for _, value in reopened.scan(b"0", b"9")] == [b"2"] * 5
    reopened.close()


def test_what_a_killed_process_left_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "DELETED_SINGLY_MAX", 100)
    with monkeypatch.context() as patch:
        patch.setattr(SlateStore, "_tidy", lambda self: None)
        store = SlateStore(tmp_path / "store")
        fill(store, 2_000)
        batch = WriteBatch()
        batch.delete_range(b"00500", b"01500")
        store.commit(batch)
        assert len(keys_of(store)) == 1_000
        assert stored_in(store, b"0", b"9") == 2_000
        store.close()
    again = SlateStore(tmp_path / "store")
    assert len(keys_of(again)) == 1_000
    wait_until(lambda: again.is_swept)
    assert stored_in(again, b"\0", b"\xff" * 20) == 1_000  # nor is the record there
    again.close()


RANGES = st.lists(st.tuples(st.binary(max_size=2), st.binary(max_size=2)).filter(lambda pair: pair[0] < pair[1]))


@settings(deadline=None)
@given(ranges=RANGES, key=st.binary(max_size=2), begin=st.binary(max_size=2), end=st.binary(max_size=2))
def test_what_is_shown_is_what_is_not_hidden(
    ranges: list[tuple[bytes, bytes]], key: bytes, begin: bytes, end: bytes
) -> None:
    hidden = hidden_for_good(ranges)
    shown = hidden.shown(begin, end)
    assert any(first <= key < last for first, last in shown) == (begin <= key < end and not hidden.hides(key, 7))
    assert all(one[1] <= other[0] for one, other in itertools.pairwise(shown))


def test_a_range_hides_what_was_written_before_it() -> None:
    hidden = HiddenRange(b"a", b"c", 7, b"record")
    assert hidden.hides(b"a", 6)
    assert not hidden.hides(b"a", 7)
    assert not hidden.hides(b"c", 6)


def test_what_a_commit_hides_is_hidden_once_it_is_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before, who reads has all of what was there; also where the commit then fails, or its thread is interrupted."""
    monkeypatch.setattr(store_module, "DELETED_SINGLY_MAX", 10)
    monkeypatch.setattr(SlateStore, "_tidy", lambda self: None)
    store = SlateStore(tmp_path / "store")
    fill(store, 100)
    seen: list[tuple[int, bytes | None]] = []
    make_durable = SlateStore._make_durable

    def watched(self: SlateStore, handle: object) -> None:
        seen.append((len(keys_of(self)), self.get(b"new")))
        make_durable(self, handle)
        if len(seen) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(SlateStore, "_make_durable", watched)
    for begin, end in ((b"00010", b"00040"), (b"00050", b"00090")):
        batch = WriteBatch()
        batch.delete_range(begin, end)
        batch.put(b"new", begin)
        if begin == b"00010":
            store.commit(batch)
        else:
            with pytest.raises(KeyboardInterrupt):
                store.commit(batch)
    assert seen == [(100, None), (71, b"00010")]
    assert (len(keys_of(store)), store.get(b"new")) == (31, b"00050")
    with store.snapshot() as snapshot:
        assert len(list(snapshot.scan(b"\0", b"\xff"))) == 31
    store.close()
