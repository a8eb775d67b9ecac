"""What a stream tells of changes, where reading begins and ends, and what is left where it ends."""

from __future__ import annotations

import json
import threading

import pytest

from lutra.kv.batch import WriteBatch
from lutra.kv.memory import MemoryStore
from lutra.kv.store import KeyValueStore, prefix_end
from lutra.model.errors import (
    ConditionCheckFail,
    Corruption,
    ObjectNotExist,
    ParameterInvalid,
    StorageFailure,
    TrimmedDataAccess,
)
from lutra.model.rows import (
    Cell,
    CellChange,
    CellOperation,
    ChangeKind,
    Condition,
    RangeRequest,
    ReadOptions,
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
from lutra.model.streams import StreamIterator, StreamPlace, StreamRecord
from lutra.model.values import AUTO_INCREMENT, INF_MAX, INF_MIN, ColumnType
from lutra.tables import keyspace
from lutra.tables.space import TableSpace
from lutra.tables.tables import Tables

DAY = StreamSpec(24)
HOUR_S = 3_600
KEY = (KeyColumn("k", ColumnType.INTEGER),)
PUT, DELETE_ALL, DELETE_ONE, INCREMENT = CellOperation.PUT, CellOperation.DELETE_ALL, CellOperation.DELETE_ONE, 4


def make(tables: Tables, name: str = "t", spec: StreamSpec | None = DAY, **options: int) -> int:
    return tables.create(TableSchema(name, KEY, options=TableOptions(**options), stream=spec)).table_id


def put(tables: Tables, key: int, name: str = "t", **columns: int | str) -> None:
    cells: list[CellChange] = [(column, value, None, PUT) for column, value in columns.items()]
    tables.write(name, RowChange(ChangeKind.PUT, (("k", key),), cells))


def update(tables: Tables, key: int, *cells: CellChange) -> None:
    tables.write("t", RowChange(ChangeKind.UPDATE, (("k", key),), list(cells)))


def begin(space: TableSpace, name: str = "t", since_us: int | None = None) -> StreamIterator:
    (stream,) = space.streams.of_tables("default", name)
    return space.streams.iterator("default", stream.stream_id, stream.shards[0].id, since_us)


def records(space: TableSpace, name: str = "t", at: StreamIterator | None = None) -> list[StreamRecord]:
    page = space.streams.read("default", at or begin(space, name), 10_000, 2**40)
    assert not page.has_more
    return page.records


def stored(store: KeyValueStore) -> int:
    return sum(1 for _ in store.scan(b"s", b"t"))


def test_each_kind_of_change_is_told_as_it_was_done(space: TableSpace, tables: Tables, clock) -> None:
    make(tables, max_versions=3)
    put(tables, 1, b="x", a=1)
    clock.advance_s(1)
    update(
        tables,
        1,
        ("n", 5, None, INCREMENT),
        ("n", 2, None, INCREMENT),
        ("a", 7, clock.ms + 1_000, PUT),
        ("a", 8, None, PUT),  # at the time of the version in the future, which it replaces
        ("b", None, None, DELETE_ALL),
        ("a", None, clock.ms - 1_000, DELETE_ONE),
    )
    tables.write("t", RowChange(ChangeKind.DELETE, (("k", 1),)))
    first, second, third = records(space)
    assert (first.kind, first.key, first.original) == (ChangeKind.PUT, (("k", 1),), None)
    assert first.cells == [("a", 1, clock.ms - 1_000, PUT), ("b", "x", clock.ms - 1_000, PUT)]
    assert (second.kind, second.cells) == (
        ChangeKind.UPDATE,
        [
            ("n", 5, clock.ms, PUT),
            ("n", 7, clock.ms, PUT),
            ("a", 7, clock.ms + 1_000, PUT),
            ("a", 8, clock.ms + 1_000, PUT),
            ("b", None, None, DELETE_ALL),
            ("a", None, clock.ms - 1_000, DELETE_ONE),
        ],
    )
    assert (third.kind, third.cells) == (ChangeKind.DELETE, [])
    assert [one.place.index for one in (first, second, third)] == [0, 0, 0]
    assert first.place.time_us == clock.us - 1_000_000
    assert second.place.time_us == clock.us
    assert third.place.time_us == clock.us + 1, "the clock stood still; time in a stream does not"


def test_what_the_row_had_before_is_told_where_that_is_asked_for(space: TableSpace, tables: Tables, clock) -> None:
    make(tables, spec=StreamSpec(24, ("b", "a")), max_versions=2)
    put(tables, 1, a=1, c=1)
    put(tables, 1, a=2)
    update(tables, 1, ("a", 3, None, PUT), ("b", 1, None, PUT))
    tables.write("t", RowChange(ChangeKind.DELETE, (("k", 1),)))
    tables.write("t", RowChange(ChangeKind.DELETE, (("k", 1),)))
    before: list[list[Cell] | None] = [record.original for record in records(space)]
    ms = clock.ms
    assert before == [None, [("a", 1, ms)], [("a", 2, ms)], [("a", 3, ms), ("b", 1, ms)], None]


def test_what_changes_nothing_is_not_told(space: TableSpace, tables: Tables, clock) -> None:
    table_id = make(tables, ttl_s=86_400)
    with pytest.raises(ConditionCheckFail):
        tables.write("t", RowChange(ChangeKind.PUT, (("k", 1),), [], Condition(RowExistence.EXPECT_EXIST)))
    update(tables, 1, ("a", None, None, DELETE_ALL))
    put(tables, 2, a=1)
    clock.advance_s(86_500)  # the row expires: nobody wrote
    tables.aged(table_id, [(("k", 2),)])
    assert [record.key for record in records(space)] == [(("k", 2),)]


def test_a_batch_is_told_row_by_row_in_its_order(space: TableSpace, tables: Tables) -> None:
    make(tables)
    make(tables, "other")
    make(tables, "silent", None)
    changes = [RowChange(ChangeKind.PUT, (("k", key),), []) for key in (3, 1, 3, 2)]
    tables.write_batch([("t", changes), ("silent", changes), ("other", changes[:1])])
    found = records(space)
    assert [record.key[0][1] for record in found] == [3, 1, 3, 2]
    assert [record.place.index for record in found] == [0, 1, 2, 3]
    (alone,) = records(space, "other")
    assert alone.place == StreamPlace(found[0].place.time_us, 0)


def test_a_transaction_is_told_when_it_is_committed(space: TableSpace, tables: Tables, clock) -> None:
    key = (KeyColumn("p", ColumnType.STRING), KeyColumn("k", ColumnType.INTEGER))
    tables.create(TableSchema("t", key, stream=StreamSpec(24, ("n",))))

    def change(number: int, *cells: CellChange, kind: ChangeKind = ChangeKind.UPDATE) -> RowChange:
        return RowChange(kind, (("p", "x"), ("k", number)), list(cells))

    aborted = tables.start_transaction("t", (("p", "x"),))
    tables.write("t", change(1, ("n", 1, None, PUT)), transaction=aborted)
    tables.abort_transaction(aborted)
    begun = tables.start_transaction("t", (("p", "x"),))
    tables.write("t", change(1, ("n", 5, None, PUT)), transaction=begun)
    clock.advance_s(10)
    tables.write("t", RowChange(ChangeKind.PUT, (("p", "y"), ("k", 9)), []))
    tables.write_batch(
        [("t", [change(2, ("n", None, None, DELETE_ALL)), change(3, kind=ChangeKind.PUT)])], transaction=begun
    )
    tables.write("t", change(1, ("n", 2, None, INCREMENT)), transaction=begun)
    assert [record.key[1][1] for record in records(space)] == [9]
    tables.commit_transaction(begun)
    _, *found = records(space)
    assert [record.key[1][1] for record in found] == [1, 3, 1], "an update that only deletes makes no row"
    assert [record.place for record in found] == [StreamPlace(clock.us + 1, index) for index in range(3)]
    assert [record.original for record in found] == [None, None, [("n", 5, clock.ms - 10_000)]]
    assert found[2].cells == [("n", 7, clock.ms, PUT)]


def test_rows_that_are_updated_as_a_whole_are_told_with_their_one_time(
    space: TableSpace, tables: Tables, clock
) -> None:
    tables.create(TableSchema("t", KEY, options=TableOptions(update_full_row=True), stream=DAY))
    put(tables, 1, a=1, b=2)
    later_ms = clock.ms
    clock.us -= 5_000_000
    update(tables, 1, ("c", 3, None, PUT), ("a", None, None, DELETE_ALL))
    assert records(space)[1].cells == [("c", 3, later_ms, PUT), ("a", None, None, DELETE_ALL)]
    row = tables.read("t", (("k", 1),), ReadOptions()).row
    assert row is not None
    assert row.cells == [("b", 2, later_ms), ("c", 3, later_ms)]


def test_a_key_that_numbers_itself_is_told_with_its_number(space: TableSpace, tables: Tables) -> None:
    key = (KeyColumn("p", ColumnType.STRING), KeyColumn("i", ColumnType.INTEGER, auto_increment=True))
    tables.create(TableSchema("t", key, stream=DAY))
    for _ in range(2):
        tables.write("t", RowChange(ChangeKind.PUT, (("p", "x"), ("i", AUTO_INCREMENT)), []))
    assert [record.key for record in records(space)] == [(("p", "x"), ("i", 1)), (("p", "x"), ("i", 2))]


def test_pages_end_by_number_and_by_size(space: TableSpace, tables: Tables) -> None:
    make(tables)
    for key in range(10):
        put(tables, key, a="x" * 1_000)
    at, keys, pages = begin(space), [], []
    while True:
        page = space.streams.read("default", at, 4, 3_500)
        keys += [record.key[0][1] for record in page.records]
        pages.append(len(page.records))
        assert page.size_bytes <= 3_500
        at = page.next
        if not page.has_more:
            break
    assert keys == list(range(10))
    assert pages == [3, 3, 3, 1]
    assert len(space.streams.read("default", begin(space), 4, 10).records) == 1, "one that is larger comes alone"
    assert space.streams.read("default", at, 4, 10).next == at


def test_reading_begins_where_it_is_asked_to(space: TableSpace, tables: Tables, clock) -> None:
    make(tables)
    for key in range(4):
        put(tables, key)
        clock.advance_s(10)
    since_us = clock.us - 25_000_000
    assert [record.key[0][1] for record in records(space, at=begin(space, since_us=since_us))] == [2, 3]
    assert len(records(space, at=begin(space, since_us=0))) == 4
    assert records(space, at=begin(space, since_us=clock.us)) == []
    for wrong in (-1, 2**63):
        with pytest.raises(ParameterInvalid, match="Invalid timestamp"):
            begin(space, since_us=wrong)


def test_what_expired_is_gone_from_the_store_and_said_to_be(
    store: KeyValueStore, space: TableSpace, tables: Tables, clock
) -> None:
    make(tables, spec=StreamSpec(1))
    make(tables, "longer", StreamSpec(168))
    for key in range(3):
        put(tables, key)
        put(tables, key, "longer")
    reader, waiting = begin(space), space.streams.read("default", begin(space), 10, 10**6).next
    clock.advance_s(HOUR_S / 2)
    space.streams.trim()
    assert len(records(space, at=reader)) == 3
    clock.advance_s(HOUR_S)
    put(tables, 4)
    space.streams.trim()
    assert stored(store) == 3 + 1 + 1, "of the other table, the newest, and where it begins"
    with pytest.raises(TrimmedDataAccess, match=r"^Requested stream data is already trimmed or does not exist\.$"):
        space.streams.read("default", reader, 10, 10**6)
    assert [record.key[0][1] for record in records(space, at=waiting)] == [4], "who had all of it lost nothing"
    assert [record.key[0][1] for record in records(space)] == [4]
    assert len(records(space, "longer")) == 3
    again = TableSpace(store, clock)
    with pytest.raises(TrimmedDataAccess):
        again.streams.read("default", reader, 10, 10**6)


def test_a_shorter_life_is_looked_at_at_once(store: KeyValueStore, space: TableSpace, tables: Tables, clock) -> None:
    make(tables)
    put(tables, 1)
    clock.advance_s(2 * HOUR_S)
    space.streams.trim()
    assert stored(store) == 1
    tables.update("t", TableUpdate(stream=StreamSpec(1)))
    space.streams.trim()
    assert records(space) == []


def test_a_stream_that_is_disabled_leaves_nothing_and_comes_back_as_another(
    store: KeyValueStore, space: TableSpace, tables: Tables, clock
) -> None:
    make(tables)
    put(tables, 1)
    old, (stream,) = begin(space), space.streams.of_tables("default")
    assert stream.stream_id == f"t_{clock.us}"
    tables.update("t", TableUpdate(stream=False))
    put(tables, 2)
    assert stored(store) == 0
    assert space.streams.of_tables("default", "t") == []
    tables.update("t", TableUpdate(stream=False))
    clock.us -= 5_000_000
    tables.update("t", TableUpdate(stream=DAY))
    put(tables, 3)
    (second,) = space.streams.of_tables("default")
    assert second.created_us == stream.created_us + 1, "another, though the clock was set back"
    assert [record.key[0][1] for record in records(space)] == [3]
    with pytest.raises(TrimmedDataAccess):
        space.streams.read("default", old, 10, 10**6)
    with pytest.raises(ObjectNotExist, match=r"^Requested stream does not exist\.$"):
        space.streams.describe("default", stream.stream_id)


def test_a_table_takes_its_streams_with_it(store: KeyValueStore, space: TableSpace, tables: Tables) -> None:
    make(tables)
    make(tables, "other")
    put(tables, 1)
    put(tables, 1, "other")
    at = begin(space)
    tables.delete("t")
    assert stored(store) == 1
    with pytest.raises(TrimmedDataAccess):
        space.streams.read("default", at, 10, 10**6)
    with pytest.raises(ObjectNotExist):
        space.streams.of_tables("default", "t")
    make(tables)
    assert records(space) == []


def test_what_writers_leave_in_a_disabled_stream_is_found(
    store: KeyValueStore, space: TableSpace, tables: Tables, clock
) -> None:
    table_id = make(tables)
    (stream,) = space.streams.of_tables("default")
    put(tables, 1)
    (record,) = store.scan(b"s", b"t")
    tables.update("t", TableUpdate(stream=False))
    tables.update("t", TableUpdate(stream=DAY))
    put(tables, 2)
    batch = WriteBatch()
    batch.put(*record)  # as one that was under way when it was disabled
    gone = keyspace.stream_prefix(table_id + 7, 1)
    batch.put(gone + bytes(12), b"x")
    store.commit(batch)
    assert stored(store) == 3
    space.streams.trim()
    assert [key for key, _ in store.scan(b"s", b"t") if key.startswith(keyspace.stream_prefix(table_id, 1)[:9])]
    assert stored(store) == 1
    assert [one.key[0][1] for one in records(space)] == [2]
    assert stream.stream_id != space.streams.of_tables("default")[0].stream_id


def test_streams_are_of_one_instance(space: TableSpace, tables: Tables) -> None:
    make(tables)
    (stream,) = space.streams.of_tables("default")
    assert space.streams.of_tables("else") == []
    with pytest.raises(ObjectNotExist):
        space.streams.describe("else", stream.stream_id)
    with pytest.raises(TrimmedDataAccess):
        space.streams.read("else", begin(space), 10, 10)
    for wrong in ("", "t", "t_", "t_1", "_5", f"{stream.stream_id}0", "t_\u0661", "x" * 300 + "_1"):
        with pytest.raises(ObjectNotExist):
            space.streams.describe("default", wrong)
    with pytest.raises(ObjectNotExist, match="Requested shard does not exist: 'x'"):
        space.streams.iterator("default", stream.stream_id, "x")


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (StreamSpec(0), r"must be in range: \[1, 168\] hours, not 0"),
        (StreamSpec(169), "not 169"),
        (StreamSpec(24, ("k",)), "'k' among them"),
        (StreamSpec(24, ("a", "a")), "Duplicated column of a stream: 'a'"),
        (StreamSpec(24, ("",)), "Invalid column name"),
        (StreamSpec(24, tuple(f"c{i}" for i in range(33))), r"must be in range: \[0, 32\]"),
    ],
)
def test_what_no_stream_can_be_is_refused(tables: Tables, spec: StreamSpec, said: str) -> None:
    with pytest.raises(ParameterInvalid, match=said):
        make(tables, spec=spec)
    make(tables, spec=None)
    with pytest.raises(ParameterInvalid, match=said):
        tables.update("t", TableUpdate(stream=spec))
    assert tables.describe("t").schema.stream is None


def test_definitions_without_streams_stay_as_earlier_versions_read_them(
    store: KeyValueStore, space: TableSpace, tables: Tables, clock
) -> None:
    plain, streamed = make(tables, "plain", None), make(tables, "streamed", StreamSpec(5, ("a",)))
    definitions = [json.loads(store.get(keyspace.definition_key(one)) or b"") for one in (plain, streamed)]
    assert [one["format"] for one in definitions] == [1, 2]
    assert "stream" not in definitions[0]
    tables.update("streamed", TableUpdate(stream=False))
    again = TableSpace(store, clock).instance("default")
    assert again.describe("streamed") == tables.describe("streamed")
    assert again.describe("plain").stream_created_us == 0


def test_a_damaged_record_is_named(store: KeyValueStore, space: TableSpace, tables: Tables, clock) -> None:
    table_id = make(tables, spec=StreamSpec(24, ("a",)))
    put(tables, 1, a="text")
    put(tables, 1, a="text")
    prefix = keyspace.streams_prefix(table_id)
    second = list(store.scan(prefix, prefix_end(prefix)))[1]
    for at in (0, 1, 5, 12, 20, len(second[1]) - 1):
        batch = WriteBatch()
        damaged = bytearray(second[1])
        damaged[at] ^= 0x55
        batch.put(second[0], bytes(damaged))
        store.commit(batch)
        page = space.streams.read("default", begin(space), 10, 10**6)
        assert (len(page.records), page.has_more) == (1, True), "what is before it comes"
        with pytest.raises(Corruption, match=r"stream of table \[t\]: record \d+/0 is damaged"):
            space.streams.read("default", page.next, 10, 10**6)
        (told,) = space.streams.damaged("default", "t")
        assert str(told).startswith(f"record {keyspace.unpack(second[0][17:25])}/0 is damaged")


def test_a_damaged_row_can_be_written_anew_though_its_stream_asks_what_it_had(
    store: KeyValueStore, space: TableSpace, tables: Tables
) -> None:
    table_id = make(tables, spec=StreamSpec(24, ("a",)))
    put(tables, 1, a=1)
    ((stored_key, _),) = store.scan(keyspace.rows_prefix(table_id), prefix_end(keyspace.rows_prefix(table_id)))
    batch = WriteBatch()
    batch.put(stored_key, b"\x01\xff")
    store.commit(batch)
    put(tables, 1, a=2)
    assert [record.original for record in records(space)] == [None, None]
    put(tables, 1, a=3)
    assert [cell[:2] for cell in records(space)[-1].original or ()] == [("a", 2)]


def test_a_local_index_goes_with_a_stream(space: TableSpace, tables: Tables) -> None:
    key = (KeyColumn("p", ColumnType.STRING), KeyColumn("k", ColumnType.INTEGER))
    index = SecondaryIndex("by_n", ("p", "n"), (), IndexKind.LOCAL)
    defined = (DefinedColumn("n", ColumnType.INTEGER),)
    tables.create(TableSchema("t", key, defined, stream=DAY, indexes=(index,)))
    for number in (5, 7):
        cells: list[CellChange] = [("n", number, None, PUT)]
        tables.write("t", RowChange(ChangeKind.PUT, (("p", "x"), ("k", 1)), cells))
    assert [record.cells[0][1] for record in records(space)] == [5, 7]
    assert [record.key for record in records(space)] == [(("p", "x"), ("k", 1))] * 2, "of the table's rows alone"
    whole = RangeRequest(
        (("p", INF_MIN), ("n", INF_MIN), ("k", INF_MIN)), (("p", INF_MAX), ("n", INF_MAX), ("k", INF_MAX))
    )
    assert [row.key[1][1] for row in tables.read_range("by_n", whole).rows] == [7]


def test_times_go_on_rising_after_reopening(store: KeyValueStore, space: TableSpace, tables: Tables, clock) -> None:
    make(tables)
    put(tables, 1)
    clock.us -= 3_600_000_000
    space = TableSpace(store, clock)
    put(space.instance("default"), 2)
    first, second = records(space)
    assert second.place == StreamPlace(first.place.time_us + 1, 0)


def test_readers_beside_writers_see_each_change_once_and_in_order(space: TableSpace, tables: Tables) -> None:
    make(tables)
    stop, seen, failures = threading.Event(), [], []

    def read() -> None:
        try:
            at = begin(space)
            while not stop.is_set() or space.streams.read("default", at, 1, 1).records:
                page = space.streams.read("default", at, 7, 10**6)
                seen.extend(page.records)
                at = page.next
        except Exception as error:
            failures.append(error)

    def write(worker: int) -> None:
        for number in range(60):
            cells: list[CellChange] = [("n", number, None, PUT)]
            changes = [RowChange(ChangeKind.PUT, (("k", key),), cells) for key in (worker, 100)]
            tables.write_batch([("t", changes)])

    writers = [threading.Thread(target=write, args=(worker,)) for worker in range(4)]
    reader = threading.Thread(target=read)
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    reader.join()
    assert failures == []
    assert seen == records(space)
    for worker in range(4):
        assert [one.cells[0][1] for one in seen if one.key == (("k", worker),)] == list(range(60))
    assert len([one for one in seen if one.key == (("k", 100),)]) == 240


class FailingStore(MemoryStore):
    fails = False

    def commit(self, batch: WriteBatch) -> None:
        if self.fails:
            raise StorageFailure("No space left on device")
        super().commit(batch)


def test_what_could_not_be_committed_is_not_told(clock, caplog: pytest.LogCaptureFixture) -> None:
    store = FailingStore()
    space = TableSpace(store, clock)
    tables = space.instance("default")
    make(tables)
    put(tables, 1)
    store.fails = True
    with pytest.raises(StorageFailure):
        put(tables, 2)
    clock.advance_s(40 * HOUR_S)
    space.streams.trim()
    assert "could not be trimmed" in caplog.text
    store.fails = False
    put(tables, 3)
    assert [record.key[0][1] for record in records(space)] == [1, 3]
    clock.advance_s(60)
    space.streams.trim()
    assert [record.key[0][1] for record in records(space)] == [3], "tried again"
