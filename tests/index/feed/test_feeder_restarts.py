"""The feeder over real tables: what is forgotten of the changelog, restarts, and who else writes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from support.feeding import WAIT_S, content, content_of, define
from support.index_feeder import IndexFeeder
from support.indexes import resources_in
from support.waiting import wait_until

from lutra.feed.progress import Progress
from lutra.feed.trimmer import Trimmer
from lutra.index.builds.policy import Policy
from lutra.index.feed.index_feed import IndexFeed
from lutra.index.lsm.index import SearchIndex
from lutra.index.lsm.resources import Resources
from lutra.kv.store import KeyValueStore
from lutra.model.clock import SystemClock
from lutra.model.errors import Fenced
from lutra.model.indexes import SyncPhase
from lutra.model.rows import ChangeKind, Row, RowChange
from lutra.model.schema import TableDescription
from lutra.tables.space import TableSpace
from lutra.tables.tables import Tables


def test_changes_are_forgotten_once_they_are_in_a_manifest(
    fast_ticks: None,
    store: KeyValueStore,
    space: TableSpace,
    tables: Tables,
    new_table: Any,
    put: Any,
    tmp_path: Path,
) -> None:
    indexed, bare = new_table("indexed"), new_table("bare")
    definition = define(store, indexed)

    def left(table: TableDescription) -> bool:
        return bool(space.changelog.read(table.table_id, 0, 10))

    with IndexFeeder(
        space.changelog, store, resources_in(tmp_path, policy=Policy(flush_age_s=3_600, trim_period_s=0.1))
    ) as feeder:
        feed = feeder.follow(definition, tables)
        for number in range(5):
            put("indexed", number, n=number)
            put("bare", number, n=number)
        feeder.wait_searchable(feed, WAIT_S)
        wait_until(lambda: not left(bare))
        time.sleep(0.3)
        assert left(indexed), "they are in memory only"
    with IndexFeeder(
        space.changelog, store, resources_in(tmp_path, policy=Policy(flush_age_s=0.1, trim_period_s=0.1))
    ) as feeder:
        feed = feeder.follow(definition, tables)
        feeder.wait_searchable(feed, WAIT_S)
        put("indexed", 9, n=9)
        wait_until(lambda: not left(indexed))
        assert feed.view().rows == 6
        assert feed.index.stats().durable >= 11


@pytest.mark.parametrize("kill", [False, True])
def test_an_index_goes_on_from_its_manifest(
    fast_ticks: None,
    store: KeyValueStore,
    space: TableSpace,
    tables: Tables,
    new_table: Any,
    put: Any,
    put_many: Any,
    tmp_path: Path,
    kill: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing that a manifest covers is read again; what came after it, or while nobody looked, is."""
    definition = define(store, new_table("t"))
    resources = resources_in(tmp_path, policy=Policy(flush_age_s=3_600))
    with IndexFeeder(space.changelog, store, resources) as feeder:
        feed = feeder.follow(definition, tables)
        put_many("t", {n: {"n": n, "v": f"[{n}, 0]"} for n in range(300)})
        feeder.wait_searchable(feed, WAIT_S)
        feed.index.flush()
        put("t", 1, n=-1)
        tables.write("t", RowChange(ChangeKind.DELETE, (("id", 2),)))
        feeder.wait_searchable(feed, WAIT_S)
        if not kill:
            feed.index.flush()
    put("t", 3, n=-3)
    taken: list[Any] = []
    whole = SearchIndex.apply

    def watched(self: SearchIndex, rows: Any, deleted: Any = ()) -> None:
        taken.extend([row.key[0][1] for row in rows] + [key[0][1] for key in deleted])
        whole(self, rows, deleted)

    monkeypatch.setattr(SearchIndex, "apply", watched)
    with IndexFeeder(space.changelog, store, resources) as feeder:
        feed = feeder.follow(definition, tables)
        assert feed.watermarks().searchable == -1
        feeder.wait_searchable(feed, WAIT_S)
        assert sorted(taken) == ([1, 2, 3] if kill else [3])
        view = feed.view()
        assert view.rows == 299
        assert content_of(view) == {n: -n if n in (1, 3) else n for n in range(300) if n != 2}
        marks = feed.watermarks()
        assert marks.written == marks.searchable >= marks.indexed > 0


def test_a_fill_that_was_broken_off_goes_on(
    store: KeyValueStore, space: TableSpace, tables: Tables, new_table: Any, put: Any, put_many: Any, tmp_path: Path
) -> None:
    table = new_table("t")
    definition = define(store, table)
    put_many("t", {n: {"n": n} for n in range(2_000)})
    resources = resources_in(tmp_path, policy=Policy(flush_bytes=1))
    feed = IndexFeed(definition, tables, space.changelog, store, resources, SystemClock())
    for _ in range(2):
        assert feed.step()
    feed.index.maintain()
    assert feed.step()
    feed.close()
    for number in (5, 1_999):
        put("t", number, n=-number)
    tables.write("t", RowChange(ChangeKind.DELETE, (("id", 6),)))
    feed = IndexFeed(definition, tables, space.changelog, store, resources, SystemClock())
    assert feed.step()
    assert feed.index.progress.filled_through == feed.index.encode((("id", 1_535),)), "from 1,024 on"
    assert feed.description().phase is SyncPhase.FULL
    while feed.step():
        pass
    assert feed.description().phase is SyncPhase.INCR
    assert feed.view().rows == 1_999
    assert content_of(feed.view()) == {n: -n if n in (5, 1_999) else n for n in range(2_000) if n != 6}
    feed.close()


def test_what_waits_to_be_built_holds_the_feed_up(
    store: KeyValueStore, space: TableSpace, tables: Tables, new_table: Any, put: Any, tmp_path: Path
) -> None:
    definition = define(store, new_table("t"))
    resources = resources_in(tmp_path, policy=Policy(flush_bytes=1))
    feed = IndexFeed(definition, tables, space.changelog, store, resources, SystemClock())
    while feed.step():
        pass
    for number in range(12):
        put("t", number, n=number)
        feed.step()
    assert feed.index.waiting_buffers == 8
    assert feed.view().rows == 8
    assert feed.paused_until_s > time.monotonic() - 1
    feed.index.maintain()
    assert feed.index.waiting_buffers == 0
    assert not feed.step()
    assert feed.view().rows == 12
    feed.close()


def test_an_index_of_another_table_s_past_is_filled_anew(
    store: KeyValueStore, space: TableSpace, tables: Tables, new_table: Any, put: Any, resources: Resources
) -> None:
    """Where the table is an older backup than its index."""
    definition = define(store, new_table("t"))
    put("t", 1, n=1)
    feed = IndexFeed(definition, tables, space.changelog, store, resources, SystemClock())
    while feed.step():
        pass
    feed.index.apply([Row((("id", 7),), [("n", 7, 1)])])
    feed.index.reached(Progress(10_000, True))
    feed.index.flush()
    feed.close()
    feed = IndexFeed(definition, tables, space.changelog, store, resources, SystemClock())
    while feed.step():
        pass
    assert content(feed) == {1: (1, None)}
    feed.close()


def test_another_writer_stops_this_one(
    store: KeyValueStore, space: TableSpace, tables: Tables, new_table: Any, put: Any, resources: Resources
) -> None:
    definition = define(store, new_table("t"))
    feeds = [IndexFeed(definition, tables, space.changelog, store, resources, SystemClock()) for _ in range(2)]
    for feed in feeds:
        while feed.step():
            pass
    put("t", 1, n=1)
    for feed in feeds:
        assert not feed.step()
    with pytest.raises(Fenced):
        feeds[0].index.flush()
    with pytest.raises(Fenced):
        feeds[0].step()
    with pytest.raises(Fenced):
        feeds[0].view()
    feeds[1].index.flush()
    assert content_of(feeds[1].view()) == {1: 1}
    for feed in feeds:
        feed.close()


def test_changes_left_from_before_are_forgotten(
    fast_ticks: None,
    store: KeyValueStore,
    space: TableSpace,
    new_table: Any,
    put: Any,
    tmp_path: Path,
) -> None:
    table = new_table("t")
    put("t", 1, n=1)
    with IndexFeeder(space.changelog, store, resources_in(tmp_path, policy=Policy(trim_period_s=0.05))) as feeder:
        feeder.hurry([table.table_id])
        deadline_s = time.monotonic() + WAIT_S
        while space.changelog.read(table.table_id, 0, 10):
            assert time.monotonic() < deadline_s
            time.sleep(0.01)


def test_trimmer_waits_for_many_or_long(space: TableSpace, new_table: Any, put: Any) -> None:
    table = new_table("t").table_id
    trimmer = Trimmer(space.changelog, changes_min=5, period_s=30.0)
    needed = 0

    def left() -> list[int]:
        return [change.sequence for change in space.changelog.read(table, 0, 100)]

    def run(now_s: float) -> list[int]:
        trimmer.run(now_s, lambda _: needed)
        return left()

    for number in range(3):
        put("t", number, n=1)
        trimmer.changed({table}, 0.0)
    first = left()
    needed = first[1]
    assert run(1.0) == first, "few, and not for long"
    assert run(31.0) == first[2:], "what is needed stays"
    assert run(32.0) == first[2:]
    for number in range(6):
        put("t", number, n=1)
        trimmer.changed({table}, 33.0)
    needed = left()[-1]
    assert run(34.0) == [], "many go at once"
