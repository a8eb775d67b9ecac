"""The files of a store at one moment, beside a process that writes to it, flushes and compacts."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.store_writer import WRITER

from lutra.kv.batch import WriteBatch
from lutra.kv.frozen import frozen_store
from lutra.kv.rocksdb import RocksStore
from lutra.model.errors import Corruption, StorageFailure


def test_beside_a_writer(tmp_path: Path) -> None:
    """Copied whenever that is, they are a store of what was acknowledged before they were held, and no more."""
    path = tmp_path / "store"
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    try:
        for turn in range(4):
            for _ in range(80):
                acknowledged = int(writer.stdout.readline())
            with frozen_store(path) as frozen:
                last = sum(1 for _ in frozen.scan(b"b", b"c")) - 1
                for _ in range(400):  # so that tables and logs are deleted
                    writer.stdout.readline()
                copy = tmp_path / f"copy{turn}"
                shutil.copytree(frozen.folder, copy, symlinks=False)
            assert last >= acknowledged
            store = RocksStore(copy, may_make=False)
            keys = [key for key, _ in store.scan(b"a", b"c")]
            assert keys == [b"%s%012d" % (kind, number) for kind in (b"a", b"b") for number in range(last + 1)]
            commit(store, b"c")
            store.close()
            shutil.rmtree(copy)
    finally:
        writer.kill()
        writer.wait()
        writer.stdout.close()


def commit(store: RocksStore, *keys: bytes) -> None:
    batch = WriteBatch()
    for key in keys:
        batch.put(key, key)
    store.commit(batch)


def test_what_is_not_whole_is_not_frozen(tmp_path: Path) -> None:
    store = RocksStore(tmp_path / "store", write_buffer_bytes=1 << 20)
    for number in range(40):
        batch = WriteBatch()
        batch.put(b"%04d" % number, os.urandom(100_000))
        store.commit(batch)
    store.close()
    next((tmp_path / "store").glob("*.sst")).unlink()
    with pytest.raises(Corruption, match="is missing"), frozen_store(tmp_path / "store"):
        pass
    with pytest.raises(StorageFailure), frozen_store(tmp_path / "nowhere"):
        pass


def test_no_file_stays_open_and_no_temporary_one_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    store = RocksStore(tmp_path / "store")
    commit(store, b"a")
    before = len(os.listdir("/proc/self/fd"))
    with frozen_store(tmp_path / "store") as frozen:
        assert frozen.get(b"a") == b"a"
        with pytest.raises(StorageFailure):
            commit(frozen, b"b")
    assert len(os.listdir("/proc/self/fd")) == before
    assert not os.listdir(tmp_path / "temporary")
    store.close()
