"""A store looked at while another process writes to it as fast as it can."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lutra.kv.batch import WriteBatch
from lutra.kv.copied import copied_store
from lutra.kv.rocksdb import RocksStore
from lutra.model.errors import DirectoryInUse, StorageFailure

WRITER = """
import os, sys
from lutra.kv.batch import WriteBatch
from lutra.kv.rocksdb import RocksStore
store = RocksStore(sys.argv[1], write_buffer_bytes=4 << 20)
for i in range(10**9):
    batch = WriteBatch()
    batch.put(b"a%012d" % i, os.urandom(50_000))
    batch.put(b"b%012d" % i, b"")
    store.commit(batch)
    print(i, flush=True)
"""


def test_beside_a_writer(tmp_path: Path) -> None:
    """Tables and logs come and go; all that was acknowledged before is there, and nothing by halves."""
    path = tmp_path / "store"
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    try:
        for _ in range(8):
            for _ in range(50):
                acknowledged = int(writer.stdout.readline())
            with copied_store(path) as store:
                numbers = [int(key[1:]) for key, _ in store.scan(b"b", b"c")]
                assert store.get(b"a%012d" % numbers[-1]) is not None
            assert numbers == list(range(len(numbers)))
            assert numbers[-1] >= acknowledged
        with pytest.raises(DirectoryInUse):
            RocksStore(path)
        assert writer.poll() is None, "what looks on disturbs nobody"
    finally:
        writer.kill()
        writer.wait()
        writer.stdout.close()
    RocksStore(path).close()


def test_it_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "store"
    with_rows = RocksStore(path)
    batch = WriteBatch()
    batch.put(b"k", b"v")
    with_rows.commit(batch)
    before = {file.name: file.stat().st_mtime_ns for file in path.iterdir()}
    with copied_store(path) as store:
        assert store.get(b"k") == b"v"
        with pytest.raises(StorageFailure):
            store.commit(batch)
    assert {file.name: file.stat().st_mtime_ns for file in path.iterdir()} == before
    with_rows.close()


def test_what_is_no_store(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(StorageFailure, match=str(path)), copied_store(path):
            pass
    assert os.listdir(tmp_path) == []
