"""What only a store on disk can do wrong."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from lutra.kv.acknowledged import FILE as ACKNOWLEDGED
from lutra.kv.batch import WriteBatch
from lutra.kv.rocksdb import RocksStore
from lutra.kv.store import Estimate
from lutra.model.errors import Corruption, DirectoryInUse, StorageFailure

WRITER = """
import sys
from lutra.kv.acknowledged import FILE as ACKNOWLEDGED
from lutra.kv.batch import WriteBatch
from lutra.kv.rocksdb import RocksStore
store = RocksStore(sys.argv[1])
for i in range(10**9):
    batch = WriteBatch()
    batch.put(b"a%012d" % i, b"x" * 100)
    batch.put(b"b%012d" % i, b"x" * 100)
    store.commit(batch)
    print(i, flush=True)
"""


def fill(store: RocksStore, count: int, value_bytes: int = 100) -> None:
    for i in range(count):
        batch = WriteBatch()
        batch.put(b"%06d" % i, os.urandom(value_bytes))
        store.commit(batch)


def newest(path: Path, suffix: str) -> Path:
    return max((file for file in path.iterdir() if file.suffix == suffix), key=lambda file: file.stat().st_mtime)


def crashed_copy(path: Path, copy: Path) -> Path:
    """The files as a crash now would leave them: the live log is not yet flushed into a table file."""
    copy.mkdir()
    for file in path.iterdir():
        if file.name != "LOCK":
            (copy / file.name).write_bytes(file.read_bytes())
    return copy


def test_survives_reopening(tmp_path: Path) -> None:
    store = RocksStore(tmp_path / "store")
    fill(store, 10)
    store.close()
    store = RocksStore(tmp_path / "store")
    assert len(list(store.scan(b"0", b"9"))) == 10
    store.close()


def test_reopening_keeps_this_runs_options(tmp_path: Path) -> None:
    for cache_mib in (16, 32):
        store = RocksStore(tmp_path, block_cache_bytes=cache_mib << 20)
        log = (tmp_path / "LOG").read_text()
        assert f"capacity : {cache_mib << 20}" in log
        assert "Options.wal_recovery_mode: 0" in log
        assert "filter_policy: bloomfilter" in log
        store.close()


@pytest.mark.parametrize("round_", range(3))
def test_kill_loses_nothing_acknowledged(tmp_path: Path, round_: int) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path / "store")], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    acknowledged = -1
    for line in writer.stdout:
        acknowledged = int(line)
        if acknowledged >= 50 * (round_ + 1):
            break
    writer.send_signal(signal.SIGKILL)
    acknowledged = max([acknowledged, *map(int, writer.stdout.read().split()[:-1])])
    writer.wait()
    writer.stdout.close()
    store = RocksStore(tmp_path / "store")
    rows = len(list(store.scan(b"a", b"b")))
    assert rows > acknowledged
    assert rows == len(list(store.scan(b"b", b"c"))), "a batch is torn"
    store.close()


def test_a_second_opening_is_refused(tmp_path: Path) -> None:
    store = RocksStore(tmp_path)
    with pytest.raises(DirectoryInUse, match=r"this process has .* open already"):
        RocksStore(tmp_path)
    other = subprocess.run(
        [sys.executable, "-c", f"from lutra.kv.rocksdb import RocksStore; RocksStore({str(tmp_path)!r})"],
        capture_output=True,
        text=True,
    )
    assert "DirectoryInUse: another process has" in other.stderr
    store.close()
    RocksStore(tmp_path).close()


def test_closing_releases_the_directory_though_reads_are_open(tmp_path: Path) -> None:
    store = RocksStore(tmp_path)
    fill(store, 10)
    scan = iter(store.scan(b"0", b"9"))
    next(scan)
    snapshot = store.snapshot()
    snapshot_scan = iter(snapshot.scan(b"0", b"9"))
    assert next(snapshot_scan)[0] == b"000000"
    store.close()
    reopened = RocksStore(tmp_path)
    with pytest.raises(StorageFailure, match="closed"):
        list(scan)
    with pytest.raises(StorageFailure, match="closed"):
        list(snapshot_scan)
    with pytest.raises(StorageFailure, match="closed"):
        snapshot.get(b"000001")
    reopened.close()


def test_closing_amid_reads_and_writes_is_clean(tmp_path: Path) -> None:
    store = RocksStore(tmp_path)
    fill(store, 50)
    keys = [b"%06d" % i for i in range(50)]
    seen: list[BaseException] = []

    def use() -> None:
        try:
            while True:
                store.get_many(keys)
                list(store.scan(b"0", b"9"))
                batch = WriteBatch()
                batch.put(b"x", b"y")
                store.commit(batch)
        except BaseException as error:
            seen.append(error)

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    store.close()
    for thread in threads:
        thread.join()
    assert [type(error) for error in seen] == [StorageFailure] * 4
    assert all("closed" in str(error) for error in seen)


def test_a_torn_log_tail_is_dropped(tmp_path: Path) -> None:
    store = RocksStore(tmp_path / "store")
    fill(store, 19)
    acknowledged = (tmp_path / "store" / ACKNOWLEDGED).read_bytes()
    batch = WriteBatch()
    batch.put(b"last", b"x" * 100)
    store.commit(batch)
    crashed = crashed_copy(tmp_path / "store", tmp_path / "crashed")
    store.close()
    log = newest(crashed, ".log")
    log.write_bytes(log.read_bytes()[:-40])
    with pytest.raises(Corruption, match="write 20 was acknowledged"):
        RocksStore(crashed)
    (crashed / ACKNOWLEDGED).write_bytes(acknowledged)  # cut short before it was
    store = RocksStore(crashed)
    assert len(list(store.scan(b"0", b"z"))) == 19
    store.close()


def test_a_damaged_log_is_refused(tmp_path: Path) -> None:
    store = RocksStore(tmp_path / "store")
    fill(store, 20)
    crashed = crashed_copy(tmp_path / "store", tmp_path / "crashed")
    store.close()
    log = newest(crashed, ".log")
    data = bytearray(log.read_bytes())
    data[len(data) // 2] ^= 0xFF
    log.write_bytes(bytes(data))
    with pytest.raises(Corruption, match="damaged"):
        RocksStore(crashed)


def test_a_damaged_table_file_is_reported_by_every_read(tmp_path: Path) -> None:
    store = RocksStore(tmp_path)
    fill(store, 400, value_bytes=1_000)
    store.close()
    table = newest(tmp_path, ".sst")
    data = bytearray(table.read_bytes())
    data[len(data) // 2] ^= 0xFF
    table.write_bytes(bytes(data))
    store = RocksStore(tmp_path)
    keys = [b"%06d" % i for i in range(400)]
    with pytest.raises(Corruption):
        list(store.scan(b"0", b"9"))
    with pytest.raises(Corruption):
        list(store.scan(b"0", b"9", reverse=True))
    with pytest.raises(Corruption):
        store.get_many(keys)
    with pytest.raises(Corruption):
        [store.get(key) for key in keys]
    with store.snapshot() as snapshot:
        with pytest.raises(Corruption):
            list(snapshot.scan(b"0", b"9"))
        with pytest.raises(Corruption):
            list(snapshot.scan(b"0", b"9", reverse=True))
        with pytest.raises(Corruption):
            snapshot.get_many(keys)
    store.close()


def test_a_close_that_fails_says_why_and_lets_the_directory_go(tmp_path: Path) -> None:
    store = RocksStore(tmp_path)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    fill(store, 20)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, before[1]))
    try:
        with pytest.raises(StorageFailure, match="File too large"):
            fill(store, 20, 5_000)
        with pytest.raises(StorageFailure, match="File too large"):
            store.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    store.close()
    with pytest.raises(StorageFailure, match="is closed"):
        store.get(b"000000")
    again = RocksStore(tmp_path)
    assert len(list(again.scan(b"", b"z"))) == 20
    again.close()


def test_a_path_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageFailure, match="cannot use"):
        RocksStore(tmp_path / "file")
    with pytest.raises(StorageFailure, match="cannot use"):
        RocksStore(tmp_path / "file" / "below")


def test_large_ranges_are_measured_by_their_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RocksStore, "measured_pairs_max", 100)
    for part in range(4):
        store = RocksStore(tmp_path)
        batch = WriteBatch()
        for i in range(1_000):
            batch.put(b"%d/%06d" % (part, i), os.urandom(1_000))
        store.commit(batch)
        store.close()
    store = RocksStore(tmp_path)
    assert 3_800_000 < store.size_bytes(b"0", b"9") < 4_400_000
    assert store.split(b"0", b"9", 900_000, 10) == [b"%d/000000" % part for part in (1, 2, 3)]
    about = store.estimate(b"1", b"3", 100)
    assert about.pairs == 2_000, "by the files, of which only so many pairs were counted"
    assert 1_900_000 < about.size_bytes < 2_200_000
    assert not about.is_exact
    assert not about.is_least
    batch = WriteBatch()
    for i in range(2_000):
        batch.put(b"5/%06d" % i, b"")
    store.commit(batch)
    assert store.estimate(b"5", b"6", 100) == Estimate(100, 800, is_exact=False, is_least=True), "no file has them yet"
    assert store.estimate(b"0", b"9", 100).pairs == 6_000
    store.close()
