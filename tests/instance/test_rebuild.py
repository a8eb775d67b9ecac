"""Indexes whose objects are lost or damaged: they say so, and are filled anew."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

import lutra
from lutra.index.lsm.stored_stats import stored_stats
from lutra.instance.fsck import check_directory
from lutra.instance.layout import INDEX_NAME
from lutra.instance.rebuild import rebuild_index
from lutra.instance.stopped import StoppedDirectory
from lutra.model.errors import DirectoryInUse, IndexDamaged, MetaNotMatch, StorageFailure

ROWS = 1_500
FIELDS = {"n": int, "v": lutra.Vector(4)}
QUERY = [7, 1, 2, 3]


def fill(path: Path) -> None:
    """Two tables with an index each, all of it in segments, the first one with deletions."""
    with lutra.connect(path) as db:
        for name in ("t", "other"):
            table = db.create_table(name, {"id": int}, FIELDS)
            table.put_many({"id": n, "n": n % 7, "v": [n, 1, 2, 3]} for n in range(ROWS))
            assert table.search(QUERY, limit=1)[0]["id"] == 7
        for feed in db._engine.partition.feeder._feeds:
            feed.index.flush()
        db.table("t").delete(3)
        assert len(db.table("t").search(QUERY, limit=1)) == 1
        for feed in db._engine.partition.feeder._feeds:
            feed.index.flush()


def objects(path: Path, kind: str) -> list[Path]:
    """Of the index of table ``t``, which was made first. A folder is there as long as it has objects."""
    first = min((path / "objects" / "indexes").iterdir(), key=lambda folder: int(folder.name.partition("-")[0]))
    return sorted((first / kind).iterdir()) if (first / kind).is_dir() else []


def lose_segment(path: Path) -> Path:
    (segment,) = objects(path, "segments")
    segment.unlink()
    return segment


def cut_segment(path: Path) -> Path:
    (segment,) = objects(path, "segments")
    segment.write_bytes(segment.read_bytes()[:-5_000])
    return segment


def damage_segment(path: Path) -> Path:
    (segment,) = objects(path, "segments")
    data = bytearray(segment.read_bytes())
    data[-100] ^= 1
    segment.write_bytes(data)
    return segment


def lose_deletions(path: Path) -> Path:
    (deletions,) = objects(path, "deletions")
    deletions.unlink()
    return deletions


def damage_manifest(path: Path) -> Path:
    newest = objects(path, "manifest")[-1]
    newest.write_bytes(newest.read_bytes()[:-3])
    return newest


DAMAGES = [lose_segment, cut_segment, damage_segment, lose_deletions, damage_manifest]


@pytest.mark.parametrize("damage", DAMAGES)
def test_it_says_so_and_is_filled_anew(tmp_path: Path, damage: Callable[[Path], Path]) -> None:
    fill(tmp_path)
    lost = damage(tmp_path)
    faults = check_directory(tmp_path)
    assert {fault.table for fault in faults} == {"t"}
    assert any(lost.name in fault.place for fault in faults)
    with lutra.connect(tmp_path) as db:
        began_s = time.monotonic()
        with pytest.raises(IndexDamaged, match=r"is damaged: .*delete the index and create it again.*rebuild") as told:
            db.table("t").search(QUERY, limit=1)
        assert lost.name in str(told.value)
        assert time.monotonic() - began_s < 10, "who asks is not kept waiting"
        assert db.table("t").get(7) is not None
        assert db.table("other").search(QUERY, limit=1)[0]["id"] == 7
        db.table("t").put({"id": ROWS, "v": [-1, 1, 2, 3]})
    taken: list[int] = []
    with StoppedDirectory(tmp_path, is_to_be_mended=True) as directory:
        stats = rebuild_index(directory, "default", "t", INDEX_NAME, on_rows=taken.append)
    assert stats.rows - stats.dead == taken[-1] == ROWS
    assert taken == sorted(taken)
    assert lost not in [*objects(tmp_path, "segments"), *objects(tmp_path, "deletions")]
    assert check_directory(tmp_path) == []
    with lutra.connect(tmp_path) as db:
        table = db.table("t")
        assert [row["id"] for row in table.search([-1, 1, 2, 3], limit=2)] == [ROWS, 0]
        assert table.count() == ROWS


def test_deleted_and_created_again(tmp_path: Path) -> None:
    fill(tmp_path)
    lose_segment(tmp_path)
    with lutra.connect(tmp_path) as db:
        instance = db._open()
        schema = instance.describe_search_index("t", INDEX_NAME).schema
        instance.delete_search_index("t", INDEX_NAME)
        instance.create_search_index("t", INDEX_NAME, schema)
        assert db.table("t").search(QUERY, limit=1)[0]["id"] == 7
    assert check_directory(tmp_path) == []


def test_a_block_that_is_damaged_while_it_is_searched(tmp_path: Path) -> None:
    fill(tmp_path)
    with lutra.connect(tmp_path) as db:
        assert db.table("t").search(QUERY, limit=1)[0]["id"] == 7
    (segment,) = objects(tmp_path, "segments")
    data = bytearray(segment.read_bytes())
    data[8:64] = bytes(56)  # of the first block of keys
    segment.write_bytes(data)
    with lutra.connect(tmp_path) as db, pytest.raises(IndexDamaged, match=r"is damaged: .*'keys'.*rebuild"):
        db.table("t").search(where=lutra.col("n") == 3, limit=10)


def test_what_is_put_back_is_taken_up_again(tmp_path: Path) -> None:
    fill(tmp_path)
    (segment,) = objects(tmp_path, "segments")
    data = segment.read_bytes()
    segment.unlink()
    with lutra.connect(tmp_path) as db:
        with pytest.raises(IndexDamaged, match="no such object"):
            db.table("t").search(QUERY, limit=1)
        segment.write_bytes(data)
        assert db.table("t").search(QUERY, limit=1)[0]["id"] == 7


def test_a_rebuild_broken_off_goes_on(tmp_path: Path) -> None:
    fill(tmp_path)
    lose_segment(tmp_path)

    def stop(rows: int) -> None:
        raise KeyboardInterrupt

    with StoppedDirectory(tmp_path, is_to_be_mended=True) as directory, pytest.raises(KeyboardInterrupt):
        rebuild_index(directory, "default", "t", INDEX_NAME, on_rows=stop)
    assert check_directory(tmp_path) == []
    with lutra.connect(tmp_path) as db:
        assert db.table("t").search(QUERY, limit=1)[0]["id"] == 7
        assert db.table("t").count() == ROWS - 1


def test_of_what_is_not_there(tmp_path: Path) -> None:
    fill(tmp_path)
    with StoppedDirectory(tmp_path, is_to_be_mended=True) as directory:
        before = directory.objects.list("")
        for instance, table, index in (("default", "t", "x"), ("default", "x", INDEX_NAME), ("x", "t", INDEX_NAME)):
            with pytest.raises(MetaNotMatch):
                rebuild_index(directory, instance, table, index)
        assert directory.objects.list("") == before


def test_stats_of_a_stopped_directory_are_those_of_the_running_one(tmp_path: Path) -> None:
    fill(tmp_path)
    with lutra.connect(tmp_path) as db:
        feed = db._engine.partition.feeder._feeds[0]
        db._open().wait_searchable("t", INDEX_NAME, 20)
        running = feed.index.stats()
        written = feed.watermarks().written
    with StoppedDirectory(tmp_path, is_to_be_mended=True) as directory:
        (definition,) = [of for of in directory.definitions() if of.table == "t"]
        stopped = stored_stats(directory.storage(definition))
        assert directory.space.changelog.last_sequence == written
    assert stopped is not None
    assert (stopped.rows, stopped.dead, stopped.kinds) == (running.rows, running.dead, running.kinds)
    assert stopped.bytes_by_class == running.bytes_by_class
    assert sum(stopped.bytes_by_class.values()) == sum(path.stat().st_size for path in objects(tmp_path, "segments"))
    assert stopped.written == running.written
    assert stopped.write_amplification > 1
    assert stopped.searchable.filled


def test_a_directory_is_opened_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(StorageFailure, match="no data directory"):
        StoppedDirectory(tmp_path / "none")
    assert not (tmp_path / "none").exists()
    fill(tmp_path / "d")
    with pytest.raises(StorageFailure, match="there is no folder"):
        StoppedDirectory(tmp_path / "d", objects=tmp_path / "elsewhere")
    with lutra.connect(tmp_path / "d"), pytest.raises(DirectoryInUse, match="open already"):
        StoppedDirectory(tmp_path / "d")
    StoppedDirectory(tmp_path / "d").close()
