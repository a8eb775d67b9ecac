"""An object store that does not answer under one index, or several: the others go on, and so does the process."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.feeding import SCHEMA, WAIT_S, content_of, define
from support.index_feeder import IndexFeeder
from support.indexes import resources_in
from support.stalling_store import StallingStore
from support.waiting import wait_until

from lutra.feed import crew as crew_module
from lutra.feed import feeder as feeder_module
from lutra.index.builds.policy import Policy
from lutra.index.catalog.catalog import IndexCatalog
from lutra.index.feed.index_feed import IndexFeed
from lutra.index.lsm.storage import prefix_of
from lutra.kv.memory import MemoryStore
from lutra.model.errors import RequestTimeout
from lutra.objects.local import LocalStore
from lutra.tables.space import TableSpace
from lutra.tables.tables import Tables

NAMES = [f"t{number}" for number in range(8)]


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def objects(tmp_path: Path) -> Iterator[StallingStore]:
    with StallingStore(LocalStore(tmp_path / "objects")) as stalling:
        yield stalling


@pytest.fixture
def opened(
    store: MemoryStore,
    space: TableSpace,
    objects: StallingStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[[], IndexFeeder]]:
    """Makes a feeder over the store that stalls; stops it at the end, when nothing stalls any more."""
    monkeypatch.setattr(feeder_module, "_TICK_S", 0.02)
    monkeypatch.setattr(crew_module, "PATIENCE_S", 0.05)
    policy = Policy(flush_age_s=0.05, trim_changes=1, trim_period_s=0.05)
    made: list[tuple[IndexFeeder, Any]] = []

    def make() -> IndexFeeder:
        resources = resources_in(tmp_path, store=objects, policy=policy)
        feeder = IndexFeeder(space.changelog, store, resources)
        made.append((feeder, resources))
        return feeder

    yield make
    objects.release()
    for feeder, resources in made:
        feeder.stop()
        resources.close()


def filled(
    feeder: IndexFeeder, store: MemoryStore, tables: Tables, new_table: Any, put: Any, names: list[str]
) -> list[IndexFeed]:
    """Indexes with a row each, in a segment."""
    feeds = []
    for name in names:
        table = new_table(name)
        put(name, 0, n=0)
        feeds.append(feeder.follow(define(store, table), tables))
    for feed in feeds:
        feeder.wait_searchable(feed, WAIT_S)
        feed.index.flush()
    return feeds


def go_on(feeder: IndexFeeder, tables: Tables, put: Any, feeds: list[IndexFeed], number: int) -> None:
    """A write to each table becomes searchable and durable, and is forgotten of the changelog."""
    for feed in feeds:
        put(feed.definition.table, number, n=number)
    for feed in feeds:
        feeder.wait_searchable(feed, WAIT_S)
        assert content_of(feed.view())[number] == number
    sequence = max(feed.index.progress.position for feed in feeds)
    for feed in feeds:
        wait_until(lambda feed=feed: feed.index.durable_position >= sequence)  # type: ignore[misc]


@pytest.mark.parametrize("stalled", [1, 2, 6])
def test_others_are_fed_written_out_and_trimmed(
    stalled: int,
    opened: Callable[[], IndexFeeder],
    objects: StallingStore,
    store: MemoryStore,
    space: TableSpace,
    tables: Tables,
    new_table: Any,
    put: Any,
) -> None:
    """Whether look-ups of keys stall or what writes out: the stalled take none of the others' threads."""
    feeder = opened()
    feeds = filled(feeder, store, tables, new_table, put, NAMES)
    bad, good = feeds[:stalled], feeds[stalled:]
    prefixes = [prefix_of(feed.definition) for feed in bad]
    objects.stall(*prefixes)
    for feed in bad:
        put(feed.definition.table, 1, n=1)
    for prefix in prefixes:
        objects.wait_waiting(prefix)
    for number in range(1, 4):
        go_on(feeder, tables, put, good, number)
    for feed in good:
        wait_until(lambda feed=feed: not space.changelog.read(feed.definition.table_id, 0, 1))  # type: ignore[misc]
    for feed in bad:
        assert feed.view().rows >= 1, "what it has is searched"
        assert space.changelog.read(feed.definition.table_id, 0, 1), "what it has yet to write is kept"
        assert feed.watermarks().rows >= 1
    objects.release()
    go_on(feeder, tables, put, feeds, 5)
    assert all(set(content_of(feed.view())) == ({0, 1, 5} if feed in bad else {0, 1, 2, 3, 5}) for feed in feeds)


def test_indexes_open_side_by_side(
    opened: Callable[[], IndexFeeder],
    objects: StallingStore,
    store: MemoryStore,
    tables: Tables,
    new_table: Any,
    put: Any,
) -> None:
    first = opened()
    filled(first, store, tables, new_table, put, NAMES)
    first.stop()
    definitions = IndexCatalog(store).all()
    stalled = [prefix_of(definition) for definition in definitions[:6]]
    objects.stall(*stalled)
    feeder = opened()
    feeds = [feeder.follow(definition, tables) for definition in definitions]
    for prefix in stalled:
        objects.wait_waiting(prefix)
    for feed in feeds[6:]:
        feeder.wait_searchable(feed, WAIT_S, feed.opened_at)
        assert content_of(feed.view()) == {0: 0}
    assert not any(feed.index.is_open for feed in feeds[:6])
    with pytest.raises(RequestTimeout):
        feeder.wait_searchable(feeds[0], 0.01)
    objects.release(stalled[0])
    feeder.wait_searchable(feeds[0], WAIT_S)
    assert not feeds[1].index.is_open
    assert all(objects.waiting(prefix) for prefix in stalled[1:])
    objects.release()
    go_on(feeder, tables, put, feeds, 1)


def test_the_deletion_of_an_index_stalls(
    opened: Callable[[], IndexFeeder],
    objects: StallingStore,
    store: MemoryStore,
    tables: Tables,
    new_table: Any,
    put: Any,
) -> None:
    feeder = opened()
    feeds = filled(feeder, store, tables, new_table, put, NAMES)
    gone, prefixes = feeds[:5], [prefix_of(feed.definition) for feed in feeds[:5]]
    objects.stall(*prefixes)
    for feed in gone:
        feeder.remove(feed)
    for prefix in prefixes:
        objects.wait_waiting(prefix)
    go_on(feeder, tables, put, feeds[5:], 1)
    assert all(objects.inner.list(prefix) for prefix in prefixes)
    objects.release()
    for prefix in prefixes:
        wait_until(lambda prefix=prefix: not objects.inner.list(prefix))  # type: ignore[misc]


def test_an_index_that_stalls_is_removed(
    opened: Callable[[], IndexFeeder],
    objects: StallingStore,
    store: MemoryStore,
    tables: Tables,
    new_table: Any,
    put: Any,
) -> None:
    """Who waits for it is told at once; its objects go when the store answers again, and no manifest comes after."""
    feeder = opened()
    feeds = filled(feeder, store, tables, new_table, put, NAMES[:3])
    prefix = prefix_of(feeds[0].definition)
    objects.stall(prefix)
    put(NAMES[0], 0, n=1)
    objects.wait_waiting(prefix)
    told: list[str] = []

    def wait() -> None:
        try:
            feeds[0].wait(10**9, 10 * WAIT_S)
        except RequestTimeout as error:
            told.append(str(error))

    waiter = threading.Thread(target=wait)
    waiter.start()
    feeder.remove(feeds[0])
    waiter.join(WAIT_S)
    assert told
    assert "closed" in told[0]
    go_on(feeder, tables, put, feeds[1:], 1)
    objects.release()
    wait_until(lambda: not objects.inner.list(prefix) and not feeder._removed)
    go_on(feeder, tables, put, feeds[1:], 2)
    assert not objects.inner.list(prefix)


def test_stop_leaves_behind_who_is_stuck(
    opened: Callable[[], IndexFeeder],
    objects: StallingStore,
    store: MemoryStore,
    tables: Tables,
    new_table: Any,
    put: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One wait for all together; what was stuck is as a crash would leave it."""
    before = set(threading.enumerate())
    monkeypatch.setattr(feeder_module, "_STOP_WAIT_S", 0.2)
    feeder = opened()
    feeds = filled(feeder, store, tables, new_table, put, NAMES[:4])
    prefixes = [prefix_of(feed.definition) for feed in feeds[:2]]
    objects.stall(*prefixes)
    for feed in feeds:
        put(feed.definition.table, 1, n=1)
    for prefix in prefixes:
        objects.wait_waiting(prefix)
    for feed in feeds[2:]:
        feeder.wait_searchable(feed, WAIT_S)
    feeder.stop()
    feeder.stop()
    assert "waits for its store and is left as it is" in caplog.text
    assert not any(thread.name == "lutra-feeder" for thread in set(threading.enumerate()) - before)
    objects.release()
    monkeypatch.setattr(feeder_module, "_STOP_WAIT_S", WAIT_S)
    again = opened()
    for feed in [again.follow(feed.definition, tables) for feed in feeds]:
        again.wait_searchable(feed, WAIT_S)
        assert content_of(feed.view()) == {0: 0, 1: 1}
        assert feed.definition.schema == SCHEMA


@pytest.mark.parametrize("seed", range(3))
def test_stalls_come_and_go(
    seed: int,
    opened: Callable[[], IndexFeeder],
    objects: StallingStore,
    store: MemoryStore,
    tables: Tables,
    new_table: Any,
    put: Any,
) -> None:
    """At random, beside writes, removals and new indexes: in the end each has what its table has."""
    rng = random.Random(seed)
    feeder = opened()
    described = {name: new_table(name) for name in NAMES[:5]}
    feeds = {name: feeder.follow(define(store, table), tables) for name, table in described.items()}
    model: dict[str, dict[int, int]] = {name: {} for name in described}
    made = 0
    for number in range(400):
        name = rng.choice(list(described))
        key = rng.randrange(30)
        model[name][key] = number
        put(name, key, n=number)
        chance = rng.random()
        if chance < 0.05:
            objects.stall(prefix_of(feeds[name].definition))
        elif chance < 0.1:
            objects.release(prefix_of(feeds[name].definition))
        elif chance < 0.12:
            feeder.remove(feeds[name])
            made += 1
            feeds[name] = feeder.follow(define(store, described[name], f"x{made}"), tables)
        elif chance < 0.2:
            time.sleep(0.01)
    objects.release()
    for name, feed in feeds.items():
        feeder.wait_searchable(feed, WAIT_S)
        assert content_of(feed.view()) == model[name]
        assert feed.error is None
    wait_until(lambda: not feeder._removed)
    kept = {prefix_of(feed.definition) for feed in feeds.values()}
    wait_until(lambda: {"/".join(name.split("/")[:2]) + "/" for name in objects.inner.list("indexes")} <= kept)
