"""An engine whose object store does not answer under one index of three: what others ask is answered, at once or ever.

What would wait for the store would wait for ever here: nothing is let go on before all that is asked is answered.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.engines import EAGER, open_engine
from support.stalling_store import WITHIN_S, StallingStore
from support.waiting import wait_until

from lutra.feed import feeder as feeder_module
from lutra.index.feed.index_feed import IndexFeed
from lutra.index.lsm.resources import Resources
from lutra.index.lsm.storage import prefix_of
from lutra.instance.engine import Engine
from lutra.instance.instance import Instance
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema
from lutra.model.queries import MatchAll, SearchRequest
from lutra.model.rows import CellOperation, ChangeKind, RangeRequest, ReadOptions, RowChange
from lutra.model.schema import KeyColumn, TableSchema
from lutra.model.values import INF_MAX, INF_MIN, ColumnType

STALLED, WHOLE = "a", ("b", "c")
TABLES = (STALLED, *WHOLE)
SCHEMA = IndexSchema((FieldSchema("n", FieldType.LONG),))
ROUNDS = 40


def put(instance: Instance, table: str, number: int) -> None:
    cells = [("n", number, None, CellOperation.PUT)]
    instance.tables.write(table, RowChange(ChangeKind.PUT, (("id", number),), cells))


def found(instance: Instance, table: str) -> set[int]:
    return {row.key[0][1] for row in instance.search(table, "x", SearchRequest(MatchAll(), limit=100)).rows}  # type: ignore[misc]


def scanned(instance: Instance, table: str) -> set[int]:
    request = RangeRequest((("id", INF_MIN),), (("id", INF_MAX),), options=ReadOptions(max_versions=1))
    return {row.key[0][1] for row in instance.tables.read_range(table, request).rows}  # type: ignore[misc]


def feeds_of(engine: Engine) -> list[IndexFeed]:
    return list(engine.partition.feeder._feeds)


def make(instance: Instance, table: str) -> None:
    instance.tables.create(TableSchema(table, (KeyColumn("id", ColumnType.INTEGER),)))
    instance.create_search_index(table, "x", SCHEMA)


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], tuple[Engine, StallingStore]]]:
    monkeypatch.setattr(feeder_module, "_STOP_WAIT_S", 0.5)
    stores: list[StallingStore] = []
    engines: list[Engine] = []
    stalled: set[str] = set()

    def wrapped(resources: Resources) -> Resources:
        stores.append(StallingStore(resources.store))
        stores[-1].stall(*stalled)
        return replace(resources, store=stores[-1])

    def make_engine(*prefixes: str) -> tuple[Engine, StallingStore]:
        stalled.update(prefixes)
        engines.append(open_engine(tmp_path / "data", policy=replace(EAGER, flush_age_s=0.05), wrapped=wrapped))
        return engines[-1], stores[-1]

    yield make_engine
    for store in stores:
        store.release()
    for engine in engines:
        engine.close()


def go_on(instance: Instance, number: int) -> None:
    """Reads, searches and writes of what does not stall, and rows of what does."""
    for table in TABLES:
        put(instance, table, number)
        assert number in scanned(instance, table)
    for table in WHOLE:
        instance.wait_searchable(table, "x", WITHIN_S)
        assert number in found(instance, table)
        instance.describe_search_index(table, "x")
    instance.index_stats(STALLED, "x")
    instance.describe_search_index(STALLED, "x")


def test_one_index_of_three(
    opened: Callable[..., tuple[Engine, StallingStore]], caplog: pytest.LogCaptureFixture
) -> None:
    engine, store = opened()
    engine.create_instance("tests")
    instance = engine.instance("tests")
    for table in TABLES:
        make(instance, table)
        put(instance, table, 0)
        instance.wait_searchable(table, "x", WITHIN_S)
    feeds = {feed.definition.table: feed for feed in feeds_of(engine)}
    for feed in feeds.values():
        feed.index.flush()
    prefix = prefix_of(feeds[STALLED].definition)
    store.stall(prefix)
    put(instance, STALLED, 1)
    store.wait_waiting(prefix)
    for number in range(1, ROUNDS):
        go_on(instance, number)
    for table in WHOLE:
        index, position = feeds[table].index, feeds[table].index.progress.position
        wait_until(lambda index=index, position=position: index.durable_position >= position)  # type: ignore[misc]
    make(instance, "made_meanwhile")
    put(instance, "made_meanwhile", 7)
    instance.wait_searchable("made_meanwhile", "x", WITHIN_S)
    instance.delete_search_index("made_meanwhile", "x")
    instance.delete_search_index(STALLED, "x")
    instance.create_search_index(STALLED, "x", SCHEMA)
    instance.wait_searchable(STALLED, "x", WITHIN_S)
    assert found(instance, STALLED) == set(range(ROUNDS)), "the index that takes its place has another"
    assert store.waiting(prefix)
    engine.close()
    assert "is left as it is" in caplog.text
    assert not any(record.levelno > logging.WARNING for record in caplog.records)


def test_an_engine_opens_though_an_index_stalls(opened: Callable[..., tuple[Engine, StallingStore]]) -> None:
    """And though what earlier runs left behind cannot be listed: rows are served, and the others searched."""
    engine, store = opened()
    engine.create_instance("tests")
    instance = engine.instance("tests")
    for table in TABLES:
        make(instance, table)
        put(instance, table, 0)
        instance.wait_searchable(table, "x", WITHIN_S)
    instance.create_search_index(WHOLE[0], "gone", SCHEMA)
    instance.wait_searchable(WHOLE[0], "gone", WITHIN_S)
    prefixes = {(feed.definition.table, feed.definition.name): prefix_of(feed.definition) for feed in feeds_of(engine)}
    for feed in feeds_of(engine):
        feed.index.flush()
    stalled, gone = prefixes[STALLED, "x"], prefixes[WHOLE[0], "gone"]
    store.stall(gone)
    instance.delete_search_index(WHOLE[0], "gone")
    store.wait_waiting(gone)
    engine.close()
    engine, store = opened(stalled, gone)
    instance = engine.instance("tests")
    store.wait_waiting(stalled)
    store.wait_waiting(gone)
    for number in range(1, ROUNDS):
        go_on(instance, number)
    answers: list[set[int]] = []
    searcher = threading.Thread(target=lambda: answers.append(found(instance, STALLED)))
    searcher.start()
    for number in range(ROUNDS, ROUNDS + 5):
        go_on(instance, number)
    assert not answers
    store.release()
    searcher.join(WITHIN_S)
    assert answers
    assert 0 in answers[0]
    instance.wait_searchable(STALLED, "x", WITHIN_S)
    assert found(instance, STALLED) == set(range(ROUNDS + 5))
