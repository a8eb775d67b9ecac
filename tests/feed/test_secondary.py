"""Secondary indexes against what their table says they should list, step by step, through restarts and expiry."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from support.secondary import all_rows, expected, listed

from lutra.feed.feed import Feed
from lutra.feed.secondary import SecondaryConsumer, consumer_of, sweep
from lutra.kv.memory import MemoryStore
from lutra.model.errors import LutraError, ServerBusy
from lutra.model.rows import CellOperation, ChangeKind, Condition, PrimaryKey, RowChange, RowExistence
from lutra.model.schema import (
    DefinedColumn,
    IndexKind,
    KeyColumn,
    SecondaryIndex,
    TableOptions,
    TableSchema,
    TableUpdate,
)
from lutra.model.values import ColumnType
from lutra.tables import keyspace
from lutra.tables.space import TableSpace

NOON_MS = 1_700_000_000_000
DAY_S = 86_400
SCHEMA = TableSchema(
    "t",
    (KeyColumn("p", ColumnType.STRING), KeyColumn("i", ColumnType.INTEGER)),
    (
        DefinedColumn("a", ColumnType.STRING),
        DefinedColumn("b", ColumnType.INTEGER),
        DefinedColumn("c", ColumnType.BINARY),
        DefinedColumn("d", ColumnType.DOUBLE),
    ),
)
SHAPES: list[tuple[IndexKind, tuple[str, ...], tuple[str, ...]]] = [
    (IndexKind.LOCAL, ("p", "b"), ("a", "d")),
    (IndexKind.LOCAL, ("p", "a", "c"), ()),
    (IndexKind.LOCAL, ("p", "i"), ("d",)),
    (IndexKind.GLOBAL, ("a",), ("b",)),
    (IndexKind.GLOBAL, ("i",), ()),
    (IndexKind.GLOBAL, ("c", "b", "i"), ("a", "d")),
]
KEYS = st.tuples(st.sampled_from(["", "x\0", "y"]), st.integers(0, 3))
VALUES = {
    "a": st.sampled_from(["", "a", "a\0b", "ü"]),
    "b": st.integers(-1, 1),
    "c": st.sampled_from([b"", b"\0", b"\xff"]),
    "d": st.sampled_from([0.5, 2.0]),
    "free": st.sampled_from(["x", 1]),
}
OFFSETS = st.sampled_from([None, None, None, -20 * 3_600_000, 5_000])
PUTS = st.sampled_from(list(VALUES)).flatmap(
    lambda name: st.tuples(st.just(name), VALUES[name], OFFSETS, st.just(CellOperation.PUT))
)
UPDATES = st.one_of(
    PUTS,
    st.tuples(st.just("b"), st.integers(-1, 1), st.none(), st.just(CellOperation.INCREMENT)),
    st.tuples(st.sampled_from(list(VALUES)), st.none(), st.none(), st.just(CellOperation.DELETE_ALL)),
)
CONDITIONS = st.sampled_from([Condition()] * 5 + [Condition(existence) for existence in RowExistence])
CHANGES = st.one_of(
    st.tuples(st.just(ChangeKind.PUT), KEYS, st.lists(PUTS, max_size=4), CONDITIONS),
    st.tuples(st.just(ChangeKind.UPDATE), KEYS, st.lists(UPDATES, min_size=1, max_size=3), CONDITIONS),
    st.tuples(st.just(ChangeKind.DELETE), KEYS, st.just([]), CONDITIONS),
)


class Clock:
    def __init__(self) -> None:
        self.ms = NOON_MS

    def now_us(self) -> int:
        return self.ms * 1_000


class SecondaryIndexes(RuleBasedStateMachine):
    """What threads do in an engine is done here by rules, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.store = MemoryStore()
        self.made = 0
        self.feeds: dict[int, Feed[SecondaryConsumer]] = {}
        self.touched: dict[int, set[PrimaryKey]] = {}
        """By index, the rows changed since it was made."""
        self.open()

    def open(self) -> None:
        self.space = TableSpace(self.store, self.clock)
        self.tables = self.space.instance("default")
        self.feeds = {}
        for index_id in self.space.index_writer.dropped():
            self.space.index_writer.sweep(index_id)
        for index in self.indexes if self.tables.names() else ():
            self.follow(index)

    @property
    def indexes(self) -> tuple[SecondaryIndex, ...]:
        return self.tables.describe("t").schema.indexes

    def follow(self, index: SecondaryIndex) -> None:
        if index.kind is IndexKind.LOCAL and self.tables.is_index_filled(index):
            return
        consumer = consumer_of(self.tables.describe("t"), index, self.space.index_writer)
        feed = Feed(consumer, self.tables, self.space.changelog, self.store, self.clock)
        self.feeds[index.index_id] = feed

    @initialize(
        ttl_s=st.sampled_from([-1, 2 * DAY_S]),
        shapes=st.lists(st.sampled_from(SHAPES), max_size=2),
        versions=st.booleans(),
    )
    def create(self, ttl_s: int, shapes: list[Any], versions: bool) -> None:
        if versions:  # rows may keep versions from before the table could have an index
            self.tables.create(replace(SCHEMA, options=TableOptions(ttl_s, 3, max_deviation_s=5 * DAY_S)))
            return
        options = TableOptions(ttl_s, 1, max_deviation_s=5 * DAY_S, allow_update=ttl_s == -1)
        indexes = tuple(self.index(shape, True) for shape in shapes)
        self.tables.create(replace(SCHEMA, options=options, indexes=indexes))
        for index in self.indexes:
            self.touched[index.index_id] = set()
            self.follow(index)

    def index(self, shape: tuple[IndexKind, tuple[str, ...], tuple[str, ...]], base: bool) -> SecondaryIndex:
        self.made += 1
        kind, key, columns = shape
        return SecondaryIndex(f"index_{self.made}", key, columns, kind, base)

    @rule(keys=st.sets(KEYS, min_size=2, max_size=6), values=st.fixed_dictionaries(VALUES), shift=st.integers(0, 3))
    def put_whole(self, keys: set[tuple[str, int]], values: dict[str, Any], shift: int) -> None:
        """Rows that most indexes list."""
        cells = [(name, value, None, CellOperation.PUT) for name, value in values.items()]
        self.write([(ChangeKind.PUT, key, cells[: 5 - (shift + n) % 3], Condition()) for n, key in enumerate(keys)])

    @rule(drawn=st.lists(CHANGES, min_size=1, max_size=5, unique_by=lambda change: change[1]))
    def write_batch(self, drawn: list[Any]) -> None:
        self.write(drawn)

    @rule(first=CHANGES, again=CHANGES)
    def write_twice(self, first: Any, again: Any) -> None:
        """One row, in one batch."""
        self.write([(*first[:3], Condition()), (again[0], first[1], again[2], Condition())])

    def write(self, drawn: list[Any]) -> None:
        changes = []
        for kind, (p, i), cells, condition in drawn:
            dated = [(n, v, None if at is None else self.clock.ms + at, op) for n, v, at, op in cells]
            changes.append(RowChange(kind, (("p", p), ("i", i)), dated, condition))
        try:
            (results,) = self.tables.write_batch([("t", changes)])
        except LutraError:
            return
        for change, result in zip(changes, results, strict=True):
            if not isinstance(result, LutraError):
                for keys in self.touched.values():
                    keys.add(change.key)  # type: ignore[arg-type]

    @rule(shape=st.sampled_from(SHAPES), base=st.booleans())
    def add(self, shape: Any, base: bool) -> None:
        if len(self.indexes) == 5:
            return
        options = self.tables.describe("t").schema.options
        self.tables.update(
            "t", TableUpdate(max_versions=1, allow_update=False if options.ttl_s != -1 else options.allow_update)
        )
        made = self.tables.add_index("t", self.index(shape, base))
        self.touched[made.index_id] = set()
        self.follow(made)

    @rule(which=st.integers(0, 4), at_once=st.booleans())
    def drop(self, which: int, at_once: bool) -> None:
        if which < len(self.indexes):
            index = self.tables.drop_index("t", self.indexes[which].name)
            del self.touched[index.index_id]
            feed = self.feeds.pop(index.index_id, None)
            if not at_once:  # the next opening finds it
                return
            if feed is None:
                sweep(self.space.index_writer, self.tables.describe("t").table_id, index)
            else:
                assert feed.close()
                feed.consumer.delete()

    @rule(hours=st.sampled_from([1, 23, 47]))
    def wait(self, hours: int) -> None:
        self.clock.ms += hours * 3_600_000

    @rule(ttl_s=st.sampled_from([DAY_S, 2 * DAY_S, 4 * DAY_S, -1]))
    def change_ttl(self, ttl_s: int) -> None:
        self.tables.update("t", TableUpdate(ttl_s=ttl_s, allow_update=ttl_s == -1))

    @precondition(lambda self: self.feeds)
    @rule(which=st.integers(0, 4))
    def step(self, which: int) -> None:
        list(self.feeds.values())[which % len(self.feeds)].step()

    @rule()
    def reopen(self) -> None:
        """As after a kill: nothing in memory is left."""
        for feed in self.feeds.values():
            feed.close()
        self.open()

    @invariant()
    def local_indexes_are_current(self) -> None:
        self.check(IndexKind.LOCAL)

    @rule()
    def catch_up(self) -> None:
        for index_id, feed in list(self.feeds.items()):
            while feed.step() or feed.phase.name == "FULL":
                pass
            if isinstance(feed.consumer.index.kind, IndexKind) and feed.consumer.index.kind is IndexKind.LOCAL:
                assert feed.close()
                del self.feeds[index_id]
        self.check(IndexKind.LOCAL)
        self.check(IndexKind.GLOBAL)
        self.check_store()

    def check(self, kind: IndexKind) -> None:
        schema = self.tables.describe("t").schema if self.tables.names() else SCHEMA
        for index in schema.indexes:
            if index.kind is not kind:
                continue
            if not self.tables.is_index_filled(index):
                with pytest.raises(ServerBusy):
                    listed(self.tables, schema, index)
                continue
            rows = all_rows(self.tables, "t", ["p", "i"])
            wanted = expected(schema, index, rows)
            found = listed(self.tables, schema, index)
            if index.includes_base:
                assert found == wanted
            else:
                touched = expected(schema, index, [row for row in rows if row.key in self.touched[index.index_id]])
                assert all(one in wanted for one in found)
                assert all(one in found for one in touched)

    def check_store(self) -> None:
        """Nothing is stored of an index that is not there, nor twice of a row."""
        pairs = dict(self.store.scan(b"\0", b"\xff"))
        there = {index.index_id: index for index in self.indexes}
        table_id = self.tables.describe("t").table_id
        dropped = set(self.space.index_writer.dropped())
        for key in pairs:
            if key[:1] in (b"r", b"b", b"p"):
                owner = keyspace.unpack(key[1:9])
                assert owner in there or owner in dropped or (key[:1] == b"r" and owner == table_id)
        for index_id, index in there.items():
            if index.kind is IndexKind.GLOBAL:
                entries = sum(key.startswith(keyspace.rows_prefix(index_id)) for key in pairs)
                assert entries == sum(key.startswith(keyspace.back_prefix(index_id)) for key in pairs)
                assert entries == self.feeds[index_id].consumer.rows


def put_at(machine: SecondaryIndexes, i: int, **times_ms: int | None) -> None:
    """A row whose columns ``a`` and ``b`` have these times."""
    values: dict[str, Any] = {"a": f"a{i}", "b": i}
    cells = [(name, values[name], at, CellOperation.PUT) for name, at in times_ms.items()]
    machine.tables.write("t", RowChange(ChangeKind.PUT, (("p", "x"), ("i", i)), cells))


@pytest.mark.parametrize("ttl_s", [2 * DAY_S, -1])
@pytest.mark.parametrize("is_reopened", [False, True])
def test_a_global_index_when_values_live_shorter_and_longer(ttl_s: int, is_reopened: bool) -> None:
    """Entries that it has let go of come back with their rows, also where it is told of that after a restart only."""
    machine = SecondaryIndexes()
    machine.create(ttl_s, [(IndexKind.GLOBAL, ("a",), ("b",))], False)
    (index,) = machine.indexes
    old = machine.clock.ms - 20 * 3_600_000
    put_at(machine, 1, a=old, b=None)  # its key expires first
    put_at(machine, 2, a=None, b=old)
    machine.catch_up()
    listed_all = listed(machine.tables, machine.tables.describe("t").schema, index)
    assert len(listed_all) == 2
    machine.wait(34)
    machine.check(IndexKind.GLOBAL)
    assert len(listed(machine.tables, machine.tables.describe("t").schema, index)) == (1 if ttl_s > 0 else 2)
    machine.change_ttl(DAY_S)  # both are gone, and the index reads them as gone
    machine.tables.aged(machine.tables.describe("t").table_id, [(("p", "x"), ("i", i)) for i in (1, 2)])
    machine.feeds[index.index_id].step()
    assert machine.feeds[index.index_id].consumer.rows == 0
    machine.change_ttl(10 * DAY_S)
    if is_reopened:
        machine.reopen()
    machine.catch_up()
    assert listed(machine.tables, machine.tables.describe("t").schema, index) == listed_all


def test_a_global_index_knows_where_it_has_a_row() -> None:
    machine = SecondaryIndexes()
    machine.create(-1, [(IndexKind.GLOBAL, ("b",), ("a",))], False)
    put_at(machine, 1, a=None, b=None)
    machine.catch_up()
    for b in (5, 5, 7, None, 3):
        cells = [] if b is None else [("b", b, None, CellOperation.PUT)]
        machine.tables.write("t", RowChange(ChangeKind.PUT, (("p", "x"), ("i", 1)), cells))
        machine.catch_up()
        found = listed(machine.tables, machine.tables.describe("t").schema, machine.indexes[0])
        assert [key[0][1] for key, _ in found] == ([] if b is None else [b])
    machine.tables.write("t", RowChange(ChangeKind.DELETE, (("p", "x"), ("i", 1))))
    machine.catch_up()
    assert listed(machine.tables, machine.tables.describe("t").schema, machine.indexes[0]) == []


def test_a_local_index_is_filled_with_what_has_expired() -> None:
    """It is stored yet, and is back where values live longer."""
    machine = SecondaryIndexes()
    machine.create(2 * DAY_S, [], False)
    put_at(machine, 1, a=None, b=None)
    machine.wait(72)
    put_at(machine, 2, a=None, b=None)
    machine.add((IndexKind.LOCAL, ("p", "b"), ("a",)), True)
    machine.catch_up()
    machine.change_ttl(4 * DAY_S)
    (index,) = machine.indexes
    assert len(listed(machine.tables, machine.tables.describe("t").schema, index)) == 2
    machine.check(IndexKind.LOCAL)


def test_a_global_index_takes_in_the_same_rows_twice() -> None:
    machine = SecondaryIndexes()
    machine.create(-1, [(IndexKind.GLOBAL, ("a",), ("b",))], False)
    for i in range(3):
        put_at(machine, i, a=None, b=None)
    machine.catch_up()
    (index,) = machine.indexes
    consumer = machine.feeds[index.index_id].consumer
    before, stored = consumer.progress, dict(machine.store.scan(b"b", b"s"))
    rows = all_rows(machine.tables, "t", ["p", "i"])
    consumer.apply(rows, [(("p", "x"), ("i", 9))])
    consumer.reached(before)
    assert dict(machine.store.scan(b"b", b"s")) == stored
    assert consumer.rows == 3


def test_maintenance_that_comes_late_stores_nothing_of_a_dropped_index() -> None:
    space = TableSpace(MemoryStore())
    tables = space.instance("default")
    table = tables.create(replace(SCHEMA, indexes=(SecondaryIndex("by_a", ("a",)),)))
    (index,) = table.schema.indexes
    consumer = consumer_of(table, index, space.index_writer)
    feed = Feed(consumer, tables, space.changelog, space.store, Clock())
    tables.write("t", RowChange(ChangeKind.DELETE, (("p", "x"), ("i", 1))))  # it looks, and has nothing to store
    feed.step()
    assert consumer.is_due(10**9)
    tables.drop_index("t", "by_a")
    assert feed.close()
    consumer.delete()
    consumer.maintain()
    assert list(space.store.scan(keyspace.PROGRESS_PREFIX, b"q")) == []


SecondaryIndexes.TestCase.settings = settings(
    max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
TestSecondaryIndexes = SecondaryIndexes.TestCase


@pytest.mark.slow
@pytest.mark.timeout(1_800)
class TestSecondaryIndexesAtLength(SecondaryIndexes.TestCase):  # type: ignore[name-defined, misc]
    settings = settings(
        max_examples=3_000, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
    )
