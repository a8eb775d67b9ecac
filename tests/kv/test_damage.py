"""Whatever became of a store's files: it is refused, and stays as it is, or all that was acknowledged is there."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from lutra.kernels.log_frames import log_frames
from lutra.kv.batch import WriteBatch
from lutra.kv.copied import copied_store
from lutra.kv.inspection import UNFINISHED, current_manifest
from lutra.kv.manifest import read_manifest
from lutra.kv.rocksdb import RocksStore
from lutra.model.errors import Corruption, StorageFailure

WRITER = """
import os, sys
from lutra.kv.batch import WriteBatch
from lutra.kv.rocksdb import RocksStore
store = RocksStore(sys.argv[1], write_buffer_bytes=4 << 20)
for i in range(10**9):
    batch = WriteBatch()
    batch.put(b"%06d" % i, os.urandom(int(sys.argv[2]) if i % 3 else 10))
    if i % 50 == 7:
        batch.delete_range(b"x%06d" % i, b"y")
    store.commit(batch)
    print(i, flush=True)
"""


def written(path: Path, count: int, value_bytes: int = 30_000) -> int:
    """A store left behind by a process that was killed; how many rows it had acknowledged at least."""
    command = [sys.executable, "-c", WRITER, str(path), str(value_bytes)]
    writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    rows = 0
    while rows < count:
        rows = int(writer.stdout.readline()) + 1
    writer.kill()
    rows = max([rows, *(int(line) + 1 for line in writer.stdout.read().split("\n")[:-1])])
    writer.wait()
    writer.stdout.close()
    return rows


def content(path: Path) -> dict[str, bytes]:
    """But for what RocksDB tells of itself, of which it begins a new file at each try."""
    return {file.name: file.read_bytes() for file in path.iterdir() if not file.name.startswith(("LOG", "LOCK"))}


def rows_of(path: Path) -> int:
    store = RocksStore(path)
    try:
        return len(list(store.scan(b"0", b"9")))
    finally:
        store.close()


def looked_at(path: Path) -> int:
    """As `rows_of`, by who only reads."""
    with copied_store(path) as store:
        return len(list(store.scan(b"0", b"9")))


def refusals(path: Path, rows: int) -> list[str]:
    """The errors of three tries; none where all rows are there. Nothing else may be."""
    before = content(path)
    errors: list[str] = []
    for read in (looked_at, rows_of, rows_of, looked_at, rows_of):
        try:
            found = read(path)
        except (Corruption, StorageFailure) as error:
            errors.append(str(error))
            assert content(path) == before
        else:
            assert found >= rows
            assert not errors
    assert len(errors) in (0, 5)
    return errors


def live_logs(path: Path) -> list[Path]:
    """With writes that are in no table."""
    first = read_manifest(path / current_manifest(path)).first_log
    return [log for log in sorted(path.glob("*.log")) if int(log.stem) >= first and log.stat().st_size]


def copied(store: Path, copy: Path) -> Path:
    """Files that are never written to again are links."""
    copy.mkdir()
    for file in store.iterdir():
        if file.suffix == ".sst":
            os.link(file, copy / file.name)
        else:
            shutil.copyfile(file, copy / file.name)
    return copy


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, int]]:
    """Tables, and logs with writes that are in no table: several, unless each table was written faster than that."""
    folder = tmp_path_factory.mktemp("killed")
    store, rows = folder / "0", written(folder / "0", 30, 300_000)
    for number in range(1, 40):
        if len(live_logs(store)) > 1:
            break
        shutil.rmtree(store)
        store, rows = folder / str(number), written(folder / str(number), 30 + number % 8, 300_000)
    yield store, rows
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory, killed: tuple[Path, int]) -> Iterator[tuple[Path, int]]:
    """All of it in tables, and an empty log."""
    folder = tmp_path_factory.mktemp("closed")
    RocksStore(copied(killed[0], folder / "store")).close()
    yield folder / "store", killed[1]
    shutil.rmtree(folder)


def cut_after_a_record(file: Path) -> None:
    frames = log_frames(np.fromfile(file, np.uint8))
    whole = np.flatnonzero((frames.types == 1) | (frames.types == 4))
    last = int(whole[len(whole) // 2]) if len(whole) else None
    with file.open("r+b") as opened:
        opened.truncate(0 if last is None else int(frames.payloads[last] + frames.lengths[last]))


def halve(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.truncate(file.stat().st_size // 2)


DAMAGES: dict[str, Callable[[Path], None]] = {
    "deleted": Path.unlink,
    "emptied": lambda file: file.write_bytes(b"") and None,
    "halved": halve,
    "cut after a record": cut_after_a_record,
    "flipped": lambda file: (
        file.write_bytes((data := file.read_bytes())[: len(data) // 2] + b"\x5a" + data[len(data) // 2 + 1 :]) and None
    ),
}
KINDS = ["CURRENT", "MANIFEST-", ".log", ".sst", "IDENTITY", "OPTIONS-", "ACKNOWLEDGED", "rocksdict-config.json"]


SOONEST = [("killed", "deleted"), ("killed", "halved"), ("closed", "deleted")]


@pytest.mark.parametrize(
    ("state", "damage"),
    [
        pytest.param(state, damage, marks=() if (state, damage) in SOONEST else pytest.mark.slow)
        for state in ("killed", "closed")
        for damage in DAMAGES
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_every_file(state: str, kind: str, damage: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    store, rows = request.getfixturevalue(state)
    files = sorted(file.name for file in store.iterdir() if file.name.startswith(kind) or file.name.endswith(kind))
    assert files
    if kind == ".log" and state == "killed":
        files = [log.name for log in live_logs(store)]
        assert len(files) > 1
    for name in {files[0], files[len(files) // 2], files[-1]}:
        copy = copied(store, tmp_path / name)
        (copy / name).unlink()
        shutil.copyfile(store / name, copy / name)
        DAMAGES[damage](copy / name)
        if damage == "flipped" and kind == ".sst":
            continue  # found by who reads the block
        errors = refusals(copy, rows)
        if damage == "deleted" and kind in ("CURRENT", "MANIFEST-", ".sst", ".log") and state == "closed":
            assert errors
            assert name in errors[0] or kind == "MANIFEST-"
        shutil.rmtree(copy)


def test_bytes_that_are_missing_within_a_log(tmp_path: Path, killed: tuple[Path, int]) -> None:
    """RocksDB's reader never came to an end in half of these."""
    store, rows = killed
    rng = random.Random(5)
    logs = [log.name for log in live_logs(store) if log.stat().st_size > 50_000]
    for number in range(8):
        copy = copied(store, tmp_path / str(number))
        log = copy / rng.choice(logs)
        data = log.read_bytes()
        begin, count = rng.randrange(len(data) - 40_000), rng.choice([1, 7, 100, 5_000, 32_768])
        log.write_bytes(data[:begin] + data[begin + count :])
        with pytest.raises(Corruption, match=log.name):
            rows_of(copy)
        assert refusals(copy, rows)
        shutil.rmtree(copy)


def test_files_of_different_times(tmp_path: Path) -> None:
    """Those of a backup that was put back in part."""
    path, older = tmp_path / "store", tmp_path / "older"
    written(path, 60)
    copied(path, older)
    rows = written(path, 120)
    names = {file.name for file in (*path.iterdir(), *older.iterdir()) if not file.name.startswith(("LOG", "LOCK"))}
    of_the_manifest = {name for name in names if name.startswith(("CURRENT", "MANIFEST-"))}
    for changed in [*({name} for name in sorted(names)), of_the_manifest]:
        mixed = copied(path, tmp_path / "mixed")
        for name in changed:
            (mixed / name).unlink(missing_ok=True)
            if (older / name).exists():
                shutil.copyfile(older / name, mixed / name)
        errors = refusals(mixed, rows)
        assert errors or changed != of_the_manifest
        shutil.rmtree(mixed)


@pytest.mark.parametrize("left", ["nothing", "a mark", "half of it"])
def test_a_store_whose_making_was_cut_short(left: str, tmp_path: Path) -> None:
    path = tmp_path / "store"
    if left != "nothing":
        path.mkdir()
        (path / UNFINISHED).touch()
    if left == "half of it":
        for name in ("IDENTITY", "MANIFEST-000001", "000001.dbtmp"):
            (path / name).write_bytes(b"")
    assert rows_of(path) == 0
    assert not (path / UNFINISHED).exists()
    (path / "CURRENT").unlink()
    assert "CURRENT" in refusals(path, 1)[0]


MAKER = "import sys; from lutra.kv.rocksdb import RocksStore; print(flush=True); RocksStore(sys.argv[1])"


def test_killed_while_it_is_made(tmp_path: Path) -> None:
    """What is left is opened, and is empty."""
    for files in (1, 3, 5, 8):
        path = tmp_path / str(files)
        maker = subprocess.Popen([sys.executable, "-c", MAKER, str(path)], stdout=subprocess.PIPE)
        assert maker.stdout is not None
        maker.stdout.readline()
        while maker.poll() is None and not (path.exists() and len(os.listdir(path)) >= files):
            pass
        maker.kill()
        maker.wait()
        maker.stdout.close()
        assert rows_of(path) == 0


def test_logs_as_rocksdb_writes_them(tmp_path: Path) -> None:
    """Records of all lengths, and with beginnings at all distances from a block's end."""
    path = tmp_path / "store"
    store = RocksStore(path)
    rng = random.Random(1)
    for number in range(300):
        batch = WriteBatch()
        batch.put(b"%06d" % number, rng.randbytes(rng.choice([0, 30, 32_700 + rng.randrange(60), 70_000])))
        store.commit(batch)
    copy = tmp_path / "copy"
    shutil.copytree(path, copy)
    store.close()
    assert refusals(copy, 300) == []
    assert rows_of(copy) == 300
