"""Data directories and backups that earlier versions wrote: they are opened, searched, checked, and gone on with."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import pytest
from support.kept_data import GLOBAL, INSTANCE, LOCAL, ROWS, model, plain, put, row, vector
from support.reading import tree
from support.secondary import check_index
from support.waiting import wait_until

import lutra
from lutra.instance.engine import Engine
from lutra.instance.fsck import check_directory

GOLDEN = Path(__file__).parent / "golden"
ARCHIVES = sorted(GOLDEN.glob("data-*.tar.xz"))


@pytest.fixture(params=ARCHIVES, ids=lambda path: path.name.removesuffix(".tar.xz"))
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    with tarfile.open(request.param) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path


def check(folder: Path, *, read_only: bool) -> None:
    wanted = model()
    with lutra.connect(folder, read_only=read_only) as database:
        table = database.table("notes")
        assert {one["id"]: plain(one) for one in table.scan()} == {id: plain(one) for id, one in wanted.items()}
        assert table.count() == len(wanted)
        near = [one["id"] for one in table.search(vector(50), limit=4)]
        by_distance = sorted((sum((vector(50) - one["v"]) ** 2), id) for id, one in wanted.items() if "v" in one)
        assert near == [id for _, id in by_distance[:4]]
        filters = {
            "n": (lutra.col("n") < 60, lambda one: one["n"] < 60),
            "even": (lutra.col("is_even").is_true(), lambda one: one["is_even"]),
            "tags": (lutra.col("tags") == "heron", lambda one: "heron" in one["tags"]),
            "time": (lutra.col("at") >= row(100)["at"], lambda one: one["at"] >= row(100)["at"]),
            "box": (lutra.col("box.colour") == "otter", lambda one: one["box"]["colour"] == "otter"),
        }
        for name, (where, passes) in filters.items():
            found = {one["id"] for one in table.search(where=where, limit=ROWS)}
            assert found == {id for id, one in wanted.items() if passes(one)}, name
        words = {one["id"] for one in table.search(text="heron", limit=ROWS)}
        assert words == {id for id, one in wanted.items() if "heron" in one["text"].split()}


def test_it_is_read_and_not_changed(kept: Path) -> None:
    before = tree(kept / "data")
    assert check_directory(kept / "data") == []
    check(kept / "data", read_only=True)
    assert tree(kept / "data") == before


def test_it_is_gone_on_with(kept: Path) -> None:
    check(kept / "data", read_only=False)
    with lutra.connect(kept / "data") as database:
        table = database.table("notes")
        assert table.count() == len(model())
        stats = notes_index(database).stats()
        assert sum(one.rows for one in stats.segments) > stats.buffer_rows > 0, "segments were taken as they are"
        table.put(row(9))
        assert table.search(vector(9), limit=1)[0]["id"] == "r009"
        table.count()
        notes_index(database).flush()
        notes_index(database).compact()
        assert len(table.search(text="heron", limit=ROWS)) > 10
    engine = Engine.open(kept / "data")
    try:
        instance = engine.instance(INSTANCE)
        put(instance, 99)
        wait_until(lambda: check_both(instance) == (31, 31))
        (stream,) = instance.list_streams("counted")
        at = instance.stream_iterator(stream.stream_id, stream.shards[0].id)
        assert instance.read_stream(at, 1_000, 10**6).records[-1].key == (("p", 3), ("i", 99))
    finally:
        engine.close()
    assert check_directory(kept / "data") == []


def notes_index(database: lutra.Database) -> Any:
    """The search index; beside it there is a secondary index that follows its table."""
    return next(feed.index for feed in database._engine.partition.feeder._feeds if hasattr(feed, "index"))


def check_both(instance: object) -> tuple[int, int]:
    tables = instance.tables  # type: ignore[attr-defined]
    try:
        return check_index(tables, "counted", LOCAL), check_index(tables, "counted", GLOBAL)
    except AssertionError:  # the global one follows
        return (0, 0)


def test_its_backup_is_restored(kept: Path) -> None:
    lutra.restore(kept / "backups", kept / "restored")
    assert check_directory(kept / "restored") == []
    check(kept / "restored", read_only=False)


def test_there_is_one_of_this_version_and_none_is_large() -> None:
    assert f"data-{lutra.__version__}.tar.xz" in [path.name for path in ARCHIVES]
    assert all(path.stat().st_size < 100_000 for path in ARCHIVES)
