"""What a store on objects has beyond the seam: addresses, tables, files that reach the disk, damage."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lutra.kv.batch import WriteBatch
from lutra.kv.slatedb import reads
from lutra.kv.slatedb import store as store_module
from lutra.kv.slatedb.address import SlateAddress
from lutra.kv.slatedb.store import SlateStore
from lutra.model.errors import Corruption, ParameterInvalid, StorageFailure


def fill(store: SlateStore, begin: int, end: int) -> None:
    batch = WriteBatch()
    for i in range(begin, end):
        batch.put(b"%06d" % i, os.urandom(100))
    store.commit(batch)


@pytest.mark.parametrize(
    "address",
    [
        *(
            "",
            "s3://",
            "s3://bucket",
            "s3://bucket/",
            "s3://bucket/a b",
            "s3://bucket/../x",
            "s3://b?q=1/x",
            "gs://b/x",
        ),
        *("http://host/x", "file://host/x", "/", "/tmp/na#me"),
    ],
)
def test_what_is_no_place_is_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with pytest.raises(ParameterInvalid):
        SlateAddress.of(address)


def test_places_are_the_same_however_they_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    assert SlateAddress.of(tmp_path / "x") == SlateAddress.of(f"file://{tmp_path}/x")
    assert SlateAddress.of("s3://bucket/a/b/") == SlateAddress.of("s3://bucket/a/b")
    assert str(SlateAddress.of("s3://bucket/a/b")) == "s3://bucket/a/b"
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(ParameterInvalid, match="AWS_SECRET_ACCESS_KEY"):
        SlateStore("s3://bucket/a")


@pytest.mark.parametrize("key", [b"", b"\xff" * 16, b"\xff" * 20 + b"x"])
def test_some_keys_are_the_stores_own(tmp_path: Path, key: bytes) -> None:
    store = SlateStore(tmp_path / "store")
    batch = WriteBatch()
    batch.put(b"other", b"1")
    batch.put(key, b"1")
    with pytest.raises(ParameterInvalid, match="a key is neither"):
        store.commit(batch)
    assert store.get(b"other") is None
    store.commit(WriteBatch([(0, b"other", b"2")]))  # it is as good as before
    store.close()


def test_large_ranges_are_measured_by_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SlateStore, "measured_pairs_max", 100)
    store = SlateStore(tmp_path / "store")
    for begin in range(0, 8_000, 2_000):
        fill(store, begin, begin + 2_000)
        store.flush()
    assert 700_000 < store.size_bytes(b"0", b"9") < 1_100_000
    found = store.estimate(b"0", b"9", 100)
    assert not found.is_exact
    assert 7_000 < found.pairs < 9_000
    assert store.split(b"0", b"9", 300_000, 9) == [b"004000"]
    assert store.split(b"0", b"9", 150_000, 9) == [b"%06d" % i for i in (2_000, 4_000, 6_000)]
    fill(store, 8_000, 8_500)  # which no table has yet
    assert store.estimate(b"0", b"9", 100).pairs > found.pairs
    store.close()


def test_tables_are_written_after_many_commits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "FLUSH_COMMITS", 5)
    store = SlateStore(tmp_path / "store")
    for i in range(4):
        fill(store, i, i + 1)
    assert not list((tmp_path / "store").glob("compacted/*"))
    fill(store, 4, 5)
    store._background.stop()  # once its step is done
    assert len(list((tmp_path / "store").glob("compacted/*"))) == 1
    store.close()


def test_what_is_acknowledged_was_fsynced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: set[str] = set()
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        synced.add(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    for _ in range(2):
        store = SlateStore(tmp_path / "store")
        fill(store, 0, 1)
        store.close()
    first, *_, last = sorted((tmp_path / "store").glob("wal/*.sst"))
    for path in (tmp_path / "store").glob("wal/*.sst"):
        if path not in (first, last):
            path.unlink()  # as is done with what tables have
    store = SlateStore(tmp_path / "store")
    for i in range(3):
        fill(store, i, i + 1)
        logs = {str(path) for path in (tmp_path / "store").glob("wal/*.sst")}
        assert len(logs) == i + 4  # one is that of this opening
        assert logs | {str(tmp_path / "store" / "wal")} <= synced
    store.flush()
    tables = {
        str(path) for name in ("compacted/*.sst", "manifest/*.manifest") for path in tmp_path.glob(f"store/{name}")
    }
    assert tables
    assert tables <= synced

    def refused(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", refused)
    with pytest.raises(StorageFailure, match="cannot fsync"):
        fill(store, 9, 10)
    with pytest.raises(StorageFailure, match="open it again"):
        store.get(b"000001")
    monkeypatch.undo()
    store.close()


def test_damage_is_told(tmp_path: Path) -> None:
    store = SlateStore(tmp_path / "store")
    fill(store, 0, 3_000)
    store.close()
    (table,) = (tmp_path / "store").glob("compacted/*.sst")
    data = bytearray(table.read_bytes())
    data[50_000] ^= 0xFF
    table.write_bytes(data)
    store = SlateStore(tmp_path / "store")
    with pytest.raises(Corruption):
        list(store.scan(b"0", b"9"))
    store.close()
    table.unlink()
    with pytest.raises(Corruption):
        list(SlateStore(tmp_path / "store").scan(b"0", b"9"))


def test_a_scan_goes_on_though_its_tables_are_merged_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reads, "_ANEW_S", 0.0)
    monkeypatch.setattr(reads, "_LONG_PAIRS", 500)
    store = SlateStore(tmp_path / "store")
    fill(store, 0, 2_000)
    for reverse in (False, True):
        scan = store.scan(b"0", b"9", reverse=reverse)
        keys = [next(scan)[0] for _ in range(300)]
        store.flush()
        keys += [key for key, _ in scan]
        assert keys == sorted((b"%06d" % i for i in range(2_000)), reverse=reverse)
    store.close()
