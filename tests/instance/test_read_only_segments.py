"""Segments that a database reads while another one writes and deletes them."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.reading import VECTORS, ids, index_of, make, open_files, row, write_out
from support.s3_server import S3Server

import lutra
from lutra.index.feed.reading import ReadConsumer
from lutra.index.lsm.read_storage import Look
from lutra.instance import rows_place
from lutra.instance.reading import ReadEngine, ReadPartition
from lutra.kv.copied import held_store
from lutra.model.clock import SystemClock
from lutra.model.errors import (
    IndexDamaged,
    Outdated,
    ServerBusy,
    StorageFailure,
)
from lutra.objects.local import LocalStore
from lutra.objects.manifest_log import ManifestLog
from lutra.tables.tables import Tables

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


@pytest.mark.parametrize(
    ("step", "call", "expected"),
    [
        ("read", lambda table: table.get(7)["n"], 7),
        ("read_batch", lambda table: [row and row["n"] for row in table.get_many([7, 8])], [7, 8]),
        ("read_range", lambda table: len(list(table)), 100),
        ("count", lambda table: table.count(), 100),
        ("count", len, 100),
    ],
)
def test_rows_that_are_being_read_while_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, call: Callable[[lutra.Table], object], expected: object
) -> None:
    with lutra.connect(tmp_path) as writer:
        there = writer.create_table("t", {"n": int})
        there.put_many({"n": number} for number in range(100))
        with lutra.connect(tmp_path, read_only=True) as reader:
            table = reader.table("t")
            whole = getattr(Tables, step)

            def meanwhile(*arguments: Any) -> object:
                monkeypatch.setattr(Tables, step, whole)
                there.delete_many([7, 8])
                reader.refresh()
                return whole(*arguments)

            monkeypatch.setattr(Tables, step, meanwhile)
            assert call(table) == expected
            assert len(table) == 98


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

        monkeypatch.setattr(rows_place, "held_store", and_then_more_is_written)
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

        monkeypatch.setattr(rows_place, "held_store", and_then_a_manifest_is_put)
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


def test_objects_on_s3(tmp_path: Path, s3: S3Server) -> None:
    """They are read, and nothing else; where they are deleted by who writes them, that is told, and refreshed."""
    place = s3.url("read-only")
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
