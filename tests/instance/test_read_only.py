"""A database that is opened to be read only, beside others that read, and one that writes."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.read_only_mount import print_what_is_there
from support.s3_server import S3Server

import lutra
from lutra.index.feed.reading import ReadConsumer
from lutra.index.lsm.read_storage import Look
from lutra.instance import reading
from lutra.instance.reading import ReadEngine, ReadPartition
from lutra.kv.copied import held_store
from lutra.kv.lock import DirectoryLock
from lutra.model.clock import SystemClock
from lutra.model.errors import (
    DirectoryInUse,
    ForeignObjects,
    IndexDamaged,
    ObjectNotExist,
    Outdated,
    ParameterInvalid,
    ReadOnlyDatabase,
    ServerBusy,
    StorageFailure,
)
from lutra.model.schema import TableUpdate
from lutra.objects.local import LocalStore
from lutra.objects.manifest_log import ManifestLog

DIMENSION = 8
FIELDS: dict[str, Any] = {"n": int, "s": str, "v": lutra.Vector(DIMENSION)}
VECTORS = np.random.default_rng(7).standard_normal((4_000, DIMENSION)).astype("<f4")


def row(number: int, n: int = 0) -> dict[str, Any]:
    return {"id": number, "n": n, "s": f"s{number % 7}", "v": VECTORS[number]}


def make(database: lutra.Database, rows: int = 0, name: str = "t") -> lutra.Table:
    table = database.create_table(name, {"id": int}, FIELDS)
    table.put_many([row(number) for number in range(rows)])
    return table


def index_of(database: lutra.Database) -> Any:
    """The only search index of a database that is written to."""
    (feed,) = database._engine.partition.feeder._feeds
    return feed.index


def write_out(database: lutra.Database, table: lutra.Table) -> None:
    """Has all rows in segments."""
    table.count()
    index_of(database).flush()


def ids(table: lutra.Table, **how: Any) -> list[int]:
    return sorted(found["id"] for found in table.search(limit=10_000, **how))


def tree(folder: Path) -> dict[str, tuple[int, int, str]]:
    """Every file and folder: when it was changed, how large it is, and a hash of it."""
    found = {}
    for path in [folder, *sorted(folder.rglob("*"))]:
        status = path.lstat()
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        found[str(path)] = (status.st_mtime_ns, status.st_size, content)
    return found


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


# --- what it refuses ------------------------------------------------------------------------------------------------

READS = {
    *("close", "read_only", "refresh", "table", "table_names"),
    *("aggregate", "count", "fields", "get", "get_many", "group_by", "head", "key", "name"),
    *("scan", "search", "search_many"),
}
WRITES: dict[str, Callable[[lutra.Database, lutra.Table], object]] = {
    "create_table": lambda database, table: database.create_table("u", {"id": int}),
    "delete_table": lambda database, table: database.delete_table("nowhere", missing_ok=True),
    "put": lambda database, table: table.put({"no": "key"}),
    "put_many": lambda database, table: table.put_many([]),
    "update": lambda database, table: table.update("no key"),
    "delete": lambda database, table: table.delete("no key"),
    "delete_many": lambda database, table: table.delete_many([]),
    "delete_where": lambda database, table: table.delete_where(lutra.col("nothing") == 1),
    "update_where": lambda database, table: table.update_where(lutra.col("nothing") == 1),
    "add_field": lambda database, table: table.add_field("n", int),
    "drop_field": lambda database, table: table.drop_field("nothing"),
}


def test_every_method_reads_or_is_refused() -> None:
    """One that is new is to be put down here: as one that reads, or with a call that is refused."""
    methods = [name for of in (lutra.Database, lutra.Table) for name, _ in inspect.getmembers(of)]
    assert {name for name in methods if not name.startswith("_")} == READS | WRITES.keys()


def test_what_would_write_is_refused_first(tmp_path: Path) -> None:
    """Before its arguments are looked at; and nothing is changed in memory either."""
    with lutra.connect(tmp_path) as database:
        make(database, 10)
    with lutra.connect(tmp_path, read_only=True) as database:
        table = database.table("t")
        for name, call in WRITES.items():
            with pytest.raises(ReadOnlyDatabase, match="read_only=True"):
                call(database, table)
            assert database.table_names() == ["t"], name
        assert database.read_only
        assert table.count() == 10
        assert table.fields == FIELDS


def test_what_lies_below_refuses_too(tmp_path: Path) -> None:
    with lutra.connect(tmp_path) as database:
        make(database, 10)
    with lutra.connect(tmp_path, read_only=True) as database:
        instance = database._engine.instance("default")
        for call in (
            lambda: instance.tables.delete("t"),
            lambda: instance.delete_search_index("t", "search"),
            lambda: instance.update_table("t", TableUpdate(ttl_s=86_400)),
        ):
            with pytest.raises(StorageFailure, match="read only"):
                call()
        assert database.table("t").count() == 10


def test_there_has_to_be_something(tmp_path: Path) -> None:
    with pytest.raises(ParameterInvalid, match="needs the path"):
        lutra.connect(read_only=True)
    with pytest.raises(StorageFailure, match="there is no data directory"):
        lutra.connect(tmp_path / "none", read_only=True)
    with pytest.raises(StorageFailure, match="is no data directory"):
        lutra.connect(tmp_path, read_only=True)
    assert list(tmp_path.iterdir()) == []
    with lutra.connect(tmp_path / "data") as database:
        assert not database.read_only
    with pytest.raises(ObjectNotExist, match="has no instance 'photos'"):
        lutra.connect(tmp_path / "data", instance="photos", read_only=True)
    with pytest.raises(StorageFailure, match="there is no folder"):
        lutra.connect(tmp_path / "data", objects=tmp_path / "elsewhere", read_only=True)
    with lutra.connect(tmp_path / "other") as database:
        make(database, 10)
        write_out(database, database.table("t"))
    with pytest.raises(ForeignObjects):
        lutra.connect(tmp_path / "data", objects=tmp_path / "other" / "objects", read_only=True)


def test_closed_it_says_so(tmp_path: Path) -> None:
    with lutra.connect(tmp_path) as database:
        make(database, 10)
    database = lutra.connect(tmp_path, read_only=True)
    table = database.table("t")
    database.close()
    database.close()
    for call in (table.count, database.table_names, database.refresh, lambda: table.get(1)):
        with pytest.raises(StorageFailure, match="is closed"):
            call()


# --- what it leaves alone -------------------------------------------------------------------------------------------


def test_it_changes_nothing(tmp_path: Path) -> None:
    """Not a byte, not a time of a file, not a thread; with rows that are in segments, and rows that are in the log."""
    with lutra.connect(tmp_path) as database:
        table = make(database, 500)
        write_out(database, table)
        table.put_many([row(number) for number in range(500, 600)])
    before, threads = tree(tmp_path), threading.active_count()
    with lutra.connect(tmp_path, read_only=True) as one, lutra.connect(tmp_path, read_only=True) as other:
        for database in (one, other):
            table = database.table("t")
            assert table.count() == 600
            assert ids(table, where=lutra.col("s") == "s1") == list(range(1, 600, 7))
            assert len(list(table.scan())) == 600
            database.refresh()
        assert threading.active_count() == threads
        assert tree(tmp_path) == before
    assert tree(tmp_path) == before


def test_on_a_file_system_that_cannot_be_written_to(tmp_path: Path) -> None:
    """By the kernel's word: it is mounted so, and root is refused as well."""
    unshared = ["unshare", "--user", "--map-root-user", "--mount"]
    if shutil.which("unshare") is None:
        pytest.skip("there is no unshare on this machine")
    data = tmp_path / "data"
    with lutra.connect(data) as database:
        make(database, 300)
        write_out(database, database.table("t"))
        database.table("t").put(row(300))
    tried = subprocess.run([*unshared, "mount", "--bind", data, data], capture_output=True, check=False)
    if tried.returncode:
        pytest.skip(f"nothing may be mounted here: {tried.stderr.decode(errors='replace').strip()}")
    ran = subprocess.run(
        [*unshared, sys.executable, "-m", "support.read_only_mount", str(data)],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.split() == ["read-only", "301", "301", "300"]


def test_it_holds_up_nobody(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Readers take no lock: one that comes to write finds the directory free, and keeps others that write out."""
    with lutra.connect(tmp_path) as database:
        make(database, 10)
    with lutra.connect(tmp_path, read_only=True) as reader:
        with lutra.connect(tmp_path) as writer:
            writer.table("t").put(row(10))
            with pytest.raises(DirectoryInUse):
                DirectoryLock(tmp_path / "kv")
        assert reader.table("t").count() == 10
        print_what_is_there(tmp_path)
        assert capsys.readouterr().out.split() == ["11", "11", "0"]


# --- what it shows --------------------------------------------------------------------------------------------------


def test_it_shows_one_moment_until_it_is_refreshed(tmp_path: Path) -> None:
    with lutra.connect(tmp_path) as writer:
        there = make(writer, 300)
        write_out(writer, there)
        there.delete(0)
        there.put(row(1, n=5))
        there.put(row(300, n=5))
        with lutra.connect(tmp_path, read_only=True) as reader:
            table = reader.table("t")
            assert table.count() == 300
            assert ids(table, where=lutra.col("n") == 5) == [1, 300]
            assert 0 not in ids(table)
            for number in range(10):
                there.put(row(number, n=6))
            there.delete_many(range(100, 200))
            writer.create_table("u", {"id": int})
            write_out(writer, there)
            for _ in range(2):
                assert ids(table, where=lutra.col("n") == 5) == [1, 300]
                assert ids(table, where=lutra.col("n") == 6) == []
                assert table.get(1, columns=["n"]) == {"id": 1, "n": 5}
                assert table.get(150) is not None
                assert reader.table_names() == ["t"]
            reader.refresh()
            assert ids(table, where=lutra.col("n") == 6) == list(range(10))
            assert table.count() == 201
            assert table.get(150) is None
            assert reader.table_names() == ["t", "u"]
            nearest = table.search(VECTORS[3], limit=1)[0]
            assert (nearest["id"], nearest["n"]) == (3, 6)


def test_rows_that_no_segment_has(tmp_path: Path) -> None:
    """Of an index that has no manifest yet, and of one that was made a moment ago for rows that were there."""
    with lutra.connect(tmp_path) as writer:
        there = make(writer, 1_200)
        with lutra.connect(tmp_path, read_only=True) as reader:
            assert ids(reader.table("t"), fresh=False) == list(range(1_200))
        plain = writer.create_table("plain", {"id": int})
        plain.put_many([{"id": number} for number in range(50)])
        with lutra.connect(tmp_path, read_only=True) as reader:
            assert reader.table("plain").count() == 50
        there.add_field("m", int)
        there.put({"id": 5_000, "m": 1})
        with lutra.connect(tmp_path, read_only=True) as reader:
            assert ids(reader.table("t"), where=lutra.col("m") == 1) == [5_000]
            assert reader.table("t").count() == 1_201


def test_what_expires(tmp_path: Path) -> None:
    """Rows and values that expire while it is open are gone from searches, as they are from the table."""

    class Clock:
        now = SystemClock().now_us()

        def now_us(self) -> int:
            return self.now

    with lutra.connect(tmp_path) as writer:
        make(writer, 20)
        writer._engine.instance("default").update_table("t", TableUpdate(ttl_s=86_400, allow_update=False))
    clock = Clock()
    engine = ReadEngine(tmp_path, "default", None, 64 << 20, clock)
    with contextlib.closing(engine), lutra.connect(tmp_path, read_only=True) as reader:
        table = lutra.Table(lambda: engine.instance("default"), reader.table("t")._layout)
        assert table.count() == len(list(table.scan())) == 20
        clock.now += 86_401 * 1_000_000
        assert table.count() == len(list(table.scan())) == 0


def test_a_table_that_was_deleted_and_made_anew(tmp_path: Path) -> None:
    with lutra.connect(tmp_path) as writer, lutra.connect(tmp_path, read_only=True) as reader:
        make(writer, 10)
        reader.refresh()
        table = reader.table("t")
        writer.delete_table("t")
        make(writer, 5)
        assert table.count() == 10
        reader.refresh()
        with pytest.raises(ObjectNotExist, match="made anew"):
            table.count()
        assert reader.table("t").count() == 5
        writer.delete_table("t")
        reader.refresh()
        with pytest.raises(ObjectNotExist):
            reader.table("t")


# --- beside one that writes -----------------------------------------------------------------------------------------


def test_segments_that_are_deleted_meanwhile(tmp_path: Path) -> None:
    """Those it has open stay readable, whatever becomes of their names; and it keeps no more open than it shows."""
    with lutra.connect(tmp_path) as writer:
        there = make(writer)
        for first in range(0, 1_200, 300):
            there.put_many([row(number) for number in range(first, first + 300)])
            write_out(writer, there)
        with lutra.connect(tmp_path, read_only=True) as reader:
            table = reader.table("t")
            names = _segments(tmp_path)
            there.delete_many(range(600))
            write_out(writer, there)
            index_of(writer).compact()
            there.put(row(1_200))
            write_out(writer, there)
            assert not names & _segments(tmp_path)
            assert ids(table) == list(range(1_200))
            assert [found["id"] for found in table.search(VECTORS[17], limit=1)] == [17]
            reader.refresh()
            assert ids(table) == list(range(600, 1_201))
            before = open_files()
            for number in range(4):
                there.put(row(2_000 + number))
                write_out(writer, there)
                index_of(writer).compact()
                reader.refresh()
                assert table.count() == 602 + number
            assert open_files() <= before + 30


def test_what_is_under_way_ends_with_what_it_began_with(tmp_path: Path) -> None:
    with lutra.connect(tmp_path) as writer, lutra.connect(tmp_path, read_only=True) as reader:
        there = make(writer, 100)
        reader.refresh()
        held = [reader._open()]
        partition = reader._engine._point.partition  # type: ignore[union-attr]
        there.delete_many(range(50))
        reader.refresh()
        assert reader.table("t").count() == 50
        old = lutra.Table(lambda: held[0], reader.table("t")._layout)
        assert (old.count(), len(list(old.scan()))) == (100, 100)
        held.clear()
        with pytest.raises(StorageFailure, match="closed"):
            partition.store.get(b"k")


def test_an_index_that_is_ahead_of_the_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments are looked at after the tables, and may be of a later time: then the tables are looked at again."""
    with lutra.connect(tmp_path) as writer:
        there = make(writer, 100)
        write_out(writer, there)
        looks = 0

        def and_then_more_is_written(path: Path) -> Any:
            nonlocal looks
            store = held_store(path)
            looks += 1
            if looks <= 2:
                for number in range(2):
                    there.put(row(100 + 2 * looks + number))
                    write_out(writer, there)
            return store

        monkeypatch.setattr(reading, "held_store", and_then_more_is_written)
        with lutra.connect(tmp_path, read_only=True) as reader:
            assert looks == 3
            assert ids(reader.table("t")) == [*range(100), 102, 103, 104, 105]
        store = held_store(tmp_path / "kv")
        there.put(row(200))
        write_out(writer, there)
        engine = ReadEngine(tmp_path, "default", None, 64 << 20)
        partition = ReadPartition(store, tmp_path, engine._resources, SystemClock(), Look.FIRST)
        (definition,) = partition.indexes.all()
        feed = partition.follow(definition, partition.space.instance("default"))
        assert feed.consumer.progress.position <= partition.space.changelog.last_sequence, (
            "the manifest before is taken"
        )
        there.put(row(201))
        write_out(writer, there)
        with pytest.raises(Outdated):
            partition.follow(definition, partition.space.instance("default"))
        partition.let_go()
        engine.close()


def test_segments_that_know_of_a_later_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A manifest leaves out rows that were written anew, whose new state is only in the writer's memory yet.

    It covers no more changes than the one before it; but who reads it with the tables as they were before
    that write would find these rows nowhere.
    """
    with lutra.connect(tmp_path) as writer:
        there = make(writer)
        there.put_many([row(number) for number in range(400)])
        write_out(writer, there)
        looks = 0

        def and_then_a_manifest_is_put(path: Path) -> Any:
            nonlocal looks
            store = held_store(path)
            looks += 1
            if looks == 1:
                there.put_many([row(number, n=9) for number in range(50)])
                assert there.count() == 400
                index = index_of(writer)
                index._commits_wanted += 1  # as when a merge is done
                index.maintain()
                position = index._storage.newest()[1].progress.position
                assert (position, index.stats().buffer_rows) == (400, 50)
            return store

        monkeypatch.setattr(reading, "held_store", and_then_a_manifest_is_put)
        with lutra.connect(tmp_path, read_only=True) as reader:
            table = reader.table("t")
            assert looks == 1, "the manifest before goes with what the tables were"
            assert ids(table) == list(range(400))
            assert table.search(where=lutra.col("n") == 9).to_list() == []
            reader.refresh()
            assert ids(table) == list(range(400))
            assert ids(table, where=lutra.col("n") == 9) == list(range(50))


def test_manifests_that_do_not_tell_what_they_know_of(tmp_path: Path) -> None:
    """As an older Lutra wrote them: they are taken where nobody has written between two looks."""
    with lutra.connect(tmp_path) as writer:
        make(writer, 100)
        write_out(writer, writer.table("t"))
    objects = tmp_path / "objects"
    (folder,) = objects.glob("indexes/*/manifest")
    log = ManifestLog(LocalStore(objects), folder.relative_to(objects).as_posix())
    newest = log.latest()
    assert newest is not None
    stored = json.loads(newest.payload)
    assert stored.pop("seen") == 100
    log.commit(newest.number + 1, json.dumps(stored).encode())
    log.forget(newest.number + 1)
    with lutra.connect(tmp_path, read_only=True) as reader:
        assert ids(reader.table("t")) == list(range(100))
        assert reader._engine.instance("default").index_stats("t", "search")[1].rows == 100


def test_an_index_of_another_past_is_read_from_the_table(tmp_path: Path) -> None:
    """A backup of the tables was put back beside newer segments: nobody writes, so they are not waited for."""
    data = tmp_path / "data"
    with lutra.connect(data) as writer:
        make(writer, 100)
        write_out(writer, writer.table("t"))
    shutil.copytree(data / "kv", tmp_path / "backup")
    for number in (200, 201, 202):
        with lutra.connect(data) as writer:
            writer.table("t").put(row(number))
            write_out(writer, writer.table("t"))
    shutil.rmtree(data / "kv")
    shutil.copytree(tmp_path / "backup", data / "kv")
    with lutra.connect(data, read_only=True) as reader:
        assert ids(reader.table("t")) == list(range(100))


def test_more_than_memory_holds_is_not_read_into_it(tmp_path: Path) -> None:
    """Rows can be read, and searches say why there are none."""
    with lutra.connect(tmp_path) as writer:
        make(writer, 2_000)
    with lutra.connect(tmp_path, read_only=True, memory_bytes=4 << 20) as reader:
        table = reader.table("t")
        for _ in range(2):
            with pytest.raises(ServerBusy, match=r"its segments lack more than 0 MB .* \(memory_bytes=\)"):
                table.count()
        assert len(list(table.scan())) == 2_000
    with lutra.connect(tmp_path) as writer:
        write_out(writer, writer.table("t"))
    with lutra.connect(tmp_path, read_only=True, memory_bytes=4 << 20) as reader:
        assert reader.table("t").count() == 2_000


def test_an_interrupt_loses_no_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was being read into memory is read again by the next search."""
    with lutra.connect(tmp_path) as writer:
        make(writer, 2_000)
    calls, apply = 0, ReadConsumer.apply

    def interrupted(consumer: ReadConsumer, *rows: Any) -> None:
        nonlocal calls
        calls += 1
        if calls in (2, 4):
            raise KeyboardInterrupt
        apply(consumer, *rows)

    monkeypatch.setattr(ReadConsumer, "apply", interrupted)
    with lutra.connect(tmp_path, read_only=True) as reader:
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                reader.table("t").count()
        assert ids(reader.table("t")) == list(range(2_000))
    assert calls > 4


def test_many_wait_for_one_index(tmp_path: Path) -> None:
    with lutra.connect(tmp_path) as writer:
        make(writer, 3_000)
    with lutra.connect(tmp_path, read_only=True) as reader:
        counts: list[int] = []
        threads = [threading.Thread(target=lambda: counts.append(reader.table("t").count())) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert counts == [3_000] * 8


def test_an_index_that_is_damaged(tmp_path: Path) -> None:
    """Only searches tell; and it is looked for again, as somebody may have put it back."""
    with lutra.connect(tmp_path) as writer:
        make(writer, 100)
        write_out(writer, writer.table("t"))
    (segment,) = _segments(tmp_path)
    (tmp_path / segment).rename(tmp_path / "kept")
    with lutra.connect(tmp_path, read_only=True) as reader:
        table = reader.table("t")
        assert table.get(1) is not None
        for fresh in (True, False):
            with pytest.raises(IndexDamaged, match="no such object"):
                table.search(fresh=fresh)
        (tmp_path / "kept").rename(tmp_path / segment)
        assert table.count() == 100


def test_objects_on_s3(tmp_path: Path, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are read, and nothing else; where they are deleted by who writes them, that is told, and refreshed."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    place = s3_server.url("read-only")
    with lutra.connect(tmp_path, objects=place) as writer:
        there = make(writer, 1_000)
        write_out(writer, there)
        with lutra.connect(tmp_path, objects=place, read_only=True) as reader:
            table = reader.table("t")
            assert table.get(1) is not None
            there.delete_many(range(500))
            for number in range(3):
                there.put(row(1_000 + number))
                write_out(writer, there)
                index_of(writer).compact()
            with pytest.raises(Outdated, match=r"has gone on.*refresh\(\)"):
                ids(table, where=lutra.col("s") == "s1")
            reader.refresh()
            assert ids(table) == list(range(500, 1_003))
            requests = reader._engine._resources.store.requests  # type: ignore[union-attr]
            assert (requests.puts, requests.deletes) == (0, 0)


def _segments(data: Path) -> set[str]:
    return {str(path.relative_to(data)) for path in (data / "objects").rglob("segments/*")}


FORK = """
import os, signal, sys, warnings
import lutra
warnings.filterwarnings("ignore", category=DeprecationWarning)  # of forking with threads, since Python 3.12
reader = lutra.connect(sys.argv[1], read_only=True)
table = reader.table("t")
assert table.count() == 10
pid = os.fork()
if pid == 0:
    signal.alarm(60)
    for call in (table.count, reader.refresh, lambda: table.get(1), lambda: reader.table("t")):
        try:
            call()
        except lutra.ForkedProcess:
            continue
        os._exit(1)
    reader.close()
    with lutra.connect(sys.argv[1], read_only=True) as own:
        if own.table("t").count() != 10:
            os._exit(2)
    sys.exit(0)
assert os.waitpid(pid, 0)[1] == 0
reader.refresh()
assert table.count() == 10
"""


@pytest.mark.slow
def test_a_forked_process(tmp_path: Path) -> None:
    """What its parent reads it leaves alone, and it may read by itself."""
    with lutra.connect(tmp_path) as database:
        make(database, 10)
    ended = subprocess.run(
        [sys.executable, "-c", FORK, str(tmp_path)], capture_output=True, text=True, timeout=100, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
