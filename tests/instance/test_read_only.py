"""A database that is opened to be read only: what it refuses, leaves alone and shows."""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.read_only_mount import print_what_is_there
from support.reading import FIELDS, VECTORS, ids, make, row, tree, write_out

import lutra
from lutra.instance.reading import ReadEngine
from lutra.kv.lock import DirectoryLock
from lutra.model.clock import SystemClock
from lutra.model.errors import (
    DirectoryInUse,
    ForeignObjects,
    ObjectNotExist,
    ParameterInvalid,
    ReadOnlyDatabase,
    StorageFailure,
)
from lutra.model.schema import TableUpdate

# --- what it refuses ------------------------------------------------------------------------------------------------

READS = {
    *("backup", "close", "read_only", "refresh", "table", "table_names"),
    *("aggregate", "count", "fields", "get", "get_many", "group_by", "head", "key", "name", "recall_target"),
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
    "embed": lambda database, table: table.embed("nothing"),
    "add_field": lambda database, table: table.add_field("n", int),
    "set_recall_target": lambda database, table: table.set_recall_target(7),
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
    before = tree(tmp_path)
    ran = subprocess.run(
        [sys.executable, "-m", "support.read_only_threads", str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert json.loads(ran.stdout) == {"rows": [600, 600], "found": [86, 86], "scanned": [600, 600], "threads": []}
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
