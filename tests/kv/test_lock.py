"""One process, and in it one store, has a directory at a time, whatever is deleted in it."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lutra.kv.batch import WriteBatch
from lutra.kv.lock import DirectoryLock
from lutra.kv.rocksdb import RocksStore
from lutra.model.errors import DirectoryInUse

OPENER = "import sys; from lutra.kv.rocksdb import RocksStore; RocksStore(sys.argv[1]); print('opened')"


def opened_elsewhere(path: Path) -> str:
    """What another process says that opens the store."""
    opener = subprocess.run([sys.executable, "-c", OPENER, str(path)], capture_output=True, text=True, check=False)
    return opener.stdout + opener.stderr


def test_the_file_that_rocksdb_locks_may_be_deleted(tmp_path: Path) -> None:
    store = RocksStore(tmp_path)
    (tmp_path / "LOCK").unlink()
    assert "DirectoryInUse: another process has" in opened_elsewhere(tmp_path)
    with pytest.raises(DirectoryInUse, match="this process has"):
        RocksStore(tmp_path)
    batch = WriteBatch()
    batch.put(b"k", b"v")
    store.commit(batch)
    store.close()
    assert opened_elsewhere(tmp_path) == "opened\n"


def test_rocksdbs_own_lock_counts_as_well(tmp_path: Path) -> None:
    """Of a version that knows no other."""
    store = RocksStore(tmp_path)
    assert store._lock is not None
    store._lock.close()
    assert "DirectoryInUse: another process has" in opened_elsewhere(tmp_path)
    store.close()


def test_it_is_let_go_of_where_opening_fails(tmp_path: Path) -> None:
    RocksStore(tmp_path).close()
    current = (tmp_path / "CURRENT").read_bytes()
    (tmp_path / "CURRENT").write_bytes(b"")
    for _ in range(2):
        with pytest.raises(Exception, match="CURRENT names no manifest"):
            RocksStore(tmp_path)
    (tmp_path / "CURRENT").write_bytes(current)
    RocksStore(tmp_path).close()


def test_a_lock_is_one_of_a_directory(tmp_path: Path) -> None:
    first = DirectoryLock(tmp_path, Path("the data"))
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(DirectoryInUse, match="the data"):
        DirectoryLock(tmp_path / "link", Path("the data"))
    first.close()
    first.close()
    DirectoryLock(tmp_path / "link").close()


def test_where_folders_cannot_be_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """RocksDB's lock on a file is left, and what this process knows."""

    def refused(descriptor: int, operation: int) -> None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    monkeypatch.setattr(fcntl, "flock", refused)
    store = RocksStore(tmp_path)
    assert "cannot be locked (Bad file descriptor)" in caplog.text
    with pytest.raises(DirectoryInUse, match="this process has"):
        RocksStore(tmp_path)
    assert "DirectoryInUse: another process has" in opened_elsewhere(tmp_path)
    store.close()
    RocksStore(tmp_path).close()
