"""``lutra fsck`` and ``lutra index`` over directories that are whole, damaged, served, and not there."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.lutra_command import run_lutra
from support.s3_server import S3Server
from support.server import ServerProcess
from support.waiting import wait_until

import lutra
from lutra.index.feed.index_feed import IndexFeed
from lutra.index.lsm.resources import Resources
from lutra.index.lsm.storage import prefix_of
from lutra.instance.defaults import MEMORY_BYTES_DEFAULT
from lutra.instance.engine import Engine
from lutra.instance.stopped import StoppedDirectory
from lutra.kv.batch import WriteBatch
from lutra.kv.rocksdb import RocksStore
from lutra.model.indexes import FieldSchema, FieldType
from lutra.model.rows import CellChange, CellOperation, ChangeKind, RowChange

LUTRA = [sys.executable, "-m", "lutra.cli.main"]
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("LUTRA_")}
ROWS = 700


def run_process(*arguments: str) -> tuple[int, str, str]:
    """Status, stdout and stderr of a process."""
    done = subprocess.run(
        [*LUTRA, *arguments],
        capture_output=True,
        text=True,
        env=ENVIRONMENT | {"COLUMNS": "120"},
        timeout=100,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr


def fill(path: Path, **options: str) -> None:
    """Tables ``notes``, whose index has a segment with dead rows, and ``plain``, which has none."""
    with lutra.connect(path, **options) as db:
        plain = db.create_table("plain", {"id": str})
        plain.put_many({"id": str(n), "x": "y" * 100} for n in range(50))
        notes = db.create_table("notes", {"id": int}, {"n": int, "v": lutra.Vector(8)})
        notes.put_many({"id": n, "n": n % 5, "v": [n, *range(7)]} for n in range(ROWS))
        (feed,) = db._engine.partition.feeder._feeds
        for removed in (None, 11):
            if removed is not None:
                notes.delete(removed)
            db._open().wait_searchable("notes", "search", 20)
            feed.index.flush()


def objects(path: Path, kind: str) -> list[Path]:
    return sorted(path.rglob(f"{kind}/*"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    fill(tmp_path / "data")
    return tmp_path / "data"


def test_a_whole_directory(data: Path) -> None:
    status, printed, errors = run_process("fsck", "--data", str(data))
    assert (status, errors) == (0, "")
    assert printed.startswith(f"clean: 2 tables with {ROWS - 1 + 50} rows; 1 index of 1 segment with ")
    status, printed, _ = run_lutra("fsck", "--data", str(data), "--json")
    told = json.loads(printed)
    assert status == 0
    assert (told["clean"], told["faults"], told["notes"]) == (True, [], [])
    (segment,) = objects(data, "segments")
    assert told["segment_bytes"] == segment.stat().st_size


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 4
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("kind", "damage"),
    [
        ("segments", flip),
        ("manifest", Path.unlink),
        ("deletions", Path.unlink),
        pytest.param("segments", Path.unlink, marks=pytest.mark.slow),
        pytest.param("manifest", flip, marks=pytest.mark.slow),
        pytest.param("deletions", flip, marks=pytest.mark.slow),
    ],
)
def test_a_fault_is_named_and_mended_as_it_says(data: Path, kind: str, damage: Callable[[Path], None]) -> None:
    damaged = objects(data, kind)[-1]
    if (kind, damage) == ("manifest", Path.unlink):
        for name in objects(data, kind):
            name.unlink()
    else:
        damage(damaged)
    status, printed, errors = run_lutra("fsck", "--data", str(data))
    assert (status, errors) == (1, "")
    assert "index search of table notes, instance default:\n" in printed
    assert (damaged.name if damaged.exists() or kind != "manifest" else "no manifest") in printed
    assert printed.splitlines()[-1].split()[1].startswith("fault")
    (following,) = [line for line in printed.splitlines() if line.startswith("  next: ")]
    command = shlex.split(following.partition("anew from its table: ")[2])
    assert command[:3] == ["lutra", "index", "rebuild"]
    status, printed, _ = run_lutra("fsck", "--data", str(data), "--json")
    told = json.loads(printed)
    assert status == 1
    assert not told["clean"]
    assert {fault["remedy"] for fault in told["faults"]} == {"rebuild"}
    assert {fault["next"] for fault in told["faults"]} == {following.removeprefix("  next: ")}

    status, printed, _ = run_lutra(*command[1:])
    assert (status, printed) == (0, f"index search of table notes is filled anew: {ROWS - 1} rows in 1 segment\n")
    assert run_lutra("fsck", "--data", str(data))[0] == 0


def test_damaged_tables_are_told(data: Path) -> None:
    """Some rows of them, and, where nothing of them can be read, all."""
    restore = "next: restore the data directory from a backup: what is lost is nowhere else\n"
    (table,) = (data / "kv").glob("*.sst")
    whole = table.read_bytes()
    flip(table)
    status, printed, errors = run_lutra("fsck", "--data", str(data))
    assert (status, errors) == (1, "")
    assert f"  {restore}" in printed
    assert re.search(r"^table \w+, instance default:\n  after row \d+: cannot scan .*checksum mismatch", printed)
    table.write_bytes(whole)
    assert run_lutra("fsck", "--data", str(data))[0] == 0
    (data / "kv" / "CURRENT").write_bytes(b"nothing")
    status, printed, errors = run_lutra("fsck", "--data", str(data))
    assert (status, errors) == (1, "")
    assert re.fullmatch(f"tables:\n  .* is damaged: .*\n  {restore}", printed)
    status, printed, _ = run_lutra("fsck", "--data", str(data), "--json")
    told = json.loads(printed)
    assert (status, told["clean"], [fault["remedy"] for fault in told["faults"]]) == (1, False, ["restore"])


def test_what_a_crash_left_is_told_and_goes(data: Path) -> None:
    (segment,) = objects(data, "segments")
    with lutra.connect(data) as db:
        db.create_table("gone", {"id": int}, {"n": int})
        (deleted,) = (of for of in db._engine.partition.indexes.all() if of.table == "gone")
        db.delete_table("gone")
    shutil.rmtree(data / "objects" / prefix_of(deleted), ignore_errors=True)
    left = [segment.with_name("0" * 32), data / "objects" / prefix_of(deleted) / "segments" / ("1" * 32)]
    stranger = data / "objects" / "indexes" / "99-other-5" / "segments" / ("2" * 32)
    for path in (*left, stranger):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"cut short")
    status, printed, _ = run_lutra("fsck", "--data", str(data))
    names = [str(path.relative_to(data / "objects")) for path in left]
    assert status == 0
    assert printed.splitlines()[:-1] == [
        "note: indexes/99-other-5/: 1 object of no index of this directory, of an unknown store: nothing deletes it",
        "note: 2 objects that nothing names, deleted when it is next served:",
        *(f"  {name}" for name in names),
    ]
    assert json.loads(run_lutra("fsck", "--data", str(data), "--json")[1])["left_behind"] == names
    with ServerProcess(data):
        pass
    assert not any(path.exists() for path in left)
    assert stranger.exists(), "nobody knows whose it is"
    stranger.unlink()
    assert run_lutra("fsck", "--data", str(data))[1].startswith("clean: ")


def test_a_directory_without_indexes(data: Path) -> None:
    with lutra.connect(data) as db:
        db.delete_table("notes")
    with lutra.connect(data):  # sweeps up after the index, when nothing else is to be done
        wait_until(lambda: not any((data / "objects").glob("indexes/2-*/*/*")))
    assert run_lutra("fsck", "--data", str(data))[:2] == (
        0,
        "clean: 1 table with 50 rows; 0 indexes of 0 segments with 0 bytes\n",
    )
    assert run_lutra("index", "stats", "--data", str(data))[:2] == (0, "there are no search indexes\n")


def with_older_objects(data: Path, tmp_path: Path) -> None:
    """Objects of an earlier time put back under a directory that has forgotten the changes since."""
    shutil.copytree(data / "objects", tmp_path / "older")
    with lutra.connect(data) as db:
        notes = db.table("notes")
        notes.put({"id": 7, "n": 99, "v": [7, *range(7)]})
        notes.delete(8)
        notes.put({"id": ROWS, "n": 1})
        db._open().wait_searchable("notes", "search", 20)
        (feed,) = db._engine.partition.feeder._feeds
        feed.index.flush()
        changelog = db._engine.partition.space.changelog
        changelog.trim(feed.definition.table_id, changelog.last_sequence)
    shutil.rmtree(data / "objects")
    shutil.copytree(tmp_path / "older", data / "objects")


def test_older_objects_under_a_newer_directory(data: Path, tmp_path: Path) -> None:
    with_older_objects(data, tmp_path)
    status, printed, _ = run_lutra("fsck", "--data", str(data))
    assert status == 1
    assert "is not of this table's past, and will be filled anew: it knows changes up to" in printed
    assert "next: nothing: it is put right when the directory is next served\n" in printed
    assert "It is filled anew when it is next served: it knows" in run_lutra("index", "stats", "--data", str(data))[1]
    (one,) = json.loads(run_lutra("index", "stats", "--data", str(data), "--json")[1])["indexes"]
    assert one["filled_anew"].endswith("are forgotten")
    with lutra.connect(data) as db:
        db._open().wait_searchable("notes", "search", 20)
        rows = db.table("notes").search(where=lutra.col("n") == 99, limit=10)
        assert [row["id"] for row in rows] == [7]
    assert run_lutra("fsck", "--data", str(data))[0] == 0


def test_a_row_that_the_index_has_otherwise(data: Path, tmp_path: Path) -> None:
    """Where nothing tells that the index is of another time than the table: told row by row, mended as it says."""
    with_older_objects(data, tmp_path)
    store = RocksStore(data / "kv")
    batch = WriteBatch()
    for key, _ in store.scan(b"t", b"u"):  # older Lutras noted nothing
        batch.delete(key)
    store.commit(batch)
    store.close()
    status, printed, _ = run_lutra("fsck", "--data", str(data))
    assert status == 1
    assert re.search(r"  row \{'id': 7\}: is otherwise in .* than in the table: \[n\], the time of", printed)
    assert "  row {'id': 8}: is in the index, but not in the table\n" in printed
    assert f"  row {{'id': {ROWS}}}: is in the table, but not in the index\n" in printed
    assert printed.count("next: ") == 1
    assert run_lutra("index", "rebuild", "--data", str(data), "notes", "search")[0] == 0
    assert run_lutra("fsck", "--data", str(data))[0] == 0


def test_a_damaged_older_manifest_is_put_right_by_serving(data: Path) -> None:
    flip(objects(data, "manifest")[0])
    status, printed, _ = run_lutra("fsck", "--data", str(data))
    assert status == 1
    assert "next: nothing: it is put right when the directory is next served\n" in printed
    with ServerProcess(data):
        pass
    assert run_lutra("fsck", "--data", str(data))[0] == 0


def test_what_cannot_be_checked(data: Path, tmp_path: Path) -> None:
    for arguments, text in (
        (["--data", str(tmp_path / "none")], "there is no data directory"),
        (["--data", str(tmp_path)], "is no data directory: `lutra serve --data` makes one"),
        (["--data", str(data), "--objects", str(tmp_path / "none")], "there is no folder"),
        (["--data", str(data), "--objects", "ftp://x/y"], "Objects can be in a folder or at s3://bucket/prefix"),
        ([], "Missing option '--data'"),
    ):
        status, printed, errors = run_lutra("fsck", *arguments)
        assert (status, printed) == (2, "")
        assert text in errors
        if arguments:
            assert run_lutra("index", "stats", *arguments)[0] == 1
    assert not (tmp_path / "none").exists()


def test_what_may_not_be_read(data: Path) -> None:
    """As another user, where the tests run as one who may do anything."""
    (data / "kv").chmod(0)
    as_other = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    if as_other and (shutil.which("setpriv") is None or not _can_run(as_other)):
        pytest.skip("this user may read everything, and cannot become another")
    for command, failed in (("fsck", 2), ("index stats", 1)):
        done = subprocess.run(
            [*as_other, *LUTRA, *command.split(), "--data", str(data)], capture_output=True, text=True, timeout=60
        )
        assert (done.returncode, done.stdout) == (failed, "")
        assert re.fullmatch(r"Error: .*[Pp]ermission denied.*\n", done.stderr), done.stderr


def _can_run(command: list[str]) -> bool:
    return subprocess.run([*command, *LUTRA, "--version"], capture_output=True, check=False).returncode == 0


def test_beside_a_running_server(data: Path) -> None:
    with ServerProcess(data) as server:
        for command in ("fsck", "index rebuild", "serve"):
            named = ["notes", "search"] if command == "index rebuild" else []
            ran = run_process if command == "serve" else run_lutra
            status, printed, errors = ran(*command.split(), "--data", str(data), *named)
            assert (status, printed) == (2, "")
            assert errors == f"Error: another process has {data} open: stop the server (or close the database) first\n"
        status, printed, errors = run_lutra("index", "stats", "--data", str(data), "--json")
        told = json.loads(printed)
        assert (status, errors, told["served"], told["indexes"][0]["rows"]) == (0, "", True, ROWS - 1)
        assert "GET /metrics tells" in run_lutra("index", "stats", "--data", str(data))[1]
        assert server.is_running
    assert run_lutra("fsck", "--data", str(data))[0] == 0


def test_stats_of_the_indexes_that_can_be_read(data: Path) -> None:
    with lutra.connect(data) as db:
        db.create_table("other", {"id": int}, {"n": int})
        (other,) = (of for of in db._engine.partition.indexes.all() if of.table == "other")
    shutil.rmtree(data / "objects" / prefix_of(other), ignore_errors=True)  # where it had begun already
    (segment,) = objects(data, "segments")
    segment.unlink()
    status, printed, errors = run_lutra("index", "stats", "--data", str(data))
    assert status == 1
    assert "index search of table notes, instance default: cannot be read: " in printed
    assert segment.name in printed
    # It may have been opened, and given a manifest, before the directory was closed.
    assert re.search("index search of table other, instance default(: nothing yet|\n)", printed)
    assert "`lutra fsck` tells" in errors
    status, printed, _ = run_lutra("index", "stats", "--data", str(data), "--json")
    assert [one.get("error") is None for one in json.loads(printed)["indexes"]] == [False, True]
    assert status == 1


def test_stats(data: Path) -> None:
    status, printed, _ = run_lutra("index", "stats", "--data", str(data), "--json")
    (told,) = json.loads(printed)["indexes"]
    assert status == 0
    assert (told["instance"], told["table"], told["index"]) == ("default", "notes", "search")
    assert (told["rows"], told["dead"], told["kinds"]) == (ROWS - 1, 1, {"flat": 1})
    (segment,) = objects(data, "segments")
    assert sum(told["disk_bytes"].values()) == segment.stat().st_size == told["bytes_written"]["flushed"]
    assert told["disk_bytes"]["vectors"] >= 4 * 8 * ROWS
    marks = told["watermarks"]
    assert marks == {
        "written": marks["written"],
        "searchable": marks["written"],
        "indexed": marks["written"],
        "filled": True,
    }
    assert 1 < told["write_amplification"] < 1.1
    assert told["segments"][0]["name"] == f"segments/{segment.name}"

    status, printed, _ = run_lutra("index", "stats", "--data", str(data), "notes", "search")
    assert status == 0
    for text in ("index search of table notes, instance default", segment.name[:12], "flat", "1 in all", "vectors"):
        assert text in printed
    status, _, errors = run_lutra("index", "stats", "--data", str(data), "other")
    there_is = "there is: --instance default notes search"
    assert (status, errors) == (1, f"Error: there is no such search index; {there_is}\n")


def test_stats_fit_any_terminal_and_pipe(data: Path) -> None:
    printed = run_lutra("index", "stats", "--data", str(data), environment={"COLUMNS": "60"})[1]
    (disk,) = [line for line in printed.splitlines() if line.startswith("disk ")]
    assert re.search(r"vectors [\d.]+ KB$", disk), "not broken off"


def test_help_teaches() -> None:
    for command in ("", "serve", "instance", "index", "index stats", "index rebuild", "fsck", "search", "demo"):
        status, printed, _ = run_lutra(*command.split(), "--help")
        assert status == 0
        assert f"  lutra {command}".rstrip() in printed, "an example to paste"


def test_rebuild_says_what_it_did(data: Path) -> None:
    status, printed, _ = run_lutra("index", "rebuild", "--data", str(data), "notes", "search", "--json")
    assert (status, json.loads(printed)["rows"]) == (0, ROWS - 1)
    status, _, errors = run_lutra("index", "rebuild", "--data", str(data), "notes", "none")
    assert (status, errors) == (1, "Error: search index [none] does not exist\n")


def test_a_rebuilt_index_awaits_its_kind_until_it_is_served(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with lutra.connect(data) as db:
        wide = db.create_table("wide", {"id": int}, {"v": lutra.Vector(384)})
        wide.put_many({"id": n, "v": np.full(384, n, np.float32)} for n in range(ROWS))
    assert run_lutra("index", "rebuild", "--data", str(data), "wide", "search")[0] == 0
    told = json.loads(run_lutra("index", "stats", "--data", str(data), "--json")[1])["indexes"][0]
    assert [(one["kinds"], one["awaits_build"]) for one in told["segments"]] == [({"v": "flat"}, True)]
    assert told["watermarks"]["indexed"] == 0 < told["watermarks"]["searchable"]
    assert " 0 indexed (1 to be built)" in run_lutra("index", "stats", "--data", str(data))[1]
    with ServerProcess(data):
        deadline_s = time.monotonic() + 60
        while told["watermarks"]["indexed"] == 0 and time.monotonic() < deadline_s:
            told = json.loads(run_lutra("index", "stats", "--data", str(data), "--json")[1])["indexes"][0]
    assert [(one["kinds"], one["awaits_build"]) for one in told["segments"]] == [({"v": "codes"}, False)]
    assert told["watermarks"]["indexed"] == told["watermarks"]["written"]
    assert run_lutra("fsck", "--data", str(data))[0] == 0


@pytest.mark.slow
def test_objects_on_s3(tmp_path: Path, s3: S3Server) -> None:
    url, data = s3.url(uuid.uuid4().hex), str(tmp_path / "data")
    fill(tmp_path / "data", objects=url)
    environment = {**s3.environment, "LUTRA_OBJECTS": url}
    assert run_lutra("fsck", "--data", data, environment=environment)[0] == 0
    assert run_lutra("fsck", "--data", data, environment=s3.environment)[0] == 2
    printed = run_lutra("index", "stats", "--data", data, "--objects", url, "--json", environment=environment)[1]
    assert json.loads(printed)["indexes"][0]["rows"] == ROWS - 1
    assert run_lutra("index", "rebuild", "--data", data, "notes", "search", environment=environment)[0] == 0
    assert run_lutra("fsck", "--data", data, environment=environment)[0] == 0


def test_stats_tell_what_filters_do_not_see(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with lutra.connect(data) as db:
        db.create_table("notes", {"id": int}, {"word": str, "n": int})
    engine = Engine.open(data)
    try:
        cells: list[CellChange] = [("word", "x" * 4_097, None, CellOperation.PUT), ("n", 1, None, CellOperation.PUT)]
        for number in range(5):
            change = RowChange(ChangeKind.PUT, (("id", number),), cells if number < 3 else cells[1:])
            engine.instance("default").tables.write("notes", change)
    finally:
        engine.close()
    assert run_lutra("index", "rebuild", "--data", str(data), "notes", "search")[0] == 0
    assert (
        "left out 3 of word: not of the field's type, or too long\n"
        in run_lutra("index", "stats", "--data", str(data))[1]
    )
    printed = run_lutra("index", "stats", "--data", str(data), "--json")[1]
    assert json.loads(printed)["indexes"][0]["left_out"] == {"word": 3}
    assert run_lutra("fsck", "--data", str(data))[0] == 0


def test_a_generation_that_is_being_filled_is_told_of(data: Path) -> None:
    with StoppedDirectory(data, is_to_be_mended=True) as directory:
        of = directory.indexes.get("default", "notes", "search")
        fields = (*(field for field in of.schema.fields if field.name != "v"), FieldSchema("word", FieldType.KEYWORD))
        begun = directory.indexes.begin_generation(of, replace(of.schema, fields=fields))
        assert begun.next is not None
        tables, space = directory.space.instance("default"), directory.space
        space.changelog.begin()
        resources = Resources.open(directory.address, data / "scratch", MEMORY_BYTES_DEFAULT)
        resources = replace(resources, claim=directory.place.taken(resources.store))
        feed = IndexFeed(begun.next, tables, space.changelog, directory.store, resources, directory.clock)
        feed.step()
        feed.index.flush()
        feed.close()
        resources.close()
    assert (
        "filling  a new generation (with word, without v): 512 rows in 1 segment so far; the one above answers until"
    ) in run_lutra("index", "stats", "--data", str(data))[1]
    (told,) = json.loads(run_lutra("index", "stats", "--data", str(data), "--json")[1])["indexes"]
    assert told["rows"] == ROWS - 1
    assert told["filling"].pop("disk_bytes")["keys"] > 0
    assert told["filling"] == {
        "rows": 512,
        "segments": 1,
        "filled": False,
        "fields_added": ["word"],
        "fields_dropped": ["v"],
    }
    with lutra.connect(data) as db:
        db._open().wait_updated("notes", "search", 60)
        assert len(db.table("notes").search(where=lutra.col("n") == 2, limit=1_000)) == ROWS // 5
