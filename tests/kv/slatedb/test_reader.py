"""Reading a database beside its writer: one moment, whole, and nothing is taken or changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from lutra.kv.batch import WriteBatch
from lutra.kv.slatedb import store as store_module
from lutra.kv.slatedb.reader import SlateReader
from lutra.kv.slatedb.store import SlateStore
from lutra.kv.store import Estimate
from lutra.model.errors import ReadOnlyDatabase, StorageFailure


def put(store: SlateStore, *keys: bytes) -> None:
    batch = WriteBatch()
    for key in keys:
        batch.put(key, b"of " + key)
    store.commit(batch)


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_reader_sees_what_was_committed_and_nothing_after(tmp_path: Path) -> None:
    store = SlateStore(tmp_path / "store")
    put(store, b"a", b"b")
    store.flush()
    put(store, b"c")
    before = files_of(tmp_path)
    reader = SlateReader(tmp_path / "store")
    assert files_of(tmp_path) == before
    put(store, b"d")
    store.flush()
    put(store, b"e")
    for source in (reader, reader.snapshot()):
        assert [key for key, _ in source.scan(b"a", b"z")] == [b"a", b"b", b"c"]
        assert [key for key, _ in source.scan(b"a", b"z", reverse=True)] == [b"c", b"b", b"a"]
        assert source.get(b"c") == b"of c"
        assert source.get_many([b"d", b"a"]) == [None, b"of a"]
    assert reader.estimate(b"a", b"z", 9) == Estimate(3, 15, is_exact=True)
    assert reader.size_bytes(b"a", b"c") == 10
    assert reader.split(b"a", b"z", 5, 9) == [b"b", b"c"]
    with pytest.raises(ReadOnlyDatabase):
        reader.commit(WriteBatch())
    put(store, b"f")  # nothing was taken from its writer
    snapshot = reader.snapshot()
    snapshot.close()
    reader.close()
    reader.close()
    for use in (lambda: reader.get(b"a"), lambda: reader.snapshot(), lambda: snapshot.get(b"a")):
        with pytest.raises(StorageFailure, match="closed"):
            use()
    store.close()


def test_a_reader_shows_nothing_of_what_is_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "DELETED_SINGLY_MAX", 10)
    monkeypatch.setattr(SlateStore, "_tidy", lambda self: None)
    store = SlateStore(tmp_path / "store")
    put(store, *(b"%03d" % i for i in range(100)))
    batch = WriteBatch()
    batch.delete_range(b"010", b"090")
    store.commit(batch)
    reader = SlateReader(tmp_path / "store")
    assert len(list(reader.scan(b"0", b"9"))) == 20
    assert reader.get_many([b"050", b"005"]) == [None, b"of 005"]
    reader.close()
    store.close()


def test_there_has_to_be_a_database(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("nothing", "empty"):
        with pytest.raises(StorageFailure, match="no store"):
            SlateReader(tmp_path / name)
    with pytest.raises(StorageFailure, match="no store"):
        SlateStore(tmp_path / "nothing", may_make=False)
    assert not (tmp_path / "nothing").exists()
    with pytest.raises(StorageFailure, match="no store"):
        SlateStore(tmp_path / "empty", may_make=False)
