"""Indexes under other schemas: filled beside what answers, switched, weighed, and killed in between."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.engines import EAGER, open_engine
from support.stalling_store import StallingStore
from support.waiting import wait_until

from lutra.index.catalog.folders import index_folders
from lutra.index.lsm.storage import prefix_of
from lutra.instance.engine import Engine
from lutra.instance.fsck import check_directory
from lutra.instance.instance import Instance
from lutra.instance.stopped import StoppedDirectory
from lutra.model.errors import LutraError, MetaNotMatch, ObjectAlreadyExist, ParameterInvalid, ServerBusy
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, IndexUpdate, SyncPhase
from lutra.model.queries import Exists, FieldSort, MatchAll, PrimaryKeySort, Query, Range, SearchRequest, Term
from lutra.model.rows import CellOperation, ChangeKind, RowChange
from lutra.model.schema import KeyColumn, TableOptions, TableSchema
from lutra.model.values import ColumnType
from lutra.search import search

N = FieldSchema("n", FieldType.LONG)
WORD = FieldSchema("word", FieldType.KEYWORD)
SCHEMA = IndexSchema((N,))
DAY_S = 86_400
WAIT_S = 60.0


def define(engine: Engine, options: TableOptions | None = None) -> Instance:
    engine.create_instance("main")
    instance = engine.instance("main")
    key = (KeyColumn("id", ColumnType.INTEGER),)
    instance.tables.create(TableSchema("t", key, options=options or TableOptions()))
    return instance


def write(instance: Instance, *numbers: int) -> None:
    for number in numbers:
        columns = {"n": number, "word": f"w{number % 3}"}
        cells = [(name, value, None, CellOperation.PUT) for name, value in columns.items()]
        instance.tables.write("t", RowChange(ChangeKind.PUT, (("id", number),), cells))  # type: ignore[arg-type]


def found(instance: Instance, query: Query, index: str = "x", **options: Any) -> list[int]:
    request = SearchRequest(query, options.pop("sort", ()), limit=100, **options)
    return [dict(row.key)["id"] for row in instance.search("t", index, request).rows]  # type: ignore[misc]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    opened = open_engine(tmp_path / "data")
    yield opened
    opened.close()


@contextmanager
def stalled(tmp_path: Path) -> Iterator[tuple[Instance, StallingStore]]:
    """An index of 20 rows, and the store of its objects, which can be had to wait."""
    stores: list[StallingStore] = []

    def wrapped(resources: Any) -> Any:
        stores.append(StallingStore(resources.store))
        return replace(resources, store=stores[-1])

    engine = open_engine(tmp_path / "data", wrapped=wrapped, policy=replace(EAGER, flush_age_s=3_600))
    try:
        instance = define(engine, TableOptions(allow_update=False, max_deviation_s=9 * DAY_S))
        instance.create_search_index("t", "x", SCHEMA)
        write(instance, *range(20))
        instance.wait_searchable("t", "x", WAIT_S)
        yield instance, stores[-1]
    finally:
        stores[-1].release()
        engine.close()


def test_an_added_field_finds_old_rows(tmp_path: Path) -> None:
    with stalled(tmp_path) as (instance, store):
        before = instance.describe_search_index("t", "x")
        store.stall("indexes/")
        instance.update_search_index("t", "x", IndexUpdate(added=(WORD,)))
        # Until all rows are there, what there was answers, and goes on following the table.
        write(instance, 20)
        instance.wait_searchable("t", "x", WAIT_S)
        assert found(instance, Range("n", 18, None)) == [18, 19, 20]
        told = instance.describe_search_index("t", "x")
        assert (told.schema.fields, told.phase, told.synced_us) == ((N, WORD), SyncPhase.FULL, 0)
        with pytest.raises(ServerBusy, match="is being filled for its new fields"):
            found(instance, Term("word", "w1"))
        with pytest.raises(ParameterInvalid, match="field: nothing does not exist"):
            found(instance, Term("nothing", 1))
        with pytest.raises(ParameterInvalid, match=r"field \[word\] already exists"):
            instance.update_search_index("t", "x", IndexUpdate(added=(WORD,)))
        store.release()
        instance.wait_updated("t", "x", WAIT_S)
        assert found(instance, Term("word", "w1")) == [1, 4, 7, 10, 13, 16, 19]
        told = instance.describe_search_index("t", "x")
        assert (told.phase, told.created_us) == (SyncPhase.INCR, before.created_us)
        write(instance, 22)
        instance.wait_searchable("t", "x", WAIT_S)
        assert found(instance, Term("word", "w1"))[-1] == 22


def test_both_generations_are_told_of_while_one_is_filled(tmp_path: Path) -> None:
    with stalled(tmp_path) as (instance, store):
        (only,) = instance.index_generations("t", "x")
        assert (only.is_answering, only.phase, only.watermarks.rows) == (True, SyncPhase.INCR, 20)
        store.stall("indexes/")
        instance.update_search_index("t", "x", IndexUpdate(added=(WORD,)))
        answering, filling = instance.index_generations("t", "x")
        assert (answering.is_answering, filling.is_answering) == (True, False)
        assert (filling.phase, filling.watermarks.searchable) == (SyncPhase.FULL, -1)
        assert answering.definition.field_changes(filling.definition) == (["word"], [])
        assert filling.definition.field_changes(answering.definition) == ([], ["word"])
        store.release()
        instance.wait_updated("t", "x", WAIT_S)
        (only,) = instance.index_generations("t", "x")
        assert only.definition.schema.fields == (N, WORD)


def test_fields_come_and_go_while_others_are_coming(tmp_path: Path) -> None:
    with stalled(tmp_path) as (instance, store):
        store.stall("indexes/")
        instance.update_search_index("t", "x", IndexUpdate(added=(WORD,)))
        later = replace(WORD, name="later")
        instance.update_search_index("t", "x", IndexUpdate(added=(later,)))
        instance.update_search_index("t", "x", IndexUpdate(dropped=("later", "n")))
        assert found(instance, Term("n", 3)) == [3]
        store.release()
        instance.wait_updated("t", "x", WAIT_S)
        assert instance.describe_search_index("t", "x").schema.fields == (WORD,)
        with pytest.raises(ParameterInvalid, match="field: n does not exist"):
            found(instance, Term("n", 3))
        assert found(instance, Term("word", "w0"))[:3] == [0, 3, 6]
        with pytest.raises(ParameterInvalid, match="a search index has 1 to"):
            instance.update_search_index("t", "x", IndexUpdate(dropped=("word",)))
        with pytest.raises(ParameterInvalid, match=r"field \[n\] does not exist"):
            instance.update_search_index("t", "x", IndexUpdate(dropped=("n",)))


def test_an_index_goes_while_it_is_filled_anew(tmp_path: Path) -> None:
    with stalled(tmp_path) as (instance, store):
        store.stall("indexes/")
        instance.update_search_index("t", "x", IndexUpdate(added=(WORD,)))
        instance.delete_search_index("t", "x")
        store.release()
        instance.wait_updated("t", "x", WAIT_S)
        assert instance.list_search_indexes("t") == []
        instance.create_search_index("t", "x", IndexSchema((WORD,)))
        instance.wait_searchable("t", "x", WAIT_S)
        assert found(instance, Term("word", "w0"))[:3] == [0, 3, 6]


def test_a_shorter_life_holds_at_once_and_a_longer_one_brings_rows_back(tmp_path: Path) -> None:
    with stalled(tmp_path) as (instance, store):
        then_ms = int(time.time() * 1_000) - 3 * DAY_S * 1_000 // 2
        cells = [("n", 50, then_ms, CellOperation.PUT), ("word", "w1", then_ms, CellOperation.PUT)]
        instance.tables.write("t", RowChange(ChangeKind.PUT, (("id", 50),), cells))
        instance.wait_searchable("t", "x", WAIT_S)
        instance.update_search_index("t", "x", IndexUpdate(ttl_s=2 * DAY_S))
        assert instance.describe_search_index("t", "x").phase is SyncPhase.INCR, "no row had to come back"
        assert found(instance, MatchAll()) == [*range(20), 50]
        instance.update_search_index("t", "x", IndexUpdate(ttl_s=DAY_S))
        assert instance.describe_search_index("t", "x").schema.ttl_s == DAY_S
        assert len(found(instance, MatchAll())) == 20
        store.stall("indexes/")
        instance.update_search_index("t", "x", IndexUpdate(ttl_s=-1))
        told = instance.describe_search_index("t", "x")
        assert (told.schema.ttl_s, told.phase) == (-1, SyncPhase.FULL)
        assert len(found(instance, MatchAll())) == 20
        store.release()
        instance.wait_updated("t", "x", WAIT_S)
        assert instance.describe_search_index("t", "x").phase is SyncPhase.INCR
        assert found(instance, MatchAll()) == [*range(20), 50]
        with pytest.raises(ParameterInvalid, match="time_to_live is -1 or at least 86400"):
            instance.update_search_index("t", "x", IndexUpdate(ttl_s=5))
        with pytest.raises(ParameterInvalid, match="nothing of search index"):
            instance.update_search_index("t", "x", IndexUpdate())


def test_a_life_needs_a_table_without_updates(engine: Engine) -> None:
    instance = define(engine)
    instance.create_search_index("t", "x", SCHEMA)
    with pytest.raises(ParameterInvalid, match="allow_update"):
        instance.update_search_index("t", "x", IndexUpdate(ttl_s=DAY_S))


def assert_tidy(data: Path) -> None:
    """All is as the catalog says, and of what it does not say nothing is left once the directory was opened again."""
    engine = open_engine(data)
    try:
        wait_until(lambda: engine.partition.indexes.deleted() == [], WAIT_S)
    finally:
        engine.close()
    assert check_directory(data) == []
    with StoppedDirectory(data) as directory:
        named = {prefix_of(one) for of in directory.definitions() for one in of.generations}
        assert {folder.prefix for folder in index_folders(directory.objects)} <= named


def reindexed(engine: Engine) -> Instance:
    """Rows 0 to 19 under ``x``, which has them by ``n``, and ``x_reindex``, which has them by ``word``."""
    instance = define(engine)
    instance.create_search_index("t", "x", IndexSchema((N,), (FieldSort("n", True),)))
    write(instance, *range(20))
    instance.create_search_index("t", "x_reindex", IndexSchema((N, WORD)), source="x")
    for index in ("x", "x_reindex"):
        instance.wait_searchable("t", index, WAIT_S)
    return instance


def test_weights_share_out_searches_and_pages_go_on_where_they_began(engine: Engine) -> None:
    instance = reindexed(engine)
    assert instance.describe_search_index("t", "x").weights == (("x", 100), ("x_reindex", 0))
    instance.update_search_index("t", "x", IndexUpdate(weights=(("x", 70), ("x_reindex", 30))))
    for index, brother in (("x", "x_reindex"), ("x_reindex", "x")):
        told = instance.describe_search_index("t", index)
        assert (told.brother, told.weights) == (brother, (("x", 70), ("x_reindex", 30)))
    # Which of them answered is told by the order, which is each one's own.
    first = Counter(found(instance, MatchAll())[0] for _ in range(200))
    assert first == {19: 140, 0: 60}
    assert Counter(found(instance, MatchAll(), "x_reindex")[0] for _ in range(10)) == {0: 10}
    for _ in range(12):
        request = SearchRequest(MatchAll(), limit=6)
        pages = []
        while True:
            page = instance.search("t", "x", request)
            pages += [dict(row.key)["id"] for row in page.rows]
            if not page.next_token:
                break
            request = replace(request, token=page.next_token)
        assert pages in ([*range(20)], [*reversed(range(20))])
    instance.update_search_index("t", "x_reindex", IndexUpdate(weights=(("x_reindex", 100), ("x", 0))))
    assert Counter(found(instance, MatchAll())[0] for _ in range(10)) == {0: 10}


def test_a_switch_exchanges_names_and_tokens_go_on(engine: Engine) -> None:
    instance = reindexed(engine)
    instance.update_search_index("t", "x", IndexUpdate(weights=(("x", 0), ("x_reindex", 100))))
    page = instance.search("t", "x", SearchRequest(MatchAll(), limit=5))
    instance.update_search_index("t", "x_reindex", IndexUpdate(added=(replace(WORD, name="more"),)))
    instance.wait_updated("t", "x_reindex", WAIT_S)
    instance.update_search_index("t", "x_reindex", IndexUpdate(dropped=("more",)))
    instance.wait_updated("t", "x_reindex", WAIT_S)
    instance.update_search_index("t", "x", IndexUpdate(switch_with="x_reindex"))
    assert found(instance, Term("word", "w1"))[:2] == [1, 4]
    with pytest.raises(ParameterInvalid, match="word does not exist"):
        found(instance, Term("word", "w1"), "x_reindex")
    told = instance.describe_search_index("t", "x")
    assert (told.weights, told.schema.fields) == ((("x", 100), ("x_reindex", 0)), (N, WORD))
    rest = instance.search("t", "x", SearchRequest(MatchAll(), limit=20, token=page.next_token))
    assert [dict(row.key)["id"] for row in rest.rows] == [*range(5, 20)]
    write(instance, 30)
    for index in ("x", "x_reindex"):
        instance.wait_searchable("t", index, WAIT_S)
        assert found(instance, Term("n", 30), index) == [30]
    # There and back, and away with the old one; what is left is an index like any other.
    instance.update_search_index("t", "x_reindex", IndexUpdate(switch_with="x"))
    assert instance.describe_search_index("t", "x").schema.fields == (N,)
    instance.update_search_index("t", "x", IndexUpdate(switch_with="x_reindex"))
    with pytest.raises(ParameterInvalid, match=r"\[x\] is re-indexed as \[x_reindex\]: delete that"):
        instance.delete_search_index("t", "x")
    instance.delete_search_index("t", "x_reindex")
    assert instance.describe_search_index("t", "x").brother is None
    instance.update_search_index("t", "x", IndexUpdate(dropped=("n",)))
    instance.wait_updated("t", "x", WAIT_S)
    assert found(instance, Exists("word"))[:2] == [0, 1]
    rest = instance.search("t", "x", SearchRequest(MatchAll(), limit=20, token=page.next_token))
    assert [dict(row.key)["id"] for row in rest.rows] == [*range(5, 20), 30]
    instance.create_search_index("t", "x_reindex", SCHEMA)
    instance.delete_search_index("t", "x")
    with pytest.raises(ParameterInvalid, match="is there no more"):
        instance.search("t", "x_reindex", SearchRequest(MatchAll(), limit=20, token=page.next_token))


def test_what_does_not_go_together(engine: Engine) -> None:
    instance = reindexed(engine)
    for update, says in (
        (IndexUpdate(weights=(("x", 50),)), "two entries"),
        (IndexUpdate(weights=(("x", 50), ("x_reindex", 51))), "100 together"),
        (IndexUpdate(weights=(("x", -1), ("x_reindex", 101))), "100 together"),
        (IndexUpdate(weights=(("y", 50), ("x_reindex", 50))), "two entries"),
        (IndexUpdate(weights=(("x", 50), ("y", 50))), r"\[y\] does not exist"),
        (IndexUpdate(switch_with="y"), r"\[y\] does not exist"),
        (IndexUpdate(switch_with="x"), "are not re-indexed"),
        (IndexUpdate(switch_with="x_reindex", ttl_s=-1), "without anything else"),
        (IndexUpdate(switch_with="x_reindex", weights=(("x", 1),)), "without anything else"),
    ):
        with pytest.raises(ParameterInvalid, match=says):
            instance.update_search_index("t", "x", update)
    with pytest.raises(ParameterInvalid, match="re-indexed as"):
        instance.create_search_index("t", "another", SCHEMA, source="x")
    with pytest.raises(ParameterInvalid, match="re-indexed as"):
        instance.create_search_index("t", "another", SCHEMA, source="x_reindex")
    with pytest.raises(MetaNotMatch):
        instance.create_search_index("t", "another", SCHEMA, source="nothing")
    with pytest.raises(ObjectAlreadyExist):
        instance.create_search_index("t", "x", SCHEMA)


def test_nothing_is_switched_to_that_is_not_filled(tmp_path: Path) -> None:
    with stalled(tmp_path) as (instance, store):
        store.stall("indexes/")
        instance.create_search_index("t", "x_reindex", IndexSchema((WORD,)), source="x")
        for update in (IndexUpdate(switch_with="x_reindex"), IndexUpdate(weights=(("x", 99), ("x_reindex", 1)))):
            with pytest.raises(ServerBusy, match="does not have all rows"):
                instance.update_search_index("t", "x", update)
        assert found(instance, Term("n", 3)) == [3]
        store.release()
        instance.wait_searchable("t", "x_reindex", WAIT_S)
        instance.update_search_index("t", "x", IndexUpdate(switch_with="x_reindex"))
        assert found(instance, Term("word", "w0"))[:2] == [0, 3]


def test_a_restart_goes_on_with_what_was_begun(tmp_path: Path) -> None:
    """In the middle of filling a generation and after a switch; nothing that is not named is left."""
    with stalled(tmp_path) as (instance, store):
        instance.create_search_index("t", "y", SCHEMA)
        instance.create_search_index("t", "y_reindex", IndexSchema((N, WORD)), source="y")
        for index in ("y", "y_reindex"):
            instance.wait_searchable("t", index, WAIT_S)
        instance.update_search_index("t", "y", IndexUpdate(switch_with="y_reindex"))
        store.stall("indexes/")
        instance.update_search_index("t", "x", IndexUpdate(added=(WORD,)))
        instance.update_search_index("t", "y_reindex", IndexUpdate(ttl_s=DAY_S))
    assert check_directory(tmp_path / "data") == [], "what is yet to be filled is no fault"
    for _ in range(2):
        engine = open_engine(tmp_path / "data")
        instance = engine.instance("main")
        instance.wait_updated("t", "x", WAIT_S)
        for index in ("x", "y"):
            instance.wait_searchable("t", index, WAIT_S)
            assert found(instance, Term("word", "w2"), index) == [2, 5, 8, 11, 14, 17]
        assert instance.describe_search_index("t", "y_reindex").schema == replace(SCHEMA, ttl_s=DAY_S)
        assert instance.describe_search_index("t", "y").brother == "y_reindex"
        engine.close()
        assert_tidy(tmp_path / "data")


KILLED = """
import os, signal, sys
from pathlib import Path
from support.engines import EAGER, _MEMORY_BYTES
from dataclasses import replace
from instance.test_index_changes import *
from lutra.index.lsm.resources import Resources
from lutra.instance.partition import Partition
from lutra.kv.rocksdb import RocksStore
from lutra.model.clock import SystemClock
from support.killing_store import Killer, KillingStore, KillPoint

data, what, step, number, moment = Path(sys.argv[1]), *sys.argv[2:6]
armed = False

class Dying(RocksStore):
    # Kills its process at a change of the catalog.
    commits = 0

    def commit(self, batch):
        is_one = armed and step == "catalog" and any(key[:1] == b"i" for _, key, _ in batch.operations)
        Dying.commits += is_one
        is_now = is_one and Dying.commits == int(number)
        if is_now and moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        super().commit(batch)
        if is_now:
            os.kill(os.getpid(), signal.SIGKILL)

class Armed(Killer):
    def run(self, kind, name, act):
        return super().run(kind, name, act) if armed else act()

data.mkdir()
store = Dying(data / "kv")
resources = Resources.open(str(data / "objects"), data / "scratch", _MEMORY_BYTES)
kind, _, pattern = step.partition(" ")
killing = KillingStore(resources.store, Armed(KillPoint(kind, pattern or ".", int(number), moment)))
engine = Engine(data, Partition(store, data, replace(resources, store=killing, policy=EAGER), SystemClock()))
instance = define(engine)
instance.create_search_index("t", "x", SCHEMA)
write(instance, *range(20))
if what == "switch":
    instance.create_search_index("t", "x_reindex", IndexSchema((N, WORD)), source="x")
    instance.wait_searchable("t", "x_reindex", WAIT_S)
instance.wait_searchable("t", "x", WAIT_S)
for feed in engine.partition.feeder._feeds:
    feed.index.flush()
armed = True
if what == "add":
    instance.update_search_index("t", "x", IndexUpdate(added=(WORD,)))
    instance.wait_updated("t", "x", WAIT_S)
else:
    instance.update_search_index("t", "x", IndexUpdate(switch_with="x_reindex"))
    instance.delete_search_index("t", "x_reindex")
import time
time.sleep(60)
"""

POINTS = [
    ("add", "catalog", 1, "after"),
    ("add", "catalog", 2, "before"),
    ("switch", "catalog", 1, "after"),
]
MORE_POINTS = [
    ("add", "catalog", 1, "before"),
    ("add", "put_if_absent manifest/", 1, "before"),
    ("add", "put_if_absent manifest/", 1, "after"),
    ("add", "put_if_absent manifest/", 2, "after"),
    ("add", "put_file segments/", 1, "before"),
    ("add", "put_file segments/", 1, "after"),
    ("add", "catalog", 2, "after"),
    ("add", "delete .", 1, "before"),
    ("add", "delete .", 2, "after"),
    ("switch", "catalog", 1, "before"),
    ("switch", "catalog", 2, "before"),
    ("switch", "catalog", 2, "after"),
    ("switch", "delete .", 1, "after"),
]


@pytest.mark.parametrize(
    ("what", "step", "number", "moment"),
    [*POINTS, *(pytest.param(*more, marks=pytest.mark.slow) for more in MORE_POINTS)],
)
def test_a_kill_leaves_the_old_or_the_new(tmp_path: Path, what: str, step: str, number: int, moment: str) -> None:
    data = tmp_path / "data"
    tests = str(Path(__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(data), what, step, str(number), moment],
        env={**os.environ, "PYTHONPATH": tests},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == -9, done.stderr
    engine = open_engine(data)
    try:
        instance = engine.instance("main")
        instance.wait_searchable("t", "x", WAIT_S)
        assert found(instance, Range("n", 18, None)) == [18, 19], "nothing is lost, whatever the kill cut short"
        instance.wait_updated("t", "x", WAIT_S)
        instance.wait_searchable("t", "x", WAIT_S)
        is_new = instance.describe_search_index("t", "x").schema.fields == (N, WORD)
        assert is_new == ((step, number, moment) != ("catalog", 1, "before"))
        assert found(instance, Range("n", 18, None)) == [18, 19]
        if is_new:
            assert found(instance, Term("word", "w1")) == [1, 4, 7, 10, 13, 16, 19]
        if what == "switch" and len(instance.list_search_indexes()) > 1:
            instance.wait_searchable("t", "x_reindex", WAIT_S)  # a switch is refused before the other has all rows
            instance.update_search_index("t", "x", IndexUpdate(switch_with="x_reindex"))
            assert (instance.describe_search_index("t", "x").schema.fields == (N, WORD)) != is_new
    finally:
        engine.close()
    assert_tidy(data)


def test_a_catalog_of_changed_indexes_is_of_another_format(engine: Engine) -> None:
    """One that does not know of names and generations would take them for others."""
    instance = reindexed(engine)
    stored = [json.loads(value) for _, value in engine.partition.store.scan(b"i", b"j")]
    assert [one["format"] for one in sorted(stored, key=lambda one: one["name"])] == [1, 2]
    instance.update_search_index("t", "x", IndexUpdate(switch_with="x_reindex"))
    stored = [json.loads(value) for _, value in engine.partition.store.scan(b"i", b"j")]
    assert [one["format"] for one in stored] == [2, 2]
    with pytest.raises(LutraError):
        instance.update_search_index("t", "x", IndexUpdate(added=(replace(N, name="#"),)))
    assert found(instance, MatchAll(), sort=(PrimaryKeySort(),)) == [*range(20)]


def test_who_reads_the_old_one_reads_on(tmp_path: Path) -> None:
    """A search that has begun sees what it saw, and its objects stay as long; the next one sees the new generation."""
    with stalled(tmp_path) as (instance, store):
        feed = instance._indexes.opened("t", "x").feed
        feed.index.flush()
        view = feed.view()
        (prefix,) = {"/".join(name.split("/")[:2]) for name in store.inner.list("indexes/")}
        instance.update_search_index("t", "x", IndexUpdate(added=(WORD,)))
        instance.wait_updated("t", "x", WAIT_S)
        assert found(instance, Term("word", "w1"))[:2] == [1, 4]
        answer = search(view, SearchRequest(Range("n", 18, None)))
        assert [view_hit.key for view_hit in answer.hits] == [(("id", 18),), (("id", 19),)]
        assert any(name.startswith(f"{prefix}/segments/") for name in store.inner.list("indexes/"))
        del view, answer
        wait_until(lambda: not store.inner.list(f"{prefix}/"), WAIT_S)


def test_searches_miss_nothing_while_generations_change(engine: Engine) -> None:
    """Whoever searches, waits or pages meanwhile finds every row, each time."""
    instance = define(engine)
    instance.create_search_index("t", "x", SCHEMA)
    write(instance, *range(20))
    instance.wait_searchable("t", "x", WAIT_S)
    wrong: list[Any] = []
    done = threading.Event()

    def look() -> None:
        while not done.wait(0.002):
            try:
                instance.wait_searchable("t", "x", WAIT_S)
                rows = found(instance, MatchAll())
                if rows != [*range(20)]:
                    wrong.append(rows)
            except Exception as error:  # whatever it is, there should be none
                wrong.append(error)

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for number in range(8):
            field = replace(WORD, name=f"word_{number}", is_virtual=True, sources=("word",))
            instance.update_search_index("t", "x", IndexUpdate(added=(field,)))
            instance.wait_updated("t", "x", WAIT_S)
            assert found(instance, Term(field.name, "w1"))[:2] == [1, 4]
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert wrong == []
