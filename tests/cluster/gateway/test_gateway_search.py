"""Searches and scans of a table of several partitions answer what one machine does, whatever moves meanwhile."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.local_cluster import INSTANCE, LocalCluster, local_cluster
from support.same import assert_same
from support.waiting import wait_until

from lutra.cluster.errors import PeerLost, PeerUnreachable
from lutra.cluster.gateway.instance import GatewayInstance
from lutra.instance.engine import Engine
from lutra.instance.index_changes import IndexChanges
from lutra.instance.instance import Instance
from lutra.model.aggregations import Avg, Count, GroupByField, TopRows
from lutra.model.deadline import Deadline, working_for
from lutra.model.errors import (
    LutraError,
    MetaNotMatch,
    ObjectAlreadyExist,
    ParameterInvalid,
    RequestTimeout,
    ServerBusy,
    SessionExpired,
)
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, IndexUpdate, SyncPhase, TextOptions, VectorOptions
from lutra.model.nested import InnerHits, Nested
from lutra.model.queries import (
    Bool,
    ColumnsToGet,
    FieldSort,
    Highlight,
    HighlightField,
    KnnVector,
    Match,
    MatchAll,
    PrimaryKeySort,
    Range,
    ReturnColumns,
    ScoreSort,
    SearchRequest,
    SearchResult,
    Term,
)
from lutra.model.rows import CellOperation, ChangeKind, Row, RowChange
from lutra.model.scans import ScanRequest
from lutra.model.schema import KeyColumn, TableSchema
from lutra.model.values import ColumnType

ROWS = 240
NOW_MS = int(time.time() * 1_000)
KEY = (KeyColumn("id", ColumnType.INTEGER), KeyColumn("part", ColumnType.STRING))
SCHEMA = IndexSchema(
    (
        FieldSchema("n", FieldType.LONG),
        FieldSchema("group", FieldType.KEYWORD),
        FieldSchema("text", FieldType.TEXT, text=TextOptions("single_word", highlighting=True)),
        FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(2)),
        FieldSchema("items", FieldType.NESTED, fields=(FieldSchema("price", FieldType.LONG),)),
    )
)
WORDS = ("red", "green", "blue")
ALL = ColumnsToGet(ReturnColumns.ALL)
NEAR = np.array([3.0, 1.0], np.float32)
BY_SCORE = (ScoreSort(),)


def change_of(number: int) -> RowChange:
    cells: list[Any] = [
        ("group", f"g{number % 7}", NOW_MS, CellOperation.PUT),
        ("items", json.dumps([{"price": number}, {"price": -number}]), NOW_MS, CellOperation.PUT),
        ("n", number * 7919 % ROWS, NOW_MS, CellOperation.PUT),
        ("text", " ".join(WORDS[number % 3 :]) + " word" * (number % 5), NOW_MS, CellOperation.PUT),
        ("v", np.array([number % 50, 0], "<f4").tobytes(), NOW_MS, CellOperation.PUT),
    ]
    return RowChange(ChangeKind.PUT, key_of(number), cells)


def key_of(number: int) -> tuple[tuple[str, Any], ...]:
    return (("id", number // 2), ("part", f"p{number % 2}"))


@dataclass
class Both:
    """The same table and index on one machine and in a cluster."""

    one: Instance
    cluster: LocalCluster

    @property
    def gateway(self) -> GatewayInstance:
        """Of any node: another each time."""
        self.cluster.nodes.append(self.cluster.nodes.pop(0))
        return self.cluster.nodes[0].instance

    def write(self, *changes: RowChange) -> None:
        for first in range(0, len(changes), 100):
            for instance in (self.one, self.gateway):
                [results] = instance.tables.write_batch([("t", changes[first : first + 100])])
                assert not any(isinstance(one, LutraError) for one in results)

    def wait(self, index: str = "x") -> None:
        """Until all that was written is found by both."""
        self.one.wait_searchable("t", index, 60)
        for partition in self.cluster.partitions("t"):
            owned = self.cluster.owner(partition.id).host.get(partition.id)
            owned.instance.wait_searchable("t", index, 60)

    def search(self, request: SearchRequest, index: str = "x") -> tuple[SearchResult, SearchResult]:
        return self.gateway.search_opened("t", index, request), self.one.search_opened("t", index, request)


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Both]:
    engine = Engine.open(tmp_path / "one", memory_bytes=64 * 1024 * 1024)
    try:
        engine.create_instance(INSTANCE)
        with local_cluster(tmp_path / "cluster") as cluster:
            both = Both(engine.instance(INSTANCE), cluster)
            both.one.create_table(TableSchema("t", KEY))
            both.gateway.create_table(TableSchema("t", KEY, splits=(20, 80)))
            for instance in (both.one, both.gateway):
                instance.create_search_index("t", "x", SCHEMA)
            both.write(*map(change_of, range(ROWS)))
            both.wait()
            yield both
    finally:
        engine.close()


def assert_equal(found: SearchResult, expected: SearchResult) -> None:
    assert [*map(repr, found.rows)] == [*map(repr, expected.rows)]
    assert np.array_equal(found.scores, expected.scores, equal_nan=True)
    assert (found.total, found.next_token) == (expected.total, expected.next_token)
    assert (found.highlights, found.is_complete) == (expected.highlights, expected.is_complete)
    assert_same(found.inner_hits, expected.inner_hits)
    assert_same(found.aggregated, expected.aggregated)


GROUPS = GroupByField(
    "g", "group", aggregations=(Avg("n", "n"), TopRows("first", 2, (FieldSort("n"),)), Count("c", "*"))
)
REQUESTS = [
    SearchRequest(MatchAll(), limit=50, columns=ALL, count_total=True),
    SearchRequest(Range("n", 20, 200), (FieldSort("n", descending=True),), 10, 30, columns=ALL, count_total=True),
    SearchRequest(Term("group", "g3"), (PrimaryKeySort(descending=True),), limit=7, count_total=True, count_max=20),
    SearchRequest(Match("text", "red word"), BY_SCORE, limit=30, columns=ALL),
    SearchRequest(
        Match("text", "blue"), limit=40, columns=ALL, highlight=Highlight((HighlightField("text"),)), collapse="group"
    ),
    SearchRequest(KnnVector("v", NEAR, 12), BY_SCORE, limit=12, columns=ALL),
    SearchRequest(KnnVector("v", NEAR, 9, Range("n", 50)), (FieldSort("n"),), limit=9, count_total=True),
    SearchRequest(Bool(should=(KnnVector("v", NEAR, 9), Match("text", "green"))), BY_SCORE, limit=60, columns=ALL),
    SearchRequest(MatchAll(), offset=150, limit=80, columns=ALL),
    SearchRequest(Nested("items", Range("items.price", 100), inner_hits=InnerHits()), limit=40, columns=ALL),
    SearchRequest(Range("n", 20, 200), limit=0, group_bys=(GROUPS,), columns=ALL),
]


def test_as_one_machine(both: Both) -> None:
    for request in REQUESTS:
        assert_equal(*both.search(request))
    for request in REQUESTS[:4]:  # page by page
        for _ in range(20):
            found, expected = both.search(request)
            assert_equal(found, expected)
            if not expected.next_token:
                break
            request = replace(request, offset=0, token=found.next_token)
        assert not expected.next_token
    told = both.gateway.search_opened("t", "x", replace(REQUESTS[0], explain=True)).stats.explanation
    assert told is not None
    assert [one["name"] for one in told["shards"]] == [one.id for one in both.cluster.partitions("t")]


def test_errors_are_those_of_one_machine(both: Both) -> None:
    def asked(instance: Any, what: Callable[[Any], object]) -> tuple[type, str]:
        with pytest.raises(LutraError) as caught:
            what(instance)
        return type(caught.value), str(caught.value)

    routing = ((("n", 1),),)
    for what in (
        lambda of: of.search_opened("t", "y", REQUESTS[0]),
        lambda of: of.search_opened("u", "x", REQUESTS[0]),
        lambda of: of.search_opened("t", "x", SearchRequest(Term("nowhere", 1))),
        lambda of: of.search_opened("t", "x", SearchRequest(MatchAll(), token=b"?")),
        lambda of: of.search_opened("t", "x", SearchRequest(MatchAll(), timeout_ms=0)),
        lambda of: of.search_opened("t", "x", REQUESTS[0], routing),
        lambda of: of.when_opened("t", "y", print),
        lambda of: of.check_opened("u", "x"),
        lambda of: of.create_search_index("t", "1x", SCHEMA),
        lambda of: of.create_search_index("u", "y", SCHEMA),
        lambda of: of.create_search_index("t", "x", SCHEMA),
        lambda of: of.create_search_index("t", "y", SCHEMA, "z"),
        lambda of: of.create_search_index("t", "y", replace(SCHEMA, routing_fields=("n",))),
        lambda of: of.describe_search_index("t", "y"),
        lambda of: of.describe_search_index("u", "y"),
        lambda of: of.list_search_indexes("u"),
        lambda of: of.delete_search_index("t", "y"),
        lambda of: of.update_search_index("t", "y", IndexUpdate(ttl_s=100_000)),
        lambda of: of.update_search_index("t", "x", IndexUpdate()),
        lambda of: of.update_search_index("t", "x", IndexUpdate(dropped=("nowhere",))),
        lambda of: of.update_search_index("t", "x", IndexUpdate(dropped=("n",), switch_with="y")),
        lambda of: of.update_search_index("t", "x", IndexUpdate(weights=(("x", 50), ("y", 50)))),
        lambda of: of.update_search_index("t", "x", IndexUpdate(switch_with="y")),
        lambda of: of.delete_table("t"),
        lambda of: of.begin_scan("t", "y"),
        lambda of: of.scan("t", "x", ScanRequest(MatchAll(), 0)),
        lambda of: of.scan("t", "x", ScanRequest(MatchAll(), 10, session=b"?")),
        lambda of: of.scan("t", "x", ScanRequest(MatchAll(), 10, token=b"?")),
        lambda of: of.scan("t", "x", ScanRequest(MatchAll(), 10, parts=0)),
    ):
        assert asked(both.gateway, what) == asked(both.one, what)


def test_rows_that_come_and_go(both: Both) -> None:
    both.write(*(RowChange(ChangeKind.DELETE, key_of(number)) for number in range(0, ROWS, 3)))
    both.write(*map(change_of, range(ROWS, ROWS + 20)))
    # The index may be behind: what is gone is not returned, and takes nobody's place.
    request = SearchRequest(MatchAll(), (FieldSort("n"),), limit=100, columns=ALL)
    found = both.gateway.search_opened("t", "x", request)
    gone = {key_of(number) for number in range(0, ROWS, 3)}
    assert len(found.rows) == 100
    assert gone.isdisjoint(row.key for row in found.rows)
    both.wait()
    for request in REQUESTS:
        assert_equal(*both.search(request))


def test_a_partition_that_moves_or_splits_is_searched_where_it_is(both: Both) -> None:
    """Under searches all the time: each finds all rows once."""
    errors: list[BaseException] = []
    counts: list[int] = []
    is_over = threading.Event()
    expected = [row.key for row in both.one.search_opened("t", "x", REQUESTS[3]).rows]

    def search(node: Any) -> None:
        while not is_over.is_set():
            try:
                found = node.instance.search_opened("t", "x", SearchRequest(MatchAll(), limit=500, count_total=True))
                assert found.total == len(found.rows) == len({row.key for row in found.rows}) == ROWS
                best = node.instance.search_opened("t", "x", REQUESTS[3])
                assert [row.key for row in best.rows] == expected
                counts.append(found.total)
            except BaseException as error:
                errors.append(error)
                return

    threads = [threading.Thread(target=search, args=(node,)) for node in both.cluster.nodes]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: len(counts) >= len(threads) or bool(errors))
        first, second, third = both.cluster.partitions("t")
        both.cluster.move(second.id)
        both.cluster.split(third.id)
        both.cluster.move(first.id)
        both.cluster.split(second.id)
        moved = both.cluster.partitions("t")[-1]
        both.cluster.move(moved.id)
        seen = len(counts)
        wait_until(lambda: len(counts) >= seen + 6 or bool(errors))
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
    assert not errors, errors
    assert len(both.cluster.partitions("t")) == 5
    for request in REQUESTS:
        assert_equal(*both.search(request))


def test_a_search_that_is_to_be_fresh(both: Both) -> None:
    """It sees all that was acknowledged before it, in every partition; and may say how long it has for that."""
    for number in range(ROWS, ROWS + 40, 10):
        both.write(*map(change_of, range(number, number + 10)))
        request = SearchRequest(MatchAll(), limit=1, count_total=True, is_fresh=True)
        assert both.gateway.search_opened("t", "x", request).total == number + 10
    found = both.gateway.search_opened("t", "x", replace(request, timeout_ms=9_000, allow_partial=True))
    assert (found.total, found.is_complete) == (ROWS + 40, True)


def test_a_partition_that_is_away(both: Both) -> None:
    away = both.cluster.partitions("t")[1]
    owner = both.cluster.owner(away.id)
    both.cluster.owners.pop(away.id)
    owner.host.close(away.id)
    request = SearchRequest(MatchAll(), limit=200, count_total=True, timeout_ms=300)
    with pytest.raises((ServerBusy, RequestTimeout)), working_for(Deadline(1.3)):
        both.gateway.search_opened("t", "x", request)
    request = replace(request, timeout_ms=2_000, allow_partial=True, sort=BY_SCORE)
    for query in (MatchAll(), Match("text", "red word green blue")):
        with working_for(Deadline(20)) as deadline:
            found = both.gateway.search_opened("t", "x", replace(request, query=query))
            assert not deadline.is_over
        assert not found.is_complete
        assert not found.next_token
        assert found.total == len(found.rows) == ROWS - 120
        assert {row.key[0][1] for row in found.rows}.isdisjoint(range(20, 80))


@pytest.mark.parametrize("fault", [PeerUnreachable, PeerLost])
def test_a_node_that_is_lost_in_the_middle_of_a_search(both: Both, fault: type[LutraError]) -> None:
    """What was asked of it before is lost with it: the search is begun anew where the partition is then."""
    away = both.cluster.partitions("t")[1]
    owner = both.cluster.owner(away.id)
    asking = next(node for node in both.cluster.nodes if node is not owner)
    calls = 0

    def fail(answer: Callable[[], Any]) -> Any:
        nonlocal calls
        calls += 1
        if calls != 2:
            return answer()
        both.cluster.move(away.id, asking)
        raise fault("gone")

    asking.peers.faults[owner.name] = fail
    found = asking.instance.search_opened("t", "x", REQUESTS[3])
    assert calls >= 2
    assert_equal(found, both.one.search_opened("t", "x", REQUESTS[3]))


# --- scans ------------------------------------------------------------------------------------------------------------


def scanned(instance: Any, request: ScanRequest) -> list[Row]:
    rows: list[Row] = []
    for _ in range(500):
        page = instance.scan("t", "x", request)
        if not page.rows:
            assert not page.next_token
            return rows
        assert len(page.rows) <= request.limit
        rows += page.rows
        request = replace(request, token=page.next_token)
    raise AssertionError("it does not end")


SCANNED = ScanRequest(Range("n", 10, 230), 35, columns=ColumnsToGet(ReturnColumns.ALL_FROM_INDEX))


def test_scans(both: Both) -> None:
    expected = scanned(both.one, SCANNED)
    by_key = scanned(both.gateway, SCANNED)
    assert [*map(repr, by_key)] == [*map(repr, expected)]
    session = both.gateway.begin_scan("t", "x")
    assert both.gateway.scan_splits(session) == 3
    whole = scanned(both.gateway, replace(SCANNED, session=session))
    parts = [scanned(both.gateway, replace(SCANNED, session=session, part=part, parts=2)) for part in range(2)]
    for rows in (whole, [row for own in parts for row in own]):
        assert sorted(map(repr, rows)) == sorted(map(repr, expected))
    assert all(parts)
    with pytest.raises(ParameterInvalid, match="max_parallel_id"):
        both.gateway.scan("t", "x", replace(SCANNED, session=session, parts=4))
    both.write(change_of(ROWS + 1))
    both.wait()
    assert len(scanned(both.gateway, replace(SCANNED, query=MatchAll(), session=session))) == ROWS


def test_a_session_of_another_table_is_none_of_this(both: Both) -> None:
    """Told at once: nobody waits for a partition that does not have the index, and never will."""
    both.gateway.create_table(TableSchema("u", KEY))
    both.gateway.create_search_index("u", "x", SCHEMA)
    session = both.gateway.begin_scan("u", "x")
    retries = [node.router.retries for node in both.cluster.nodes]
    for node in both.cluster.nodes:
        with pytest.raises(SessionExpired):
            node.instance.scan("t", "x", replace(SCANNED, session=session))
    assert [node.router.retries for node in both.cluster.nodes] == retries


@pytest.mark.parametrize("change", ["move", "split"])
def test_a_session_ends_with_the_owner_of_a_partition(both: Both, change: str) -> None:
    session = both.gateway.begin_scan("t", "x")
    request = replace(SCANNED, session=session)
    first = both.gateway.scan("t", "x", request)
    last = both.cluster.partitions("t")[-1]
    (both.cluster.move if change == "move" else both.cluster.split)(last.id)
    with pytest.raises(SessionExpired):
        scanned(both.gateway, replace(request, token=first.next_token))
    both.wait()
    assert len(scanned(both.gateway, SCANNED)) == len(scanned(both.one, SCANNED))


def test_sessions_of_partitions_that_are_not_yet_come_to_are_kept(both: Both) -> None:
    """With one reader that takes longer than sessions last."""
    session = both.gateway.begin_scan("t", "x")
    request = replace(SCANNED, session=session, alive_s=3, limit=5)
    rows, token, began_s = 0, None, time.monotonic()
    while time.monotonic() < began_s + 3.5 or token is None:
        page = both.gateway.scan("t", "x", replace(request, token=token))
        rows, token = rows + len(page.rows), page.next_token
        assert token
        time.sleep(0.7)
    rows += len(scanned(both.gateway, replace(request, token=token)))
    assert rows == len(scanned(both.one, SCANNED))


# --- indexes ----------------------------------------------------------------------------------------------------------


def test_what_an_index_is_and_becomes(both: Both) -> None:
    for instance in (both.one, both.gateway):
        wait_until(lambda instance=instance: instance.describe_search_index("t", "x").phase is SyncPhase.INCR)  # type: ignore[misc]
        told = instance.describe_search_index("t", "x")
        assert (told.table, told.name, told.schema, told.rows) == ("t", "x", SCHEMA, ROWS)
        assert told.synced_us > 0
        assert instance.list_search_indexes() == instance.list_search_indexes("t") == [("t", "x")]
        instance.update_search_index("t", "x", IndexUpdate(added=(FieldSchema("m", FieldType.LONG),), dropped=("n",)))
        wait_until(lambda instance=instance: instance.describe_search_index("t", "x").phase is SyncPhase.INCR)  # type: ignore[misc]
        assert [one.name for one in instance.describe_search_index("t", "x").schema.fields][-1] == "m"
        assert instance.search_opened("t", "x", SearchRequest(Term("m", 1), count_total=True)).total == 0
        with pytest.raises(ParameterInvalid):
            instance.search_opened("t", "x", SearchRequest(Term("n", 1)))
        instance.delete_search_index("t", "x")
        assert instance.list_search_indexes() == []
        with pytest.raises(MetaNotMatch):
            instance.search_opened("t", "x", REQUESTS[0])
        instance.delete_table("t")


def test_an_index_takes_the_place_of_another(both: Both) -> None:
    changed = IndexSchema((FieldSchema("n", FieldType.LONG), FieldSchema("extra", FieldType.LONG)))
    for instance in (both.one, both.gateway):
        instance.create_search_index("t", "y", changed, "x")
        with pytest.raises(ObjectAlreadyExist):
            instance.create_search_index("t", "y", changed, "x")
        with pytest.raises(ParameterInvalid, match="re-indexed"):
            instance.create_search_index("t", "z", changed, "x")
        wait_until(lambda instance=instance: instance.describe_search_index("t", "y").phase is SyncPhase.INCR)  # type: ignore[misc]
        instance.update_search_index("t", "x", IndexUpdate(weights=(("x", 0), ("y", 100))))
        told = instance.describe_search_index("t", "x")
        assert (told.brother, told.weights) == ("y", (("x", 0), ("y", 100)))
        # Only the new one has that field; pages go on where they began.
        request = SearchRequest(Bool(must_not=(Range("extra", 0),)), limit=100, count_total=True)
        found = instance.search_opened("t", "x", request)
        assert found.total == ROWS
        page = instance.search_opened("t", "x", replace(request, token=found.next_token))
        assert len(page.rows) == 100
        with pytest.raises(ParameterInvalid):
            instance.search_opened("t", "x", replace(request, token=page.next_token[9:]))
        instance.update_search_index("t", "x", IndexUpdate(switch_with="y"))
        assert instance.describe_search_index("t", "x").schema == changed
        assert instance.describe_search_index("t", "y").schema == SCHEMA
        assert len(instance.search_opened("t", "x", request).rows) == 100
        assert instance.search_opened("t", "y", REQUESTS[3]).rows
        instance.delete_search_index("t", "y")
        assert instance.list_search_indexes("t") == [("t", "x")]


def test_half_of_the_searches_go_to_either_index(both: Both) -> None:
    gateway = both.gateway
    gateway.create_search_index("t", "y", SCHEMA, "x")
    wait_until(lambda: gateway.describe_search_index("t", "y").phase is SyncPhase.INCR)
    gateway.update_search_index("t", "x", IndexUpdate(weights=(("x", 50), ("y", 50))))
    tokens = [gateway.search_opened("t", "x", SearchRequest(MatchAll(), limit=1)).next_token for _ in range(20)]
    assert sum(token.startswith(b"\xf0") for token in tokens) == 10


def test_partitions_that_are_filled_for_other_fields_one_after_the_other(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Searches find what they found, by the fields there were, as far as these stay; no field is half there."""
    waiting: list[Callable[[], None]] = []
    take_place = IndexChanges._take_place

    def hold(changes: IndexChanges, feed: Any) -> None:
        waiting.append(lambda: take_place(changes, feed))

    def is_held(count: int) -> bool:
        return len(waiting) >= count

    monkeypatch.setattr(IndexChanges, "_take_place", hold)
    gateway = both.gateway
    before = [gateway.search_opened("t", "x", request) for request in REQUESTS]
    gateway.update_search_index("t", "x", IndexUpdate(added=(FieldSchema("m", FieldType.LONG),), dropped=("group",)))
    wait_until(lambda: is_held(3))
    for request, expected in zip(REQUESTS, before, strict=True):
        assert_equal(gateway.search_opened("t", "x", request), expected)
    new, gone = SearchRequest(Term("m", 1), count_total=True), SearchRequest(Term("group", "g1"), count_total=True)
    with pytest.raises(ServerBusy, match="is being filled for its new fields"):
        gateway.search_opened("t", "x", new)
    assert gateway.search_opened("t", "x", gone).total > 0

    waiting[0]()
    stays = [request for request in REQUESTS if "'group'" not in repr(request)]
    assert len(stays) > 5
    for request in stays:
        assert_equal(gateway.search_opened("t", "x", request), before[REQUESTS.index(request)])
    with pytest.raises(ServerBusy, match="is being filled for its new fields"):
        gateway.search_opened("t", "x", new)
    with pytest.raises(ParameterInvalid):
        gateway.search_opened("t", "x", gone)

    for take in waiting[1:3]:
        take()
    assert gateway.search_opened("t", "x", new).total == 0
    with pytest.raises(ParameterInvalid):
        gateway.search_opened("t", "x", gone)
