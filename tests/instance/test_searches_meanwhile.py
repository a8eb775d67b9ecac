"""Searches of all kinds while rows are written, segments are merged, and the index is changed and deleted.

Each answer is of one moment: rows that are always there are always found, each once, and what is said of groups is said
of the same rows as what is said of all.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from support.engines import open_engine

from lutra.instance.instance import Instance
from lutra.model.aggregations import Count, GroupByField, GroupByFilter, Sum
from lutra.model.errors import MetaNotMatch, ServerBusy, SessionExpired
from lutra.model.geo import GeoDistance, GeoPoint
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, IndexUpdate
from lutra.model.nested import Nested
from lutra.model.queries import Bool, Exists, MatchAll, Range, SearchRequest, Term
from lutra.model.rows import CellOperation, ChangeKind, RowChange
from lutra.model.scans import ScanRequest
from lutra.model.schema import KeyColumn, TableSchema
from lutra.model.values import ColumnType

STEADY = 120
TAGS = 4
ROUNDS = 12
WAIT_S = 120.0
N = FieldSchema("n", FieldType.LONG)
SCHEMA = IndexSchema(
    (
        FieldSchema("id", FieldType.LONG),
        N,
        FieldSchema("tag", FieldType.KEYWORD),
        FieldSchema("place", FieldType.GEO_POINT),
        FieldSchema("items", FieldType.NESTED, fields=(N, FieldSchema("k", FieldType.KEYWORD))),
    )
)


def change(key: int, n: int) -> RowChange:
    tag = f"t{n % TAGS}"
    columns = {"n": n, "tag": tag, "place": f"{n % TAGS},1", "items": json.dumps([{"n": n, "k": tag}])}
    cells: Any = [(name, value, None, CellOperation.PUT) for name, value in columns.items()]
    return RowChange(ChangeKind.PUT, (("id", key),), cells)


class Work:
    """Threads that go on until they are told to stop; the first failure of any of them is the test's."""

    def __init__(self) -> None:
        self.stopped = threading.Event()
        self.failures: list[BaseException] = []
        self._threads: list[threading.Thread] = []

    def start(self, work: Callable[[], object]) -> None:
        def run() -> None:
            try:
                while not self.stopped.is_set():
                    work()
            except BaseException as error:
                self.failures.append(error)
                self.stopped.set()

        self._threads.append(threading.Thread(target=run, daemon=True))
        self._threads[-1].start()

    def end(self) -> None:
        self.stopped.set()
        for thread in self._threads:
            thread.join(WAIT_S)
            assert not thread.is_alive()
        if self.failures:
            raise self.failures[0]


@contextmanager
def writing(folder: Path) -> Iterator[tuple[Instance, Work]]:
    """A table of steady rows and of others that come and go, all of which are written over and over."""
    engine = open_engine(folder / "data")
    work = Work()
    try:
        engine.create_instance("main")
        instance = engine.instance("main")
        instance.tables.create(TableSchema("t", (KeyColumn("id", ColumnType.INTEGER),)))
        for index in ("x", "y"):
            instance.create_search_index("t", index, SCHEMA)
        instance.tables.write_batch([("t", [change(key, key) for key in range(STEADY)])])
        for index in ("x", "y"):
            instance.wait_searchable("t", index, WAIT_S)
        count = iter(range(10**9))

        def write() -> None:
            n = next(count)
            changes = [change((7 * n + i) % STEADY, n + i) for i in range(10)]
            changes += [change(1_000 + (n + i) % 50, n) for i in range(5)]
            changes += [RowChange(ChangeKind.DELETE, (("id", 1_025 + (n + i) % 50),), []) for i in range(10, 15)]
            instance.tables.write_batch([("t", changes)])
            work.stopped.wait(0.01)

        work.start(write)
        yield instance, work
        work.end()
    finally:
        work.stopped.set()
        engine.close()


def check_groups(instance: Instance, index: str) -> None:
    sums = (Sum("n", "n"), Sum("items", "items.n"))
    nested = tuple(Nested("items", Term("items.k", f"t{tag}")) for tag in range(TAGS))
    near = tuple(GeoDistance("place", GeoPoint(tag, 1), 1_000) for tag in range(TAGS))
    query = Bool(should=(Range("id", None, STEADY, include_upper=False), Exists("items")))
    request = SearchRequest(
        query,
        limit=0,
        count_total=True,
        aggregations=(Count("rows", "id"), *sums),
        group_bys=(
            GroupByField("tags", "tag", aggregations=sums),
            GroupByFilter("steady", (Range("id", 0, STEADY - 1), MatchAll())),
            GroupByFilter("nested", nested, aggregations=sums),
            GroupByFilter("near", near, aggregations=sums),
        ),
    )
    answer = instance.search("t", index, request)
    aggregated = answer.aggregated
    assert aggregated is not None
    steady, everything = (group.rows for group in aggregated.group_bys["steady"].groups)
    assert steady == STEADY
    assert everything == answer.total == aggregated.aggregations["rows"].value  # type: ignore[union-attr]
    total = aggregated.aggregations["n"].value  # type: ignore[union-attr]
    for name in ("tags", "nested", "near"):
        groups = aggregated.group_bys[name].groups
        assert sum(group.rows for group in groups) == everything
        assert sum(group.aggregations["n"].value or 0 for group in groups) == total  # type: ignore[union-attr]
        for group in groups:
            assert group.aggregations["n"].value == group.aggregations["items"].value  # type: ignore[union-attr]


def check_scan(instance: Instance, index: str) -> None:
    """Every steady row comes exactly once, and no row twice; its segments are merged and let go meanwhile."""
    session = instance.begin_scan("t", index)
    last_s = 5  # that it is kept after a page, so that sessions are not too many
    found: list[int] = []
    token = None
    while token != b"":
        request = ScanRequest(Exists("items"), limit=9, session=session, token=token, alive_s=last_s)
        page = instance.scan("t", index, request)
        found += [row.key[0][1] for row in page.rows]  # type: ignore[misc]
        token = page.next_token
    assert len(set(found)) == len(found)
    assert set(range(STEADY)) <= set(found)


def test_answers_are_of_one_moment(tmp_path: Path) -> None:
    with writing(tmp_path) as (instance, work):
        done = {"groups": 0, "scans": 0}

        def groups() -> None:
            check_groups(instance, "x")
            done["groups"] += 1

        def scans() -> None:
            with suppress(SessionExpired, ServerBusy):  # another generation has taken over, or there are too many
                check_scan(instance, "x")
                done["scans"] += 1
            work.stopped.wait(0.1)

        work.start(groups)
        work.start(scans)
        for number in range(3):
            name = f"more{number}"
            instance.update_search_index("t", "x", IndexUpdate(added=(FieldSchema(name, FieldType.KEYWORD),)))
            instance.wait_updated("t", "x", WAIT_S)
            before = dict(done)
            while not work.stopped.wait(0.05) and min(done[kind] - before[kind] for kind in done) < ROUNDS // 3:
                pass
            instance.update_search_index("t", "x", IndexUpdate(dropped=(name,)))
            instance.wait_updated("t", "x", WAIT_S)


def test_an_index_is_deleted_under_searches(tmp_path: Path) -> None:
    """They end with what they say of an index that is not there, and with nothing else."""
    with writing(tmp_path) as (instance, work):
        ended = threading.Barrier(3)

        def until_it_is_gone(check: Callable[[Instance, str], None]) -> Callable[[], None]:
            def work_on() -> None:
                with suppress(MetaNotMatch, SessionExpired, ServerBusy):
                    while True:
                        check(instance, "y")
                        begun.set()
                ended.wait(WAIT_S)
                work.stopped.wait()

            return work_on

        begun = threading.Event()
        work.start(until_it_is_gone(check_groups))
        work.start(until_it_is_gone(check_scan))
        assert begun.wait(WAIT_S)
        instance.delete_search_index("t", "y")
        ended.wait(WAIT_S)
        check_groups(instance, "x")
