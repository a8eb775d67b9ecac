"""Tables of several partitions on three nodes do what one machine's do: the same results, pages and errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.local_cluster import INSTANCE, LocalCluster, local_cluster

from lutra.cluster.gateway.tables import GatewayTables
from lutra.kv.memory import MemoryStore
from lutra.model.conditions import ColumnPagination, Comparator, SingleColumn
from lutra.model.errors import LutraError, ParameterInvalid
from lutra.model.rows import (
    NO_CONDITION,
    CellOperation,
    ChangeKind,
    Condition,
    KeyInput,
    RangeRequest,
    ReadOptions,
    ReturnType,
    RowChange,
    RowExistence,
)
from lutra.model.schema import (
    DefinedColumn,
    IndexKind,
    KeyColumn,
    SecondaryIndex,
    StreamSpec,
    TableOptions,
    TableSchema,
    TableUpdate,
)
from lutra.model.streams import StreamIterator, StreamRecord
from lutra.model.values import AUTO_INCREMENT, INF_MAX, INF_MIN, ColumnType, KeyValue
from lutra.tables.keys import KeyCodec
from lutra.tables.space import TableSpace
from lutra.tables.tables import Tables

NOON_US = 1_700_000_000_000_000
_VALUES: dict[ColumnType, st.SearchStrategy[KeyValue]] = {
    ColumnType.INTEGER: st.integers(-2, 9),
    ColumnType.STRING: st.text("\0ab", max_size=2),
    ColumnType.BINARY: st.binary(max_size=1),
}
_WRONG = st.sampled_from(["", b"", 0, AUTO_INCREMENT, INF_MIN])
_COLUMNS = st.sampled_from(["c", "d", "e"])


class TickingClock:
    """The same for all; moved by the test alone."""

    def __init__(self) -> None:
        self.us = NOON_US

    def now_us(self) -> int:
        return self.us


CLOCK = TickingClock()
_NUMBERS = count()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with local_cluster(tmp_path_factory.mktemp("cluster"), clock=CLOCK) as cluster:
        yield cluster


@st.composite
def _schemas(draw: st.DrawFn) -> TableSchema:
    columns = [KeyColumn(f"k{n}", draw(st.sampled_from(list(_VALUES)))) for n in range(draw(st.integers(1, 3)))]
    if len(columns) > 1 and draw(st.booleans()):
        columns[-1] = KeyColumn("auto", ColumnType.INTEGER, auto_increment=True)
    splits = draw(
        st.lists(
            _VALUES[columns[0].type].filter(lambda value: value != columns[0].type and value not in ("", b"")),
            unique=True,
            max_size=3,
        )
    )
    versions = draw(st.sampled_from([1, 1, 3]))
    indexes: tuple[SecondaryIndex, ...] = ()
    defined = (DefinedColumn("c", ColumnType.INTEGER), DefinedColumn("d", ColumnType.STRING))
    if versions == 1 and draw(st.booleans()):
        indexes = (SecondaryIndex("x", (columns[0].name, "c"), ("d",), IndexKind.LOCAL),)
    stream = StreamSpec(24, ("c",)) if draw(st.booleans()) else None
    return TableSchema(
        "t",
        tuple(columns),
        defined,
        TableOptions(max_versions=versions),
        splits=tuple(sorted(splits)),  # type: ignore[type-var]
        stream=stream,
        indexes=indexes,
    )


class Pair:
    """One table on the cluster, whose nodes are asked in turn, and the same in one store."""

    def __init__(self, cluster: LocalCluster, schema: TableSchema, data: st.DataObject) -> None:
        self.cluster = cluster
        self.schema = schema
        self.name = schema.name
        self.data = data
        self.space = TableSpace(MemoryStore(), CLOCK)
        self.model: Tables = self.space.instance(INSTANCE)
        self.model.create(schema)
        cluster.nodes[0].instance.create_table(schema)
        self.asked = 0
        self.transactions: dict[str, str] = {}
        """By the model's id, the cluster's."""

    def real(self) -> GatewayTables:
        self.asked += 1
        return self.cluster.nodes[self.asked % len(self.cluster.nodes)].instance.tables

    def same(self, ask: Callable[[Any, Callable[[str], str]], Any]) -> Any:
        """Asks both, the second argument naming a transaction to each, and has them answer the same."""
        expected = _told(lambda: ask(self.model, lambda mine: mine))
        real = self.real()
        answered = _told(lambda: ask(real, lambda mine: self.transactions.get(mine, mine)))
        assert answered == expected
        return expected

    def end_transactions(self, partition_id: str) -> None:
        """Those of a partition that is not where it was have ended."""
        for mine, real in list(self.transactions.items()):
            if real.startswith(partition_id):
                self.model.abort_transaction(mine)
                self.same(lambda tables, of, mine=mine: tables.commit_transaction(of(mine)))
                del self.transactions[mine]

    def abort_all(self) -> None:
        """Of a table that has changed they have ended; on a cluster not where nothing has."""
        for mine, real in self.transactions.items():
            _told(lambda mine=mine: self.model.abort_transaction(mine))  # type: ignore[misc]
            _told(lambda real=real: self.real().abort_transaction(real))  # type: ignore[misc]
        self.transactions.clear()

    def draw(self, strategy: st.SearchStrategy[Any]) -> Any:
        return self.data.draw(strategy)

    def key(self, *, writes: bool = False) -> KeyInput:
        key = tuple(
            (column.name, AUTO_INCREMENT if writes and column.auto_increment else self.draw(_VALUES[column.type]))
            for column in self.schema.key
        )
        if self.draw(st.integers(0, 15)) == 0:  # one that goes with no table, or not with this
            broken = self.draw(st.sampled_from(["short", "long", "named", "typed"]))
            if broken == "short":
                return key[:-1]
            if broken == "long":
                return (*key, ("z", 1))
            if broken == "named":
                return (("z", key[0][1]), *key[1:])
            place = self.draw(st.integers(0, len(key) - 1))
            return (*key[:place], (key[place][0], self.draw(_WRONG)), *key[place + 1 :])
        return key

    def change(self) -> RowChange:
        draw = self.draw
        kind = draw(st.sampled_from(ChangeKind))
        has_auto = any(column.auto_increment for column in self.schema.key)
        key = self.key(writes=has_auto and kind is not ChangeKind.DELETE and draw(st.integers(0, 3)) > 0)
        cells: list[Any] = []
        if kind is not ChangeKind.DELETE:
            for name in draw(st.lists(_COLUMNS, max_size=3, unique=True)):
                value: Any = {"c": draw(st.integers(0, 5)), "d": "v", "e": draw(st.sampled_from([1.5, True, b"x"]))}[
                    name
                ]
                operation = CellOperation.PUT
                if kind is ChangeKind.UPDATE:
                    operation = draw(
                        st.sampled_from([CellOperation.PUT, CellOperation.DELETE_ALL, CellOperation.INCREMENT])
                    )
                if operation is CellOperation.DELETE_ALL:
                    value = None
                cells.append((name, value, None, int(operation)))
        condition = NO_CONDITION
        if draw(st.integers(0, 3)) == 0:
            columns = SingleColumn(Comparator.EQUAL, "c", draw(st.integers(0, 2))) if draw(st.booleans()) else None
            condition = Condition(draw(st.sampled_from(RowExistence)), columns)
        returns = ReturnType.PRIMARY_KEY if draw(st.booleans()) else ReturnType.NONE
        return RowChange(kind, key, cells, condition, returns)

    def options(self) -> ReadOptions:
        return self.draw(
            st.sampled_from(
                [
                    ReadOptions(),
                    ReadOptions(),
                    ReadOptions(columns=("c",), max_versions=2),
                    ReadOptions(filter=SingleColumn(Comparator.GREATER_THAN, "c", 2, pass_if_missing=False)),
                    ReadOptions(filter=ColumnPagination(1, 1)),
                    ReadOptions(start_column="d", end_column="e"),
                    ReadOptions(max_versions=0),
                ]
            )
        )

    def readable(self) -> tuple[str, list[tuple[str, ColumnType]]]:
        """A table, or its index, and the key of that."""
        name = "x" if self.schema.indexes and self.draw(st.booleans()) else self.name
        return name, [(column.name, column.type) for column in self.model.described(name).schema.key]


# --- what is done -----------------------------------------------------------------------------------------------------


def write(pair: Pair) -> None:
    change = pair.change()
    pair.same(lambda tables, _: tables.write(pair.name, change))


def write_batch(pair: Pair) -> None:
    is_atomic = pair.draw(st.integers(0, 3)) == 0
    changes = [pair.change() for _ in range(pair.draw(st.integers(1, 6)))]
    if is_atomic and pair.draw(st.booleans()):
        changes = [replace(change, key=(changes[0].key[:1] + change.key[1:])) for change in changes]
    batch = [(pair.name, changes)]
    if pair.draw(st.integers(0, 5)) == 0:
        batch.append(("none", changes[:1]))
    if pair.draw(st.integers(0, 9)) == 0:
        changes.append(RowChange(ChangeKind.PUT, changes[0].key, [("c", float("nan"), None, 0)]))
    pair.same(lambda tables, _: tables.write_batch(batch, is_atomic=is_atomic))


def write_bulk(pair: Pair) -> None:
    changes: list[RowChange | LutraError] = [
        replace(pair.change(), condition=NO_CONDITION) for _ in range(pair.draw(st.integers(0, 5)))
    ]
    if pair.draw(st.booleans()):
        changes.insert(0, ParameterInvalid("no row"))
    pair.same(lambda tables, _: tables.write_bulk(pair.name, changes))


def read(pair: Pair) -> None:
    key, options = pair.key(), pair.options()
    pair.same(lambda tables, _: tables.read(pair.name, key, options))


def read_batch(pair: Pair) -> None:
    batch = [
        (
            pair.draw(st.sampled_from([pair.name, pair.name, pair.name, "none"])),
            [pair.key() for _ in range(3)],
            pair.options(),
        )
        for _ in range(pair.draw(st.integers(0, 2)))
    ]
    pair.same(lambda tables, _: tables.read_batch(batch))


def read_range(pair: Pair) -> None:
    name, key = pair.readable()
    backward = pair.draw(st.booleans())

    def bound(extreme: Any) -> KeyInput:
        return tuple((one, pair.draw(st.one_of(st.just(extreme), _VALUES[kind]))) for one, kind in key)

    low, high = bound(INF_MIN), bound(INF_MAX)
    limit = pair.draw(st.sampled_from([None, None, 1, 3, 0]))
    request: RangeRequest | None = RangeRequest(
        high if backward else low, low if backward else high, backward, limit, pair.options()
    )
    while request is not None:
        page = pair.same(lambda tables, _, asked=request: tables.read_range(name, asked))
        following = None if isinstance(page, tuple) else page.next_start
        request = None if following is None else replace(request, start=following)


def begin_transaction(pair: Pair) -> None:
    key = pair.key()[:1]
    mine = _told(lambda: pair.model.start_transaction(pair.name, key))
    real = _told(lambda: pair.real().start_transaction(pair.name, key))
    if isinstance(mine, str):
        assert isinstance(real, str)
        pair.transactions[mine] = real
    else:
        assert mine == real


def go_on_in_transaction(pair: Pair) -> None:
    if not pair.transactions:
        return
    mine = pair.draw(st.sampled_from(sorted(pair.transactions)))
    step = pair.draw(st.sampled_from(["write", "batch", "read", "range", "commit", "abort", "twice", "bad"]))
    change, key, options = pair.change(), pair.key(), pair.options()
    if step == "write":
        pair.same(lambda tables, of: tables.write(pair.name, change, of(mine)))
    elif step == "batch":
        pair.same(
            lambda tables, of: tables.write_batch([(pair.name, [change]), ("none", [change])], transaction=of(mine))
        )
    elif step == "read":
        pair.same(lambda tables, of: tables.read(pair.name, key, options, of(mine)))
    elif step == "range":
        end = tuple((name, INF_MAX) for name, _ in key[1:])
        request = RangeRequest(key, (*key[:1], *end))
        pair.same(lambda tables, of: tables.read_range(pair.name, request, of(mine)))
    elif step == "bad":
        pair.same(lambda tables, _: tables.read(pair.name, key, options, "no such id"))
    else:
        pair.same(
            lambda tables, of: (
                tables.abort_transaction(of(mine)) if step == "abort" else tables.commit_transaction(of(mine))
            )
        )
        if step == "twice":
            pair.same(lambda tables, of: tables.abort_transaction(of(mine)))
        del pair.transactions[mine]


def move(pair: Pair) -> None:
    """A partition goes to another node, and the transactions in it end."""
    entry = pair.draw(st.sampled_from(pair.cluster.partitions(pair.name)))
    pair.cluster.move(entry.id)
    pair.end_transactions(entry.id)


def split(pair: Pair) -> None:
    """A partition becomes two, and the transactions in it end."""
    entry = pair.draw(st.sampled_from(pair.cluster.partitions(pair.name)))
    keys = KeyCodec(b"", pair.schema.key)
    at = keys.encode_partition_value(pair.draw(_VALUES[pair.schema.key[0].type]))
    if entry.holds(at) and at != entry.begin:
        pair.cluster.split(entry.id, at)
        pair.end_transactions(entry.id)


def update(pair: Pair) -> None:
    update = pair.draw(
        st.sampled_from(
            [
                TableUpdate(max_deviation_s=9),
                TableUpdate(allow_update=False),
                TableUpdate(max_versions=0),
                TableUpdate(),
            ]
        )
    )
    expected = _told(lambda: pair.model.update(pair.name, update))
    answered = _told(lambda: pair.cluster.nodes[1].instance.update_table(pair.name, update))
    assert _shown(answered) == _shown(expected)
    pair.abort_all()


def define(pair: Pair) -> None:
    if pair.draw(st.booleans()):
        columns = [DefinedColumn(pair.draw(_COLUMNS), ColumnType.INTEGER)]
        pair.same(lambda tables, _: tables.add_defined_columns(pair.name, columns))
    else:
        names = [pair.draw(_COLUMNS)]
        pair.same(lambda tables, _: tables.delete_defined_columns(pair.name, names))
    pair.abort_all()


def describe(pair: Pair) -> None:
    expected = _told(lambda: pair.model.described(pair.name))
    assert _shown(_told(lambda: pair.real().described(pair.name))) == _shown(expected)
    pair.same(lambda tables, _: tables.names())
    pair.same(lambda tables, _: tables.write("x", RowChange(ChangeKind.DELETE, ())) if pair.schema.indexes else None)
    pair.same(lambda tables, _: tables.describe("not a name"))


_STEPS = [
    write,
    write,
    write_batch,
    write_batch,
    write_bulk,
    read,
    read_batch,
    read_range,
    read_range,
    begin_transaction,
]
_STEPS += [go_on_in_transaction, go_on_in_transaction, move, split, update, define, describe]


@given(_schemas(), st.data())
@settings(deadline=None, max_examples=8, suppress_health_check=list(HealthCheck))
def test_a_cluster_answers_as_one_machine_does(cluster: LocalCluster, schema: TableSchema, data: st.DataObject) -> None:
    _compared(cluster, schema, data)


@pytest.mark.slow
@pytest.mark.timeout(1_800)
@given(_schemas(), st.data())
@settings(deadline=None, max_examples=300, suppress_health_check=list(HealthCheck))
def test_a_cluster_answers_as_one_machine_does_for_long(
    cluster: LocalCluster, schema: TableSchema, data: st.DataObject
) -> None:
    _compared(cluster, schema, data)


def _compared(cluster: LocalCluster, schema: TableSchema, data: st.DataObject) -> None:
    pair = Pair(cluster, replace(schema, name=f"t{next(_NUMBERS)}"), data)
    try:
        for _ in range(12):
            CLOCK.us += 1_000
            data.draw(st.sampled_from(_STEPS))(pair)
        if schema.stream is not None:
            _have_same_streams(pair)
    finally:
        cluster.nodes[0].instance.delete_table(pair.name)


def _have_same_streams(pair: Pair) -> None:
    """Each row's changes in their order; and all of them, whose times are the same where they are in one partition."""
    (mine,) = pair.space.streams.of_tables(INSTANCE)
    at = pair.space.streams.iterator(INSTANCE, mine.stream_id, mine.shards[0].id)
    expected = pair.space.streams.read(INSTANCE, at, 1_000, 1 << 22).records
    instance = pair.cluster.nodes[2].instance
    (stream,) = instance.list_streams(pair.name)
    assert instance.describe_stream(stream.stream_id) == stream
    found: list[StreamRecord] = []
    serving = {f"{entry.id}-{stream.created_us}" for entry in pair.cluster.partitions(pair.name)}
    assert {parent for shard in stream.shards for parent in shard.parents} | serving == {
        shard.id for shard in stream.shards
    }
    for shard in stream.shards:
        following: StreamIterator | None = instance.stream_iterator(stream.stream_id, shard.id)
        while following is not None:
            page = instance.read_stream(following, 2, 1 << 22)
            found += page.records
            following = page.next if page.records else None
        assert (page.next is None) is (shard.id not in serving)  # a shard that was split has ended
    assert _by_row(found) == _by_row(expected)


def _by_row(records: list[StreamRecord]) -> dict[Any, list[Any]]:
    by_row: dict[Any, list[Any]] = {}
    for one in records:
        by_row.setdefault(repr(one.key), []).append((one.kind, one.cells, one.original))
    return by_row


def _told(ask: Callable[[], Any]) -> Any:
    try:
        return _plain(ask())
    except LutraError as error:
        return type(error), str(error)


def _plain(answer: Any) -> Any:
    """Errors within are told as well."""
    if isinstance(answer, list):
        return [_plain(one) for one in answer]
    return (type(answer), str(answer)) if isinstance(answer, LutraError) else answer


def _shown(answer: Any) -> Any:
    """A description but for the ids, which a store gives by itself."""
    if isinstance(answer, tuple):
        return answer
    indexes = tuple(replace(index, index_id=0) for index in answer.schema.indexes)
    return replace(answer.schema, indexes=indexes), answer.stream_id is None
