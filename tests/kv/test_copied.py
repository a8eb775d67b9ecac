"""A store looked at while another process writes to it as fast as it can."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.store_writer import WRITER

from lutra.kv.batch import WriteBatch
from lutra.kv.copied import copied_store, held_store
from lutra.kv.rocksdb import RocksStore
from lutra.model.errors import Corruption, DirectoryInUse, ReadOnlyDatabase, StorageFailure


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


def _fill(path: Path, rows: int, row_bytes: int = 20_000) -> RocksStore:
    """A store with several tables, where rows are many, and a log."""
    store = RocksStore(path, write_buffer_bytes=4 << 20)
    for number in range(rows):
        batch = WriteBatch()
        batch.put(b"k%06d" % number, os.urandom(row_bytes))
        store.commit(batch)
    return store


def test_one_that_is_held_outlives_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever deletes them; and what it needs of temporary files is gone once it is open."""
    path, temporary = tmp_path / "store", tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    store = _fill(path, 500)
    assert len(list(path.glob("*.sst"))) > 3
    held = held_store(path)
    assert list(temporary.iterdir()) == []
    expected = list(store.scan(b"k", b"l"))
    store.close()
    for file in path.iterdir():
        file.unlink()
    assert list(held.scan(b"k", b"l")) == expected
    assert list(held.scan(b"k", b"l", reverse=True)) == expected[::-1]
    assert held.get_many([key for key, _ in expected]) == [value for _, value in expected]
    with held.snapshot() as snapshot:
        assert list(snapshot.scan(b"k", b"l")) == expected
    batch = WriteBatch()
    batch.put(b"k", b"v")
    with pytest.raises(ReadOnlyDatabase, match=str(path)):
        held.commit(batch)
    held.close()
    with pytest.raises(StorageFailure, match=f"{path} is closed"):
        held.get(b"k")


def test_one_that_is_held_knows_whether_it_is_the_newest(tmp_path: Path) -> None:
    store = _fill(tmp_path / "store", 3)
    held = held_store(tmp_path / "store")
    assert held.is_newest
    batch = WriteBatch()
    batch.put(b"k", b"v")
    store.commit(batch)
    assert not held.is_newest
    held.close()
    held = held_store(tmp_path / "store")
    assert held.is_newest
    assert held.get(b"k") == b"v"
    held.close()
    store.close()


def test_one_that_is_damaged_is_not_held(tmp_path: Path) -> None:
    _fill(tmp_path / "store", 500).close()
    table = min((tmp_path / "store").glob("*.sst"))
    table.write_bytes(table.read_bytes()[:-1])
    with pytest.raises(Corruption, match=f"{tmp_path}/store is damaged: {table.name}"):
        held_store(tmp_path / "store")


MANY_FILES = """
import resource, sys
from pathlib import Path
from lutra.kv.copied import held_store
from lutra.model.errors import StorageFailure
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[2]), int(sys.argv[2])))
try:
    held_store(Path(sys.argv[1]))
except StorageFailure as error:
    print(error)
else:
    print("open")
"""


def test_a_process_that_may_not_open_so_many_files(tmp_path: Path) -> None:
    store = _fill(tmp_path / "store", 100, row_bytes=400_000)
    files = len(list((tmp_path / "store").glob("*.sst")))
    store.close()
    said = [
        subprocess.run(
            [sys.executable, "-c", MANY_FILES, str(tmp_path / "store"), str(limit)],
            capture_output=True,
            text=True,
            check=True,
            timeout=100,
        ).stdout
        for limit in (files + 100, files // 2 + 10)
    ]
    assert said[0] == "open\n"
    assert "may not open so many files: raise its limit (ulimit -n)" in said[1]
