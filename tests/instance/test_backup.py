"""Backups of a database that is written to, and what is restored of them: the database as it was, to go on with."""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from support.asynchronous import run
from support.folders import folder_in_memory
from support.numbered_batches import after, between, vector
from support.reading import FIELDS, VECTORS, index_of, make, row, tree, write_out
from support.s3_server import S3Server

import lutra
from lutra.backup.checking import check_backups
from lutra.backup.place import BackupPlace
from lutra.backup.pruning import prune
from lutra.backup.sources import ObjectSource
from lutra.instance.backing_up import back_up
from lutra.instance.fsck import check_directory
from lutra.instance.traces import RESTORING
from lutra.model.errors import (
    Corruption,
    ForeignObjects,
    ObjectMissing,
    ObjectNotExist,
    OperationConflict,
    ParameterInvalid,
    StorageFailure,
)


def check(folder: Path, model: dict[int, dict[str, Any]]) -> None:
    """It is whole, is what the model says, in rows and in searches, and goes on."""
    assert check_directory(folder) == []
    with lutra.connect(folder) as database:
        table = database.table("t")
        assert {found["id"]: found["n"] for found in table.scan()} == {key: one["n"] for key, one in model.items()}
        assert table.count() == len(model)
        for key in list(model)[:3]:
            assert table.search(model[key]["v"], limit=1)[0]["id"] == key
            found = table.search(where=lutra.col("n") == model[key]["n"], limit=1_000)
            assert {one["id"] for one in found} == {id for id, one in model.items() if one["n"] == model[key]["n"]}
        table.put(row(3_999, 12_345))
        assert [one["id"] for one in table.search(where=lutra.col("n") == 12_345)] == [3_999]
        write_out(database, table)
    assert check_directory(folder) == []


class BackupMachine(RuleBasedStateMachine):
    """Writes, segments, backups, prunings and restorings, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="lutra-backup-", dir=folder_in_memory()))
        self.place = self.folder / "backups"
        self.database = lutra.connect(self.folder / "data")
        self.table = make(self.database)
        self.model: dict[int, dict[str, Any]] = {}
        self.backups: dict[str, dict[int, dict[str, Any]]] = {}
        self.n = 0

    @rule(keys=st.lists(st.integers(0, 60), min_size=1, max_size=20, unique=True))
    def put(self, keys: list[int]) -> None:
        self.n += 1
        rows = [row(key, self.n) for key in keys]
        self.table.put_many(rows)
        self.model |= {one["id"]: one for one in rows}

    @rule(keys=st.lists(st.integers(0, 60), min_size=1, max_size=20, unique=True))
    def delete(self, keys: list[int]) -> None:
        self.table.delete_many(keys)
        for key in keys:
            self.model.pop(key, None)

    @rule()
    def write_out(self) -> None:
        write_out(self.database, self.table)

    @rule()
    def merge(self) -> None:
        self.table.count()
        index_of(self.database).compact()

    @rule()
    def close_and_open(self) -> None:
        self.database.close()
        self.database = lutra.connect(self.folder / "data")
        self.table = self.database.table("t")

    @rule()
    def back_up(self) -> None:
        made = self.database.backup(self.place)
        assert made.notes == () or not self.model or "nothing written out" in made.notes[0]
        self.backups[made.id] = dict(self.model)

    @precondition(lambda self: self.backups)
    @rule(keep=st.integers(1, 3))
    def prune(self, keep: int) -> None:
        kept = prune(BackupPlace.to_write(self.place), keep).kept
        assert list(kept) == list(self.backups)[-keep:]
        self.backups = {id: self.backups[id] for id in kept}

    @precondition(lambda self: self.backups)
    @rule(data=st.data())
    def restore(self, data: st.DataObject) -> None:
        id = data.draw(st.sampled_from(sorted(self.backups)))
        try:
            assert lutra.restore(self.place, self.folder / "restored", backup=id).id == id
            check(self.folder / "restored", self.backups[id])
        finally:
            shutil.rmtree(self.folder / "restored", ignore_errors=True)

    @precondition(lambda self: len(self.backups) > 1)
    @rule()
    def go_on_with_what_was_restored(self) -> None:
        """Another future of the same store: its files have names and numbers that the first one's had."""
        id = next(iter(self.backups))
        self.database.close()
        shutil.rmtree(self.folder / "data")
        lutra.restore(self.place, self.folder / "data", backup=id)
        self.database = lutra.connect(self.folder / "data")
        self.table, self.model = self.database.table("t"), dict(self.backups[id])

    def teardown(self) -> None:
        self.database.close()
        if self.backups:
            assert not check_backups(BackupPlace.to_read(self.place)).faults
        shutil.rmtree(self.folder, ignore_errors=True)


TestBackups = BackupMachine.TestCase
TestBackups.settings = settings(
    max_examples=6, stateful_step_count=14, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_backups_at_length() -> None:
    machine = type("Long", (BackupMachine,), {}).TestCase
    machine.settings = settings(TestBackups.settings, max_examples=60, stateful_step_count=30)
    machine().runTest()


# --- what is in one -------------------------------------------------------------------------------------------------


@pytest.fixture
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="lutra-backup-", dir=folder_in_memory()))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def place(home: Path) -> Path:
    return home / "backups"


@pytest.fixture
def database(home: Path) -> Iterator[lutra.Database]:
    with lutra.connect(home / "data") as database:
        yield database


def test_all_there_is_is_in_it(home: Path, place: Path, database: lutra.Database) -> None:
    """Several tables and instances, streams, numbers that are given; and nothing that is secret."""
    (home / "data" / "credentials.json").write_text('{"access_key_secret": "do-not-tell"}')
    write_out(database, make(database, 50))
    plain = database.create_table("plain", {"kind": str, "id": lutra.AUTO_INCREMENT})
    last = [plain.put({"kind": "a", "x": number})[1] for number in range(5)][-1]
    with lutra.connect(home / "data", instance="photos") as photos:
        photos.create_table("p", {"id": str}, {"title": lutra.Text()}).put({"id": "a", "title": "an otter"})
        made = photos.backup(place)
    assert not any(b"do-not-tell" in path.read_bytes() for path in place.rglob("*") if path.is_file())
    assert lutra.restore(place, home / "restored") == made
    assert made.directory == str(home / "data")
    assert not (home / "restored" / "credentials.json").exists()
    with lutra.connect(home / "restored") as restored:
        assert restored.table_names() == ["plain", "t"]
        assert restored.table("t").count() == 50
        assert restored.table("plain").put({"kind": "a", "x": 9})[1] > last
    with lutra.connect(home / "restored", instance="photos") as photos:
        assert photos.table("p").search(text="otter")[0]["id"] == "a"


def test_indexes_are_not_built_anew(home: Path, place: Path, database: lutra.Database) -> None:
    write_out(database, make(database, 300))
    written = index_of(database).stats()
    database.backup(place)
    lutra.restore(place, home / "restored")
    with lutra.connect(home / "restored") as restored:
        assert restored.table("t").count() == 300
        stats = index_of(restored).stats()
        assert stats.buffer_rows == 0
        assert [one.rows for one in stats.segments] == [one.rows for one in written.segments] == [300]


def test_only_what_is_new_is_copied(home: Path, place: Path, database: lutra.Database) -> None:
    table = make(database, 3_000)
    write_out(database, table)
    first = database.backup(place)
    assert 0.9 * first.size_bytes < first.new_bytes <= first.size_bytes
    again = database.backup(place)
    assert (again.new_bytes, again.size_bytes) == (0, first.size_bytes)
    table.put(row(1, 5))
    write_out(database, table)
    segment_bytes = max(path.stat().st_size for path in (home / "data" / "objects").rglob("segments/*"))
    log_bytes = sum(path.stat().st_size for path in (home / "data" / "kv").glob("*.log"))
    third = database.backup(place)
    assert third.new_bytes <= third.size_bytes - segment_bytes
    assert third.new_bytes < log_bytes + 100_000
    lutra.restore(place, home / "restored")
    with lutra.connect(home / "restored") as restored:
        assert restored.backup(place).new_bytes < log_bytes + 100_000  # segments and tables are the same ones


def test_beside_the_process_that_reads(home: Path, place: Path) -> None:
    """Of what there is now, not of what is shown; and not a byte of the directory is changed."""
    with lutra.connect(home / "data") as database:
        table = make(database, 10)
        reader = lutra.connect(home / "data", read_only=True)
        table.put(row(10))
    before = tree(home / "data")
    reader.backup(place)
    assert tree(home / "data") == before
    assert reader.table("t").count() == 10
    reader.close()
    lutra.restore(place, home / "restored")
    with lutra.connect(home / "restored", read_only=True) as restored:
        assert restored.table("t").count() == 11


def test_a_damaged_index_keeps_no_row_out(home: Path, place: Path, database: lutra.Database) -> None:
    write_out(database, make(database, 20))
    for path in (home / "data" / "objects").rglob("segments/*"):
        path.unlink()
    (note,) = database.backup(place).notes
    assert "search index 'search' of table 't' is damaged" in note
    lutra.restore(place, home / "restored")
    with lutra.connect(home / "restored") as restored:
        assert restored.table("t").count() == 20
        assert len(restored.table("t").search(VECTORS[3], limit=5)) == 5


def test_async_twins(home: Path, place: Path) -> None:
    async def work() -> None:
        async with lutra.connect_async(home / "data") as database:
            table = await database.create_table("t", {"id": int}, FIELDS)
            await table.put(row(1))
            made = await database.backup(place)
        assert await lutra.restore_async(place, home / "restored", backup=made.id) == made
        async with lutra.connect_async(home / "restored") as database:
            assert await (await database.table("t")).count() == 1

    run(work)


def test_rows_on_an_object_store(home: Path, place: Path) -> None:
    """They are restored into the directory; and runs of them that are the same are there once."""
    with lutra.connect(home / "data", rows=home / "rows") as database:
        table = make(database, 500)
        write_out(database, table)
        for _ in range(3):
            table.put(row(1, 2))
            first = database.backup(place)
            check_after_restoring(home, place, first, {1: row(1, 2)} | {n: row(n) for n in range(500) if n != 1})
        table.put(row(500))
        second = database.backup(place)
        assert second.new_bytes < second.size_bytes
        with lutra.connect(home / "data", read_only=True) as reader:
            reader.backup(place)
    lutra.restore(place, home / "restored", backup=second.id)
    with lutra.connect(home / "restored") as restored:
        assert restored.table("t").count() == 501
        assert index_of(restored).stats().segments


def check_after_restoring(home: Path, place: Path, made: lutra.Backup, model: dict[int, dict[str, Any]]) -> None:
    lutra.restore(place, home / "restored", backup=made.id)
    check(home / "restored", model)
    shutil.rmtree(home / "restored")


# --- what is refused ------------------------------------------------------------------------------------------------


def test_what_cannot_be_backed_up_is_told(home: Path, place: Path, database: lutra.Database) -> None:
    with pytest.raises(ParameterInvalid, match="within the data directory"):
        database.backup(home / "data" / "backups")
    assert not (home / "data" / "backups").exists()
    with pytest.raises(StorageFailure, match="no data directory"):
        back_up(home / "nowhere", place)
    assert not place.exists()
    database.close()
    with pytest.raises(StorageFailure, match="is closed"):
        database.backup(place)


def test_too_few_files_may_be_open(place: Path, database: lutra.Database, monkeypatch: pytest.MonkeyPatch) -> None:
    write_out(database, make(database, 10))
    open_file = os.open

    def few(path: Any, *how: Any, **more: Any) -> int:
        if "segments/" in os.fspath(path):
            raise OSError(errno.EMFILE, "Too many open files")
        return open_file(path, *how, **more)

    monkeypatch.setattr("os.open", few)
    with pytest.raises(StorageFailure, match=r"segments/.*: Too many open files: raise .*ulimit -n"):
        database.backup(place)
    monkeypatch.undo()
    assert BackupPlace.to_read(place).ids() == []
    assert database.backup(place).notes == ()


def test_restoring_puts_nothing_over_anything(home: Path, place: Path, database: lutra.Database) -> None:
    write_out(database, make(database, 10))
    made = database.backup(place)
    before = tree(home / "data")
    with pytest.raises(ParameterInvalid, match="is not empty"):
        lutra.restore(place, home / "data")
    assert tree(home / "data") == before
    with pytest.raises(ForeignObjects, match="there are objects at"):
        lutra.restore(place, home / "restored", objects=home / "data" / "objects")
    with pytest.raises(ObjectNotExist):
        lutra.restore(place, home / "restored", backup="20260131T235959Z-0a1b2c3d")
    with pytest.raises(StorageFailure, match="no backups at"):
        lutra.restore(home / "data", home / "restored")
    assert not (home / "restored").exists()
    (home / "restored" / "lost+found").mkdir(parents=True)
    assert lutra.restore(place, home / "restored", objects=home / "segments") == made
    with lutra.connect(home / "restored", objects=home / "segments") as restored:
        assert restored.table("t").count() == 10
        assert [one.rows for one in index_of(restored).stats().segments] == [10]


# --- damage, and crashes --------------------------------------------------------------------------------------------


def test_a_damaged_byte_is_named_and_nothing_is_restored(home: Path, place: Path, database: lutra.Database) -> None:
    write_out(database, make(database, 200))
    first = database.backup(place)
    record = BackupPlace.to_read(place).record(first.id)
    rng = random.Random(1)
    for file in record.files:
        if not file.chunks:
            continue
        path = place / "chunks" / file.chunks[0]
        whole = path.read_bytes()
        damaged = bytearray(whole)
        damaged[rng.randrange(len(damaged))] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(Corruption, match=f"chunks/{file.chunks[0]}") as raised:
            lutra.restore(place, home / "restored")
        assert first.id in str(raised.value)
        for read_only in (False, True):
            with pytest.raises(Corruption, match="a backup was being restored"):
                lutra.connect(home / "restored", read_only=read_only)
        path.write_bytes(whole)
    assert lutra.restore(place, home / "restored") == first  # the same, where another try was cut short
    check(home / "restored", {number: row(number) for number in range(200)})


def test_another_backup_is_not_put_over_one_that_was_cut_short(
    home: Path, place: Path, database: lutra.Database
) -> None:
    make(database, 10)
    first = database.backup(place)
    database.table("t").put(row(11))
    database.backup(place)
    (home / "restored").mkdir()
    (home / "restored" / RESTORING).write_text(json.dumps({"format": 1, "backup": first.id}))
    with pytest.raises(ParameterInvalid, match=f"backup {first.id} was being restored"):
        lutra.restore(place, home / "restored")
    (home / "restored" / RESTORING).write_text("?")
    with pytest.raises(ParameterInvalid, match="backup another was being restored"):
        lutra.restore(place, home / "restored")


PROGRAM = """
import os, sys, signal
import lutra
from lutra.objects.local import LocalStore
from lutra.instance.restoring import restore
from lutra.instance.backing_up import back_up
left = int(sys.argv[3])
def dying(method):
    def call(self, *arguments):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return method(self, *arguments)
    return call
for name in ("put", "put_file", "delete", "get"):
    setattr(LocalStore, name, dying(getattr(LocalStore, name)))
(back_up if sys.argv[4] == "back_up" else lambda path, place: restore(place, path))(sys.argv[1], sys.argv[2])
"""


def killed(after: int, what: str, path: Path, place: Path) -> bool:
    """Whether it was, and had not ended before. ``after``: so many requests to stores of objects."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(path), str(place), str(after), what], check=False)
    return done.returncode != 0


@pytest.mark.parametrize("step", [19, pytest.param(1, marks=[pytest.mark.slow, pytest.mark.timeout(600)])])
def test_killed_at_any_request(home: Path, place: Path, step: int) -> None:
    """Of a backup, and of restoring it: earlier backups stay whole, and the next run goes on."""
    with lutra.connect(home / "data") as database:
        write_out(database, make(database, 100))
        first = database.backup(place)
        database.table("t").put(row(100))
        write_out(database, database.table("t"))
    at = 2
    while killed(at, "back_up", home / "data", place):
        assert not check_backups(BackupPlace.to_read(place)).faults
        assert first.id in BackupPlace.to_read(place).ids()
        at += step
    assert at > 5
    ids = [id for id, _ in BackupPlace.to_read(place).records()]
    assert len(ids) >= 2
    check_after = prune(BackupPlace.to_write(place), 1)  # whose marks the killed ones left
    assert check_after.kept == (ids[-1],)
    assert check_backups(BackupPlace.to_read(place)).unneeded == 0
    at = 1
    while killed(at, "restore", home / "restored", place):
        if (home / "restored").exists() and os.listdir(home / "restored"):
            with pytest.raises(Corruption, match="a backup was being restored"):
                lutra.connect(home / "restored")
        at += step
    assert at > 5
    check(home / "restored", {number: row(number) for number in range(101)})


def test_who_was_taken_for_dead_takes_its_backup_back(
    home: Path, place: Path, database: lutra.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(database, 10)
    put_record = BackupPlace.put_record

    def late(self: BackupPlace, record: Any) -> None:
        for name in self.store.list("running"):
            self.store.delete(name)  # as who prunes does with a mark of an hour ago
        put_record(self, record)

    monkeypatch.setattr(BackupPlace, "put_record", late)
    with pytest.raises(OperationConflict, match="was pruned meanwhile"):
        database.backup(place)
    monkeypatch.undo()
    assert BackupPlace.to_read(place).ids() == []
    assert database.backup(place).new_bytes < 100_000


# --- beside a writer ------------------------------------------------------------------------------------------------


def numbered(folder: Path, at_least: int) -> int:
    """What a process of `support.numbered_batches` had written when it was backed up: the state after one commit."""
    assert check_directory(folder) == []
    with lutra.connect(folder) as database:
        table = database.table("t")
        rows = {one["id"]: one["n"] for one in table.scan()}
        number = max(rows.values(), default=-1)
        if rows != after(number):
            assert rows == between(number + 1)
        assert number >= at_least
        assert table.count() == len(rows)
        for key in random.Random(number).sample(sorted(rows), min(5, len(rows))):
            assert table.search(vector(rows[key], key), limit=1)[0]["id"] == key
    return number


def beside(data: Path, place: Path, restored: Path, backups: int) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-m", "support.numbered_batches", str(data), "0"],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
    )
    assert writer.stdout is not None
    made: dict[str, int] = {}
    try:
        for _ in range(backups):
            for _ in range(40):
                acknowledged = int(writer.stdout.readline())
            made[back_up(data, place).id] = acknowledged
    finally:
        writer.kill()
        writer.wait()
        writer.stdout.close()
    last = -1
    for id, acknowledged in made.items():
        lutra.restore(place, restored, backup=id)
        number = numbered(restored, acknowledged)
        assert number >= last
        last = number
        shutil.rmtree(restored)


def test_beside_a_writer_that_flushes_and_merges(home: Path) -> None:
    beside(home / "data", home / "backups", home / "restored", 3)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_beside_a_writer_at_length(home: Path) -> None:
    beside(home / "data", home / "backups", home / "restored", 40)


# --- S3 -------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_from_s3_to_s3_and_back(home: Path, s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments that a writer deletes while they are copied are no fault: what came in their place is."""
    place, objects = s3.url(f"{home.name}/backups"), s3.url(f"{home.name}/objects")
    with lutra.connect(home / "data", objects=objects) as database:
        table = make(database, 300)
        write_out(database, table)
        table.put(row(300))
        write_out(database, table)
        read, merged = ObjectSource.read, []

        def read_late(self: ObjectSource, offset: int, length: int) -> bytes:
            if not merged:
                merged.append(True)
                for number in range(301, 304):
                    table.put(row(number))
                    write_out(database, table)
                    index_of(database).compact()
                self.store.delete(self.of)
                raise ObjectMissing(self.of)
            return read(self, offset, length)

        monkeypatch.setattr(ObjectSource, "read", read_late)
        first = database.backup(place)
        assert merged
        assert first.notes == ()
        again = database.backup(place)
        assert again.new_bytes < 50_000 < again.size_bytes
    back = s3.url(f"{home.name}/restored")
    assert lutra.restore(place, home / "restored", objects=back) == again
    with lutra.connect(home / "restored", objects=back) as restored:
        assert restored.table("t").count() == 304
        assert index_of(restored).stats().buffer_rows == 0
    assert check_directory(home / "restored", objects=back) == []
    with pytest.raises(ForeignObjects):
        lutra.restore(place, home / "other", objects=objects)
    lutra.restore(place, home / "here", backup=first.id)
    check(home / "here", {number: row(number) for number in range(304)})
