"""Commits reach the disk, and a disk that refuses is noticed: with fdatasync replaced in a process of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

INTERPOSED = """
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
static int sync_by(int descriptor, int call) {
    if (access(getenv("FSYNC_FAILS"), F_OK) == 0) { errno = EIO; return -1; }
    return syscall(call, descriptor);
}
int fdatasync(int descriptor) { return sync_by(descriptor, SYS_fdatasync); }
int fsync(int descriptor) { return sync_by(descriptor, SYS_fsync); }
"""

PROGRAM = """
import os, sys
from pathlib import Path
from lutra.kv.batch import WriteBatch
from lutra.kv.rocksdb import RocksStore
from lutra.model.errors import StorageFailure

def commit(key):
    batch = WriteBatch()
    batch.put(key, b"value")
    store.commit(batch)

def refused(use):
    try:
        use()
    except StorageFailure as error:
        print("refused:", error)
    else:
        print("accepted")

store = RocksStore(sys.argv[1])
commit(b"a")
scan = iter(store.scan(b"a", b"z"))
Path(os.environ["FSYNC_FAILS"]).touch()
refused(lambda: commit(b"b"))
Path(os.environ["FSYNC_FAILS"]).unlink()
refused(lambda: commit(b"c"))
refused(lambda: store.get(b"b"))
refused(lambda: store.get_many([b"b"]))
refused(lambda: next(scan))
refused(lambda: next(store.scan(b"a", b"z")))
refused(lambda: store.snapshot())
try:
    store.close()
except StorageFailure:
    pass
"""


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_a_failed_fsync_fails_its_commit_and_ends_the_store(tmp_path: Path) -> None:
    (tmp_path / "interposed.c").write_text(INTERPOSED)
    library = tmp_path / "interposed.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, tmp_path / "interposed.c"], check=True)
    program = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "store")],
        env={**os.environ, "LD_PRELOAD": str(library), "FSYNC_FAILS": str(tmp_path / "fails")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert program.returncode == 0, program.stderr
    lines = program.stdout.splitlines()
    assert len(lines) == 7
    assert all(line.startswith("refused: ") for line in lines), lines
    assert "fsync the log" in lines[0]
    assert "open it again" in lines[1]
