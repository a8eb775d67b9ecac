"""Tables against a plain model of what they are to do, step by step, on every store."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from support.on_disk import OnDisk

from lutra.kv.memory import MemoryStore
from lutra.kv.store import KeyValueStore
from lutra.model.conditions import Comparator, SingleColumn
from lutra.model.errors import ConditionCheckFail, LutraError, ParameterInvalid
from lutra.model.rows import (
    Cell,
    CellChange,
    CellOperation,
    ChangeKind,
    Condition,
    KeyInput,
    PrimaryKey,
    RangeRequest,
    ReadOptions,
    Row,
    RowChange,
    RowExistence,
)
from lutra.model.schema import KeyColumn, TableOptions, TableSchema, TableUpdate
from lutra.model.values import INF_MAX, INF_MIN, ColumnType, Value
from lutra.tables.space import TableSpace

NOON_MS = 1_700_000_000_000
DAY_S = 86_400
KEYS = st.tuples(st.sampled_from(["", "a\0"]), st.integers(-1, 1))
COLUMNS = st.sampled_from(["a", "b", "n"])
VALUES = st.one_of(st.integers(0, 3), st.sampled_from(["x", "y"]))
# Relative to the clock: a client's timestamps lie around it.
OFFSETS = st.one_of(st.none(), st.sampled_from([-DAY_S * 500, -2_000, -1, 0, 1, 5_000]))
PUTS = st.tuples(COLUMNS, VALUES, OFFSETS, st.just(CellOperation.PUT))
UPDATES = st.one_of(
    PUTS,
    st.tuples(st.just("n"), st.integers(-2, 2), st.none(), st.just(CellOperation.INCREMENT)),
    st.tuples(COLUMNS, st.none(), st.none(), st.just(CellOperation.DELETE_ALL)),
    st.tuples(COLUMNS, st.none(), st.sampled_from([-1, 0, 1]), st.just(CellOperation.DELETE_ONE)),
)
CONDITIONS = st.builds(
    Condition,
    st.sampled_from(list(RowExistence)),
    st.one_of(st.none(), st.builds(SingleColumn, st.just(Comparator.EQUAL), COLUMNS, st.integers(0, 3), st.booleans())),
)
CHANGES = st.one_of(
    st.tuples(st.just(ChangeKind.PUT), KEYS, st.lists(PUTS, max_size=4), CONDITIONS),
    st.tuples(st.just(ChangeKind.UPDATE), KEYS, st.lists(UPDATES, min_size=1, max_size=4), CONDITIONS),
    st.tuples(st.just(ChangeKind.DELETE), KEYS, st.just([]), CONDITIONS),
)
Columns = dict[str, dict[int, Value]]
Drawn = tuple[ChangeKind, tuple[str, int], list[CellChange], Condition]


class StandingClock:
    def __init__(self) -> None:
        self.ms = NOON_MS

    def now_us(self) -> int:
        return self.ms * 1_000


@dataclass
class ModelRow:
    columns: Columns
    written_ms: int


@dataclass
class Model:
    """Rows as dicts; every rule spelt out once more, plainly."""

    rows: dict[tuple[str, int], ModelRow] = field(default_factory=dict)
    log: list[tuple[ChangeKind, tuple[str, int]]] = field(default_factory=list)
    ttl_s: int = -1
    max_versions: int = 1

    def live(self, key: tuple[str, int], now_ms: int) -> Columns | None:
        row = self.rows.get(key)
        if row is None:
            return None
        oldest_ms = -1 if self.ttl_s < 0 else now_ms - self.ttl_s * 1_000
        if not row.columns:
            return {} if row.written_ms >= oldest_ms else None
        columns = {}
        for name, versions in row.columns.items():
            fresh = {ms: value for ms, value in versions.items() if ms >= oldest_ms}
            if fresh:
                columns[name] = {ms: fresh[ms] for ms in sorted(fresh)[-self.max_versions :]}
        return columns or None

    def apply(self, drawn: Drawn, now_ms: int) -> None:
        kind, key, changes, condition = drawn
        columns = self.live(key, now_ms)
        self.check(condition, columns)
        if kind is ChangeKind.DELETE:
            self.rows.pop(key, None)
            self.log.append((kind, key))
            return
        deletes = (CellOperation.DELETE_ALL, CellOperation.DELETE_ONE)
        if kind is ChangeKind.UPDATE and columns is None and all(change[3] in deletes for change in changes):
            return
        new: Columns = {} if kind is ChangeKind.PUT else {name: dict(v) for name, v in (columns or {}).items()}
        for name, value, offset_ms, operation in changes:
            versions = new.setdefault(name, {})
            if operation == CellOperation.DELETE_ALL:
                versions.clear()
            elif operation == CellOperation.DELETE_ONE:
                assert offset_ms is not None
                versions.pop(now_ms + offset_ms, None)
            elif operation == CellOperation.PUT:
                assert value is not None
                newest_ms = max([now_ms, *(versions if kind is ChangeKind.UPDATE else ())])
                versions[newest_ms if offset_ms is None else now_ms + offset_ms] = value
            else:
                old = versions[max(versions)] if versions else 0
                if not isinstance(old, int):
                    raise ParameterInvalid("not a number")
                assert isinstance(value, int)
                versions[max([now_ms, *versions])] = old + value
        trimmed = {n: {ms: v[ms] for ms in sorted(v)[-self.max_versions :]} for n, v in new.items() if v}
        self.rows[key] = ModelRow(trimmed, now_ms)
        self.log.append((kind, key))

    def check(self, condition: Condition, columns: Columns | None) -> None:
        wanted = {RowExistence.EXPECT_EXIST: True, RowExistence.EXPECT_NOT_EXIST: False}.get(condition.existence)
        if wanted is not None and wanted != (columns is not None):
            raise ConditionCheckFail
        if isinstance(condition.columns, SingleColumn):
            versions = (columns or {}).get(condition.columns.column)
            holds = (
                versions[max(versions)] == condition.columns.value if versions else condition.columns.pass_if_missing
            )
            if not holds:
                raise ConditionCheckFail

    def row(self, key: tuple[str, int], now_ms: int, max_versions: int) -> Row | None:
        columns = self.live(key, now_ms)
        if columns is None:
            return None
        cells: list[Cell] = [
            (name, versions[ms], ms)
            for name, versions in sorted(columns.items())
            for ms in sorted(versions, reverse=True)[:max_versions]
        ]
        return Row(key_of(key), cells)


class TablesAgree(RuleBasedStateMachine):
    """One table and its model, changed and read alike."""

    def open_store(self) -> KeyValueStore:
        return MemoryStore()

    def reopen_store(self) -> KeyValueStore:
        return self.store

    @initialize(ttl=st.booleans(), max_versions=st.integers(1, 3))
    def start(self, ttl: bool, max_versions: int) -> None:
        self.clock = StandingClock()
        self.store = self.open_store()
        self.space = TableSpace(self.store, self.clock)
        self.tables = self.space.instance("default")
        self.model = Model(ttl_s=DAY_S if ttl else -1, max_versions=max_versions)
        key = (KeyColumn("p", ColumnType.STRING), KeyColumn("k", ColumnType.INTEGER))
        options = TableOptions(self.model.ttl_s, max_versions, max_deviation_s=DAY_S)
        self.table_id = self.tables.create(TableSchema("t", key, options=options)).table_id

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()

    def change(self, drawn: Drawn) -> RowChange:
        kind, key, changes, condition = drawn
        stamped: list[CellChange] = [
            (name, value, None if offset_ms is None else self.clock.ms + offset_ms, operation)
            for name, value, offset_ms, operation in changes
        ]
        return RowChange(kind, key_of(key), stamped, condition)

    def expect(self, drawn: Drawn) -> type[LutraError] | None:
        try:
            self.model.apply(drawn, self.clock.ms)
        except LutraError as error:
            return type(error)
        return None

    @rule(drawn=CHANGES)
    def write(self, drawn: Drawn) -> None:
        expected = self.expect(drawn)
        if expected is None:
            self.tables.write("t", self.change(drawn))
        else:
            with pytest.raises(expected):
                self.tables.write("t", self.change(drawn))

    @rule(drawn=st.lists(CHANGES, min_size=1, max_size=6))
    def write_batch(self, drawn: list[Drawn]) -> None:
        changes = [self.change(one) for one in drawn]
        counts = Counter(key for _, key, _, _ in drawn)
        if any(counts[key] > 1 and condition != Condition() for _, key, _, condition in drawn):
            with pytest.raises(ParameterInvalid, match="Repeated rows"):
                self.tables.write_batch([("t", changes)])
            return
        expected = [self.expect(one) for one in drawn]
        (results,) = self.tables.write_batch([("t", changes)])
        assert [type(one) if isinstance(one, LutraError) else None for one in results] == expected

    @rule(key=KEYS, max_versions=st.integers(1, 4))
    def read(self, key: tuple[str, int], max_versions: int) -> None:
        found = self.tables.read("t", key_of(key), ReadOptions(max_versions=max_versions)).row
        assert found == self.model.row(key, self.clock.ms, max_versions)

    @rule(keys=st.lists(KEYS, max_size=5))
    def read_batch(self, keys: list[tuple[str, int]]) -> None:
        expected = [self.model.row(key, self.clock.ms, 9) for key in keys]
        (results,) = self.tables.read_batch([("t", [key_of(key) for key in keys], ReadOptions(max_versions=9))])
        assert [one.row for one in results] == expected  # type: ignore[union-attr]
        whole = [
            row if row is None or row.cells else replace(row, written_ms=self.model.rows[key].written_ms)
            for row, key in zip(expected, keys, strict=True)
        ]
        assert self.tables.read_rows(self.table_id, [key_of(key) for key in keys]) == whole

    @rule(low=KEYS, high=KEYS, limit=st.one_of(st.none(), st.integers(1, 3)), backward=st.booleans())
    @precondition(lambda self: self.model.rows)
    def read_range(self, low: tuple[str, int], high: tuple[str, int], limit: int | None, backward: bool) -> None:
        low, high = min(low, high), max(low, high)
        if low == high:
            return
        start, end = (high, low) if backward else (low, high)
        inside = [key for key in self.model.rows if (low < key <= high if backward else low <= key < high)]
        expected = [self.model.row(key, self.clock.ms, 1) for key in sorted(inside, reverse=backward)]
        rows: list[Row] = []
        next_start: KeyInput | None = key_of(start)
        while next_start is not None:
            page = self.tables.read_range("t", RangeRequest(next_start, key_of(end), backward, limit))
            assert limit is None or len(page.rows) <= limit
            rows += page.rows
            next_start = page.next_start
        assert rows == [row for row in expected if row is not None]

    @rule(seconds=st.sampled_from([0.001, 1, 3_600, DAY_S / 2, DAY_S + 1]))
    def wait(self, seconds: float) -> None:
        self.clock.ms += int(seconds * 1_000)

    @rule(ttl=st.booleans(), max_versions=st.integers(1, 3))
    def change_options(self, ttl: bool, max_versions: int) -> None:
        self.model.ttl_s = DAY_S if ttl else -1
        self.model.max_versions = max_versions
        self.tables.update("t", TableUpdate(ttl_s=self.model.ttl_s, max_versions=max_versions))

    @rule()
    def reopen(self) -> None:
        before = self.space.changelog.last_sequence
        self.store = self.reopen_store()
        self.space = TableSpace(self.store, self.clock)
        self.tables = self.space.instance("default")
        assert self.space.changelog.last_sequence == before

    @invariant()
    def every_live_row_is_there(self) -> None:
        if not hasattr(self, "tables"):
            return
        everything = RangeRequest(
            (("p", INF_MIN), ("k", INF_MIN)), (("p", INF_MAX), ("k", INF_MAX)), options=ReadOptions(max_versions=9)
        )
        expected = [self.model.row(key, self.clock.ms, 9) for key in sorted(self.model.rows)]
        assert self.tables.read_range("t", everything).rows == [row for row in expected if row is not None]

    @invariant()
    def every_change_is_logged_in_order(self) -> None:
        if not hasattr(self, "tables"):
            return
        logged = self.space.changelog.read(self.table_id, 0, 10_000)
        assert [(change.kind, change.key) for change in logged] == [(kind, key_of(key)) for kind, key in self.model.log]
        assert [change.sequence for change in logged] == list(range(1, len(logged) + 1))


class RocksTablesAgree(OnDisk, TablesAgree):
    """The same on disk, opened again and again."""


class SlateTablesAgree(RocksTablesAgree):
    """The same on an object store."""

    kind = "slatedb"


def key_of(key: tuple[str, int]) -> PrimaryKey:
    return (("p", key[0]), ("k", key[1]))


class TestMemory(TablesAgree.TestCase):  # type: ignore[name-defined, misc]
    settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


class TestRocks(RocksTablesAgree.TestCase):  # type: ignore[name-defined, misc]
    settings = settings(max_examples=6, stateful_step_count=15, deadline=None)


@pytest.mark.slow
class TestMemoryAtLength(TablesAgree.TestCase):  # type: ignore[name-defined, misc]
    settings = settings(max_examples=600, stateful_step_count=40, deadline=None)


@pytest.mark.slow
class TestSlateAtLength(SlateTablesAgree.TestCase):  # type: ignore[name-defined, misc]
    settings = settings(max_examples=12, stateful_step_count=40, deadline=None)
