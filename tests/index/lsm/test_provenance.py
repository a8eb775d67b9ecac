"""What an index goes on from, and what is not of its table's past: that is filled anew, and said."""

from __future__ import annotations

import logging
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.feeding import content_of, define
from support.indexes import resources_in

from lutra.index.builds.policy import Policy
from lutra.index.definitions.definition import IndexDefinition
from lutra.index.feed.index_feed import IndexFeed
from lutra.index.lsm.provenance import Provenance
from lutra.index.lsm.storage import IndexStorage, prefix_of, sweep
from lutra.kv.batch import WriteBatch
from lutra.kv.memory import MemoryStore
from lutra.kv.store import KeyValueStore
from lutra.model.clock import SystemClock
from lutra.model.errors import Fenced, ObjectMissing
from lutra.model.rows import CellOperation, ChangeKind, RowChange
from lutra.model.schema import TableDescription
from lutra.objects.local import LocalStore
from lutra.objects.owner import Claim, Owner
from lutra.tables.changelog import Changelog
from lutra.tables.history import NO_ORIGIN
from lutra.tables.space import TableSpace
from lutra.tables.tables import Tables

ANEW = "It is filled anew."


class Followed:
    """A table with an index, opened over and over by feeds driven by hand."""

    def __init__(self, folder: Path, store: KeyValueStore, tables: Tables, table: TableDescription) -> None:
        self.folder, self.store, self.tables, self.table = folder, store, tables, table
        self.definition: IndexDefinition = define(store, table)
        self.claim: Claim | None = None

    def run(self, *, begins: bool = True, trims: bool = False) -> dict[int, Any]:
        """One opening: what is found once the index has all, which is then in a manifest."""
        changelog = TableSpace(self.store).changelog
        if begins:
            changelog.begin()
        resources = resources_in(self.folder, policy=Policy(flush_age_s=3_600))
        feed = IndexFeed(self.definition, self.tables, changelog, self.store, resources, SystemClock())
        while feed.step():
            pass
        feed.index.flush()
        if trims:
            changelog.trim(self.table.table_id, feed.needed_after)
        found = content_of(feed.view())
        feed.close()
        resources.close()
        return found

    @property
    def objects(self) -> Path:
        return self.folder / "objects"

    def saved(self, name: str) -> Path:
        return Path(shutil.copytree(self.objects, self.folder / name))

    def put_back(self, saved: Path) -> None:
        shutil.rmtree(self.objects)
        shutil.copytree(saved, self.objects)

    def storage(self) -> IndexStorage:
        return IndexStorage(LocalStore(self.objects), prefix_of(self.definition))


@pytest.fixture
def followed(store: KeyValueStore, tables: Tables, new_table: Any, tmp_path: Path) -> Followed:
    return Followed(tmp_path, store, tables, new_table("t"))


def test_older_objects_are_filled_anew_where_changes_were_forgotten(
    followed: Followed, put: Any, caplog: pytest.LogCaptureFixture
) -> None:
    put("t", 1, n=1)
    followed.run(trims=True)
    older = followed.saved("older")
    put("t", 2, n=2)
    assert followed.run() == {1: 1, 2: 2}
    followed.put_back(older)
    assert followed.run(trims=True) == {1: 1, 2: 2}, "nothing was forgotten since: it goes on"
    assert ANEW not in caplog.text
    followed.put_back(older)
    assert followed.run() == {1: 1, 2: 2}
    assert "and those up to 2 are forgotten. It is filled anew." in caplog.text
    caplog.clear()
    assert followed.run() == {1: 1, 2: 2}
    assert ANEW not in caplog.text, "once"


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_filling_anew_that_is_broken_off_is_not_taken_for_done(
    followed: Followed, tables: Tables, put_many: Any, steps: int
) -> None:
    """What is signed first is empty: a crash right after it leaves nothing that would be known and wrong."""
    put_many("t", {number: {"n": number} for number in range(1_100)})
    followed.run(trims=True)
    older = followed.saved("older")
    put_many("t", {number: {"n": -number} for number in range(1_000, 1_300)})
    followed.run(trims=True)
    followed.put_back(older)
    changelog = TableSpace(followed.store).changelog
    changelog.begin()
    resources = resources_in(followed.folder, policy=Policy(flush_bytes=1))
    feed = IndexFeed(followed.definition, tables, changelog, followed.store, resources, SystemClock())
    for _ in range(steps):
        assert feed.step()
    feed.index.maintain()
    feed.close()
    resources.close()
    assert followed.run() == {number: -number if number >= 1_000 else number for number in range(1_300)}


def test_changes_that_came_to_nothing_are_in_a_manifest_before_they_are_forgotten(
    followed: Followed, tables: Tables, put: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Else the index would seem to be older than what was forgotten, and be filled anew at each start."""
    put("t", 1, n=1)
    followed.run(trims=True)
    for _ in range(2):
        put("t", 2, n=2)
        tables.write("t", RowChange(ChangeKind.DELETE, (("id", 2),)))
        tables.write("t", RowChange(ChangeKind.DELETE, (("id", 7),)))
        changelog = TableSpace(followed.store).changelog
        changelog.begin()
        resources = resources_in(followed.folder, policy=Policy(flush_age_s=3_600))
        feed = IndexFeed(followed.definition, tables, changelog, followed.store, resources, SystemClock())
        while feed.step():
            pass
        assert feed.watermarks().searchable == changelog.last_sequence
        changelog.trim(followed.table.table_id, feed.needed_after)
        feed.close()  # as a crash would leave it
        resources.close()
        assert followed.run(trims=True) == {1: 1}
    assert ANEW not in caplog.text


def test_objects_of_an_older_lutra_are_gone_on_from(
    followed: Followed, put: Any, caplog: pytest.LogCaptureFixture
) -> None:
    put("t", 1, n=1)
    followed.run(begins=False)
    numbered = followed.storage().newest()
    assert numbered is not None
    assert numbered[1].origin == NO_ORIGIN
    older = followed.saved("older")
    put("t", 2, n=2)
    assert followed.run(trims=True) == {1: 1, 2: 2}
    assert ANEW not in caplog.text
    followed.put_back(older)
    assert followed.run() == {1: 1, 2: 2}
    assert ANEW in caplog.text


def test_objects_of_another_store_are_filled_anew(
    followed: Followed, put: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Even under the same name, with a position that the table has passed."""
    put("t", 1, n=1)
    other = MemoryStore()
    tables = TableSpace(other).instance("default")
    table = tables.create(followed.tables.describe("t").schema)
    for number in (5, 6):
        tables.write("t", RowChange(ChangeKind.PUT, (("id", number),), [("n", number, None, CellOperation.PUT)]))
    stranger = Followed(followed.folder, other, tables, table)
    stranger.definition = followed.definition
    assert stranger.run() == {5: 5, 6: 6}
    for number in range(2, 9):
        put("t", number, n=number)
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        assert followed.run() == {number: number for number in range(1, 9)}
    assert "another store" in caplog.text
    assert ANEW in caplog.text


def test_a_deleted_index_that_a_copy_went_on_with_is_left(
    followed: Followed, put: Any, caplog: pytest.LogCaptureFixture
) -> None:
    put("t", 1, n=1)
    followed.run()
    copied = MemoryStore()
    batch = WriteBatch()
    for key, value in followed.store.scan(b"\0", b"\xff"):
        batch.put(key, value)
    copied.commit(batch)
    mine, other = TableSpace(followed.store).changelog, TableSpace(copied).changelog
    objects = LocalStore(followed.objects)

    def signed(changelog: Changelog) -> None:
        """An opening of one of the two, which takes the index over."""
        changelog.begin()
        provenance = Provenance(changelog, followed.table.table_id)
        storage = IndexStorage(objects, prefix_of(followed.definition), provenance)
        newest = storage.newest()
        assert newest is not None
        storage.take_over(newest[1], lambda manifest: None)

    signed(mine)
    signed(other)
    before = objects.list("")
    assert sweep(objects, [followed.definition], mine, None) == [followed.definition]
    assert objects.list("") == before
    assert "the objects of this deleted index are left: a copy of this store wrote it" in caplog.text
    signed(mine)
    mine.begin()
    assert sweep(objects, [followed.definition], mine, None) == [followed.definition]
    assert objects.list("") == []


def test_who_lost_the_place_neither_writes_nor_deletes(followed: Followed, tables: Tables, put: Any) -> None:
    put("t", 1, n=1)
    changelog = TableSpace(followed.store).changelog
    changelog.begin()
    objects = LocalStore(followed.objects)
    mine = Claim(objects, Owner("a", "1", "", "", 0), lambda before: None)
    mine.take()
    resources = resources_in(followed.folder, policy=Policy(flush_age_s=3_600))
    provided = replace(resources, claim=mine)
    clock = SystemClock()
    feeds = [
        IndexFeed(definition, tables, changelog, followed.store, provided, clock)
        for definition in (followed.definition, define(followed.store, followed.table, "y"))
    ]
    for feed in feeds:
        while feed.step():
            pass
        feed.index.flush()
    put("t", 1, n=2)
    for feed in feeds:
        while feed.step():
            pass
        feed.index.flush()  # what it replaced is garbage by now
        feed.consumer._storage.discard("segments/" + "0" * 32)
    Claim(objects, Owner("b", "2", "/there", "otter", 0), lambda before: None).seize()
    before = {name: objects.get(name) for name in objects.list("")}
    with pytest.raises(Fenced, match="another store has taken the place of these objects: store b"):
        feeds[0].consumer._storage.collect(set())
    put("t", 3, n=3)
    feeds[0].step()
    feeds[0].index.maintain()
    with pytest.raises(Fenced):
        feeds[0].index.flush()
    with pytest.raises(Fenced):
        feeds[0].view()
    told = str(feeds[1].consumer.damage(ObjectMissing("a segment is lost")))
    assert "another store has taken the place" in told, "who deleted it, perhaps"
    assert "rebuild" not in told
    feeds[1].close()
    feeds[1].consumer.delete()
    with pytest.raises(Fenced):
        IndexFeed(
            define(followed.store, followed.table, "z"), tables, changelog, followed.store, provided, clock
        ).step()
    written = {name: objects.get(name) for name in objects.list("") if "/segments/" not in name}
    assert written == {name: data for name, data in before.items() if "/segments/" not in name}
    assert before.keys() <= set(objects.list("")), "nothing is gone"
    feeds[0].close()
    resources.close()
