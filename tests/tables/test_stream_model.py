"""A stream against a plain model: each change once, in order, with what was done, whatever was reopened or trimmed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from support.on_disk import OnDisk

from lutra.kv.memory import MemoryStore
from lutra.kv.store import KeyValueStore
from lutra.model.errors import LutraError, ObjectNotExist, TrimmedDataAccess
from lutra.model.rows import Cell, CellChange, CellOperation, ChangeKind, Condition, RowChange, RowExistence
from lutra.model.schema import KeyColumn, StreamSpec, TableOptions, TableSchema, TableUpdate
from lutra.model.streams import StreamIterator, StreamPlace, StreamRecord
from lutra.model.values import ColumnType, Value
from lutra.tables.space import TableSpace

HOUR_MS = 3_600_000
MAX_VERSIONS = 2
KEYS = st.integers(0, 1)
COLUMNS = st.sampled_from(["a", "n"])
OFFSETS = st.sampled_from([None, None, -2_000, -1, 0, 1, 5_000])
PUTS = st.tuples(COLUMNS, st.integers(0, 3), OFFSETS, st.just(CellOperation.PUT))
UPDATES = st.one_of(
    PUTS,
    st.tuples(st.just("n"), st.integers(-2, 2), st.none(), st.just(CellOperation.INCREMENT)),
    st.tuples(COLUMNS, st.none(), st.none(), st.just(CellOperation.DELETE_ALL)),
    st.tuples(COLUMNS, st.none(), st.sampled_from([-1, 0, 1]), st.just(CellOperation.DELETE_ONE)),
)
CHANGES = st.one_of(
    st.tuples(st.just(ChangeKind.PUT), KEYS, st.lists(PUTS, max_size=3)),
    st.tuples(st.just(ChangeKind.UPDATE), KEYS, st.lists(UPDATES, min_size=1, max_size=3)),
    st.tuples(st.just(ChangeKind.DELETE), KEYS, st.just([])),
)
SPECS = st.builds(StreamSpec, st.sampled_from([1, 24]), st.sampled_from([(), ("a",), ("n", "none")]))
Columns = dict[str, dict[int, Value]]
Drawn = tuple[ChangeKind, int, list[CellChange]]


class Told(NamedTuple):
    kind: ChangeKind
    key: int
    cells: list[CellChange]
    original: list[Cell] | None


@dataclass
class Clock:
    ms: int = 1_700_000_000_000

    def now_us(self) -> int:
        return self.ms * 1_000


class StreamAgrees(RuleBasedStateMachine):
    """A table of which a stream is read while it is changed, and what the stream is to tell."""

    def open_store(self) -> KeyValueStore:
        return MemoryStore()

    def reopen_store(self) -> KeyValueStore:
        return self.store

    @initialize(spec=st.one_of(SPECS, SPECS, st.none()))
    def start(self, spec: StreamSpec | None) -> None:
        self.clock, self.store = Clock(), self.open_store()
        self.rows: dict[int, Columns] = {}
        self.spec = spec
        self.told: list[Told] = []
        """By the stream as it is, from its beginning on."""
        self.read: list[StreamRecord] = []
        """Those that the reader got; it began at the beginning, or where what it was to read had gone."""
        self.read_from = 0
        self.reader: StreamIterator | None = None
        self.open()
        options = TableOptions(max_versions=MAX_VERSIONS)
        self.tables.create(TableSchema("t", (KeyColumn("k", ColumnType.INTEGER),), options=options, stream=spec))

    def open(self) -> None:
        self.space = TableSpace(self.store, self.clock)
        self.tables, self.streams = self.space.instance("default"), self.space.streams

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()

    # --- changes ----------------------------------------------------------------------------------------------------

    def model(self, drawn: Drawn) -> tuple[Columns | None, Told] | None:
        """The row after a change and what the stream is to tell of it; None where nothing happens."""
        kind, key, changes = drawn
        old, now_ms = self.rows.get(key), self.clock.ms
        deletes = (CellOperation.DELETE_ALL, CellOperation.DELETE_ONE)
        if kind is ChangeKind.UPDATE and old is None and all(change[3] in deletes for change in changes):
            return None
        new: Columns = {name: dict(versions) for name, versions in (old or {}).items()}
        if kind is ChangeKind.PUT:
            new = {}
        done: list[CellChange] = []
        for name, value, offset_ms, operation in changes:
            versions = new.setdefault(name, {})
            at_ms = None if offset_ms is None else now_ms + offset_ms
            if operation == CellOperation.DELETE_ALL:
                versions.clear()
            elif operation == CellOperation.DELETE_ONE:
                assert at_ms is not None
                versions.pop(at_ms, None)
            else:
                if operation == CellOperation.INCREMENT:
                    last = versions[max(versions)] if versions else 0
                    assert isinstance(last, int)
                    assert isinstance(value, int)
                    value += last
                if at_ms is None:
                    at_ms = max([now_ms, *(versions if kind is ChangeKind.UPDATE else ())])
                assert value is not None
                versions[at_ms] = value
                operation = CellOperation.PUT
            done.append((name, value, at_ms, operation))
        kept = {n: {ms: v[ms] for ms in sorted(v)[-MAX_VERSIONS:]} for n, v in new.items() if v}
        if kind is ChangeKind.PUT:  # which versions of a column it puts is what the row has then
            done = [(n, v[ms], ms, CellOperation.PUT) for n, v in sorted(kept.items()) for ms in sorted(v)[::-1]]
        names = self.spec.original_columns if self.spec is not None else ()
        original = None
        if names and old is not None:
            original = [(name, old[name][max(old[name])], max(old[name])) for name in sorted(names) if name in old]
        return (None if kind is ChangeKind.DELETE else kept), Told(kind, key, done, original)

    def expect(self, drawn: Drawn) -> RowChange:
        """The change as it is asked for; the model has made it."""
        kind, key, changes = drawn
        now_ms = self.clock.ms
        stamped: list[CellChange] = [(n, v, None if at is None else now_ms + at, o) for n, v, at, o in changes]
        outcome = self.model(drawn)
        if outcome is not None:
            row, told = outcome
            self.rows.pop(key, None)
            if row is not None:
                self.rows[key] = row
            if self.spec is not None:
                self.told.append(told)
        return RowChange(kind, (("k", key),), stamped)

    @rule(drawn=CHANGES)
    def write(self, drawn: Drawn) -> None:
        self.tables.write("t", self.expect(drawn))

    @rule(drawn=st.lists(CHANGES, min_size=1, max_size=5), refused=st.integers(0, 5))
    def write_batch(self, drawn: list[Drawn], refused: int) -> None:
        """One of them, perhaps, is refused by its condition, and leaves no trace."""
        changes = [self.expect(one) for one in drawn]
        impossible = Condition(RowExistence.EXPECT_EXIST)
        changes.insert(refused, RowChange(ChangeKind.DELETE, (("k", 99),), condition=impossible))
        (results,) = self.tables.write_batch([("t", changes)])
        assert [isinstance(one, LutraError) for one in results].count(True) == 1

    # --- the stream -------------------------------------------------------------------------------------------------

    def stream_id(self) -> str:
        (stream,) = self.streams.of_tables("default", "t")
        return stream.stream_id

    def begin(self, since_us: int | None = None) -> StreamIterator:
        stream = self.streams.describe("default", self.stream_id())
        assert stream.spec == self.spec
        return self.streams.iterator("default", stream.stream_id, stream.shards[0].id, since_us)

    def all_from(self, at: StreamIterator, limit: int) -> list[StreamRecord]:
        found: list[StreamRecord] = []
        while True:
            page = self.streams.read("default", at, limit, 10**6)
            assert len(page.records) <= limit
            found += page.records
            if not page.has_more:
                return found
            assert page.records
            at = page.next

    def told_of(self, record: StreamRecord) -> Told:
        ((_, key),) = record.key
        assert isinstance(key, int)
        return Told(record.kind, key, record.cells, record.original)

    @rule(limit=st.integers(1, 4))
    @precondition(lambda self: self.spec is not None)
    def read_on(self, limit: int) -> None:
        """A reader goes on from where it was, and gets what comes next, or is told that it has gone."""
        at = self.reader or self.begin()
        try:
            page = self.streams.read("default", at, limit, 10**6)
        except TrimmedDataAccess:
            left = self.all_from(self.begin(), 100)
            assert len(self.told) - len(left) > self.read_from + len(self.read), "it had lost nothing"
            self.reader, self.read, self.read_from = None, [], len(self.told) - len(left)
            return
        if self.reader is None and not self.read:
            self.read_from = len(self.told) - len(self.all_from(at, 100))
        self.read += page.records
        self.reader = page.next
        if not page.records:
            assert page.next == at, "a reader that is at the end stays where it is"
        got = [self.told_of(record) for record in self.read]
        assert got == self.told[self.read_from : self.read_from + len(got)]
        assert page.has_more is (self.read_from + len(got) < len(self.told))

    @rule()
    @precondition(lambda self: self.spec is not None)
    def trim(self) -> None:
        assert self.spec is not None
        before = self.all_from(self.begin(), 100)
        self.streams.trim()
        after = self.all_from(self.begin(), 100)
        gone = before[: len(before) - len(after)]
        assert after == before[len(gone) :]
        life_us, now_us = self.spec.expiration_h * HOUR_MS * 1_000, self.clock.now_us()
        assert all(record.place.time_us < now_us - life_us for record in gone)
        slack_us = life_us // 24 + 60_000_000  # the clock may have been set back a little, too
        assert all(record.place.time_us > now_us - life_us - slack_us for record in after)

    @rule(hours=st.sampled_from([0.0, 0.5, 1.1, 25.0]))
    def wait(self, hours: float) -> None:
        self.clock.ms += 1 + int(hours * HOUR_MS)

    @rule()
    def set_the_clock_back(self) -> None:
        self.clock.ms -= 3_000

    @rule(ago_ms=st.sampled_from([0, 1, 1_000, 2 * HOUR_MS]))
    @precondition(lambda self: self.spec is not None)
    def read_since(self, ago_ms: int) -> None:
        since_us = self.clock.now_us() - ago_ms * 1_000
        everything = self.all_from(self.begin(), 100)
        assert self.all_from(self.begin(since_us), 3) == [one for one in everything if one.place.time_us >= since_us]

    @rule(spec=st.one_of(SPECS, SPECS, st.none()))
    def change_stream(self, spec: StreamSpec | None) -> None:
        """Another specification changes what comes; off and on again is another stream."""
        if spec == self.spec:
            return
        old_id, at = (self.stream_id(), self.begin()) if self.spec is not None else ("", None)
        self.tables.update("t", TableUpdate(stream=spec or False))
        is_same = self.spec is not None and spec is not None
        self.spec = spec
        if is_same:
            assert self.stream_id() == old_id
            return
        self.told, self.read, self.read_from, self.reader = [], [], 0, None
        assert (self.tables.describe("t").schema.stream, len(self.streams.of_tables("default"))) == (spec, bool(spec))
        if at is not None:
            with pytest.raises(TrimmedDataAccess):
                self.streams.read("default", at, 1, 1)
            with pytest.raises(ObjectNotExist, match="Requested stream does not exist"):
                self.streams.describe("default", old_id)

    @rule()
    def reopen(self) -> None:
        self.store = self.reopen_store()
        self.open()

    @invariant()
    def what_is_there_is_the_end_of_what_was_done(self) -> None:
        if not hasattr(self, "spec") or self.spec is None:
            return
        found = self.all_from(self.begin(), 100)
        assert [self.told_of(record) for record in found] == self.told[len(self.told) - len(found) :]
        places = [record.place for record in found]
        assert places == sorted(set(places)), "places rise, whatever the clock does"
        assert all(StreamPlace(0, 0) < place for place in places)


class RocksStreamAgrees(OnDisk, StreamAgrees):
    """The same on disk, opened again and again."""


class SlateStreamAgrees(RocksStreamAgrees):
    """The same on an object store."""

    kind = "slatedb"


class TestMemory(StreamAgrees.TestCase):  # type: ignore[name-defined, misc]
    settings = settings(max_examples=100, stateful_step_count=30, deadline=None)


class TestRocks(RocksStreamAgrees.TestCase):  # type: ignore[name-defined, misc]
    settings = settings(max_examples=3, stateful_step_count=20, deadline=None)


@pytest.mark.slow
class TestMemoryAtLength(StreamAgrees.TestCase):  # type: ignore[name-defined, misc]
    settings = settings(max_examples=800, stateful_step_count=50, deadline=None)


@pytest.mark.slow
class TestRocksAtLength(RocksStreamAgrees.TestCase):  # type: ignore[name-defined, misc]
    settings = settings(max_examples=60, stateful_step_count=50, deadline=None)


@pytest.mark.slow
class TestSlateAtLength(SlateStreamAgrees.TestCase):  # type: ignore[name-defined, misc]
    settings = settings(max_examples=12, stateful_step_count=50, deadline=None)
