"""What a read returns: columns, versions, times, filters, pages; one row, many, ranges."""

from __future__ import annotations

import itertools
import time
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lutra.kv.store import KeyValueStore
from lutra.model.conditions import ColumnPagination, Comparator, SingleColumn
from lutra.model.deadline import Deadline, working_for
from lutra.model.errors import InvalidPrimaryKey, ObjectNotExist, ParameterInvalid, RequestTimeout
from lutra.model.rows import (
    CellChange,
    CellOperation,
    ChangeKind,
    KeyInput,
    PrimaryKey,
    RangeRequest,
    ReadOptions,
    ReadResult,
    Row,
    RowChange,
)
from lutra.model.schema import CapacityUnits, KeyColumn, TableOptions, TableSchema
from lutra.model.values import AUTO_INCREMENT, INF_MAX, INF_MIN, ColumnType, KeyMarker, KeyValue
from lutra.tables.tables import Tables

KEY = (("pk", "a"),)


@pytest.fixture
def wide(tables: Tables, clock) -> Tables:
    """One row: columns c0 to c9 with two versions each, now and a second before."""
    tables.create(TableSchema("t", (KeyColumn("pk", ColumnType.STRING),), options=TableOptions(max_versions=2)))
    versions: list[CellChange] = []
    for i in range(10):
        versions += [(f"c{i}", i, clock.ms, 0), (f"c{i}", -i, clock.ms - 1_000, 0)]
    tables.write("t", RowChange(ChangeKind.PUT, KEY, versions))
    return tables


def names(result: ReadResult) -> list[str] | None:
    return None if result.row is None else [name for name, _, _ in result.row.cells]


def read(tables: Tables, options: ReadOptions) -> list[str] | None:
    return names(tables.read("t", KEY, options))


def test_columns_are_chosen_by_name_and_range(wide: Tables) -> None:
    assert read(wide, ReadOptions()) == [f"c{i}" for i in range(10)]
    assert read(wide, ReadOptions(columns=("c7", "c2", "none", "c2"))) == ["c2", "c7"]
    assert read(wide, ReadOptions(start_column="c3", end_column="c5")) == ["c3", "c4"]
    assert read(wide, ReadOptions(start_column="c8")) == ["c8", "c9"]
    assert read(wide, ReadOptions(end_column="c1")) == ["c0"]
    assert read(wide, ReadOptions(columns=("c1", "c3"), start_column="c2")) == ["c3"]


def test_a_row_with_none_of_the_columns_is_not_returned_unless_a_key_column_is_asked_for(wide: Tables) -> None:
    assert read(wide, ReadOptions(columns=("none",))) is None
    assert read(wide, ReadOptions(start_column="d")) is None
    assert read(wide, ReadOptions(columns=("none", "pk"))) == []
    assert read(wide, ReadOptions(columns=("c1", "pk"))) == ["c1"]
    (results,) = wide.read_batch([("t", [KEY], ReadOptions(columns=("none",)))])
    assert results == [ReadResult(None, CapacityUnits(1, 0))]


def test_versions_and_times_are_chosen(wide: Tables, clock) -> None:
    now = clock.ms

    def first(options: ReadOptions) -> object:
        row = wide.read("t", KEY, options).row
        return None if row is None else [cell for cell in row.cells if cell[0] == "c1"]

    assert first(ReadOptions(max_versions=1)) == [("c1", 1, now)]
    assert first(ReadOptions(max_versions=2**31 - 1)) == [("c1", 1, now), ("c1", -1, now - 1_000)]
    assert first(ReadOptions(max_versions=None, time_range_ms=(0, now))) == [("c1", -1, now - 1_000)]
    assert first(ReadOptions(max_versions=None, time_range_ms=(now, now + 1))) == [("c1", 1, now)]
    assert first(ReadOptions(max_versions=1, time_range_ms=(0, now + 1))) == [("c1", 1, now)]
    assert first(ReadOptions(max_versions=1, time_range_ms=(now - 999, now))) == []


def test_times_alone_take_no_row_away(wide: Tables, clock) -> None:
    """Nothing has a version in them: the row has its key and no cells. Named columns that are not there: no row."""
    never = ReadOptions(max_versions=None, time_range_ms=(5, 6))
    empty = Row(KEY, [])
    everything = RangeRequest((("pk", INF_MIN),), (("pk", INF_MAX),), options=never)
    assert wide.read("t", KEY, never).row == empty
    (results,) = wide.read_batch([("t", [KEY, (("pk", "none"),)], never)])
    assert [one.row for one in results] == [empty, None]  # type: ignore[union-attr]
    assert wide.read_range("t", everything).rows == [empty]
    for options in (
        replace(never, columns=("c1",)),
        replace(never, columns=("none",)),
        replace(never, start_column="c"),
    ):
        assert wide.read("t", KEY, options).row is None
        assert wide.read_range("t", replace(everything, options=options)).rows == []
    is_five = SingleColumn(Comparator.EQUAL, "c5", 5, pass_if_missing=False)
    assert wide.read("t", KEY, replace(never, filter=is_five)).row is None


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (ReadOptions(max_versions=None), "No version condition is specified."),
        (ReadOptions(max_versions=0), "Invalid max versions: 0. Reason: Max versions must be positive."),
        (ReadOptions(time_range_ms=(5, 5)), "Invalid time range [5, 5)"),
        (ReadOptions(time_range_ms=(-1, 5)), "Invalid time range [-1, 5)"),
        (
            ReadOptions(columns=("c",) * 1_025),
            "The number of columns from the request exceeds the limit, limit count: 1024, column count: 1025.",
        ),
        (ReadOptions(columns=("c1", "#c")), "Invalid column name: '#c'."),
        (ReadOptions(filter=SingleColumn(Comparator.EXIST, "# ", None)), "Invalid column name: '# '."),
        (ReadOptions(token=b""), "The token is not one that a read of this table gave."),
        (ReadOptions(token=b"\x01"), "The token is not one that a read of this table gave."),
        (ReadOptions(token=b"\x02c1"), "The token is not one that a read of this table gave."),
        (ReadOptions(token=b"\x01\xff"), "The token is not one that a read of this table gave."),
        (ReadOptions(filter=ColumnPagination(0, 0)), "Limit in ColumnPaginationFilter must be greater than 0."),
        (
            ReadOptions(filter=ColumnPagination(-1, 1)),
            "Offset in ColumnPaginationFilter must be greater than or equal to 0.",
        ),
    ],
)
def test_wrong_options_are_refused_by_every_read(wide: Tables, options: ReadOptions, text: str) -> None:
    everything = RangeRequest((("pk", INF_MIN),), (("pk", INF_MAX),), options=options)
    for use in (
        lambda: wide.read("t", KEY, options),
        lambda: wide.read_batch([("t", [KEY], options)]),
        lambda: wide.read_range("t", everything),
    ):
        with pytest.raises(ParameterInvalid) as caught:
            use()
        assert str(caught.value).startswith(text)


def test_a_wide_row_is_paged_by_token(wide: Tables) -> None:
    pages = []
    token: bytes | None = None
    while True:
        result = wide.read("t", KEY, ReadOptions(filter=ColumnPagination(1, 4), max_versions=2, token=token))
        pages.append(names(result))
        token = result.next_token
        if token is None:
            break
    twice = [f"c{i}" for i in range(10) for _ in range(2)]
    assert pages == [twice[2:10], twice[10:18], twice[18:]]
    assert read(wide, ReadOptions(filter=ColumnPagination(20, 4))) == []
    assert names(wide.read("t", KEY, ReadOptions(filter=ColumnPagination(0, 10)))) == [f"c{i}" for i in range(10)]


def test_a_filter_sees_what_the_read_returns(wide: Tables) -> None:
    is_five = SingleColumn(Comparator.EQUAL, "c5", 5, pass_if_missing=False)
    assert read(wide, ReadOptions(filter=is_five)) == [f"c{i}" for i in range(10)]
    assert read(wide, ReadOptions(filter=is_five, columns=("c1", "c5"))) == ["c1", "c5"]
    assert read(wide, ReadOptions(filter=is_five, columns=("c1",))) is None
    was_five = SingleColumn(Comparator.EQUAL, "c5", -5, pass_if_missing=False, latest_version_only=False)
    assert read(wide, ReadOptions(filter=was_five, max_versions=2)) is not None
    assert read(wide, ReadOptions(filter=was_five, max_versions=1)) is None
    key_is_a = SingleColumn(Comparator.EQUAL, "pk", "a", pass_if_missing=False)
    assert read(wide, ReadOptions(filter=key_is_a, columns=("c1",))) == ["c1"]


def test_batches_read_in_order_and_report_row_by_row(wide: Tables) -> None:
    (results,) = wide.read_batch(
        [("t", [KEY, (("pk", "none"),), (("qk", "a"),), KEY], ReadOptions(columns=("c1",) * 1_024))]
    )
    assert [type(one) for one in results] == [ReadResult, ReadResult, InvalidPrimaryKey, ReadResult]
    assert str(results[2]) == "Validate PK name fail. Input: qk, Meta: pk."
    assert names(results[0]) == names(results[3]) == ["c1"]  # type: ignore[arg-type]
    assert names(results[1]) is None  # type: ignore[arg-type]
    assert wide.read_batch([("t", [], ReadOptions())]) == [[]]
    with pytest.raises(ParameterInvalid, match=r"^No row specified in the request of BatchGetRow\.$"):
        wide.read_batch([])
    with pytest.raises(ParameterInvalid, match="Rows count exceeds the upper limit: 100"):
        wide.read_batch([("t", [KEY] * 60, ReadOptions()), ("t", [KEY] * 41, ReadOptions())])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (AUTO_INCREMENT, "PKAutoIncr can't be used for read operations."),
        (INF_MIN, "VT_INF_MIN is an invalid type for the primary key."),
        ("x" * 1025, "The length of primary key column: 'pk' exceeds the MaxLength:1024 with CurrentLength:1025."),
    ],
)
def test_a_key_that_is_wrong_in_itself_fails_the_whole_batch(wide: Tables, value: KeyValue, text: str) -> None:
    with pytest.raises(ParameterInvalid) as caught:
        wide.read_batch([("t", [KEY, (("qk", "a"),), (("pk", value),)], ReadOptions())])
    assert str(caught.value) == text
    assert caught.value.code == "OTSParameterInvalid"


def test_what_is_wrong_in_itself_is_said_before_that_there_is_no_table(tables: Tables) -> None:
    five = tuple((f"pk{i}", 1) for i in range(5))
    bound = RangeRequest(five, five)
    for use in (
        lambda: tables.read("none", five, ReadOptions()),
        lambda: tables.read_batch([("none", [five], ReadOptions())]),
        lambda: tables.read_range("none", bound),
        lambda: tables.write("none", RowChange(ChangeKind.DELETE, five)),
        lambda: tables.write_batch([("none", [RowChange(ChangeKind.DELETE, five)])]),
    ):
        with pytest.raises(ParameterInvalid, match="number of primary key columns"):
            use()
    with pytest.raises(ParameterInvalid, match="version condition"):
        tables.read("none", KEY, ReadOptions(max_versions=None))
    (results,) = tables.read_batch([("none", [KEY], ReadOptions())])
    assert [type(one) for one in results] == [ObjectNotExist]


def test_reads_count_the_key_and_the_columns_asked_for(tables: Tables) -> None:
    """Names and values alone: stored, the row takes more."""
    tables.create(TableSchema("t", (KeyColumn("pk", ColumnType.STRING),)))
    of_key = len("pk") + len("a")
    fits = 4_096 - of_key - len("a") - len("é".encode()) - 8 - len("b") - 1
    cells: list[CellChange] = [
        ("a", "x" * fits, None, CellOperation.PUT),
        ("é", 1, None, CellOperation.PUT),
        ("b", True, None, CellOperation.PUT),
    ]
    written = tables.write("t", RowChange(ChangeKind.PUT, KEY, cells))
    assert written.consumed == CapacityUnits(0, 1)
    assert tables.read("t", KEY, ReadOptions()).consumed == CapacityUnits(1, 0)
    everything = RangeRequest((("pk", INF_MIN),), (("pk", INF_MAX),))
    assert tables.read_range("t", everything).consumed == CapacityUnits(1, 0)
    cells.append(("c", "", None, CellOperation.PUT))
    assert tables.write("t", RowChange(ChangeKind.PUT, KEY, cells)).consumed == CapacityUnits(0, 2)
    assert tables.read("t", KEY, ReadOptions()).consumed == CapacityUnits(2, 0)
    assert tables.read_range("t", everything).consumed == CapacityUnits(2, 0)
    for columns in (("é", "b"), ("none",), ("pk",)):
        narrow = ReadOptions(columns=columns)
        assert tables.read("t", KEY, narrow).consumed == CapacityUnits(1, 0)
        assert tables.read_range("t", replace(everything, options=narrow)).consumed == CapacityUnits(1, 0)
    refused = ReadOptions(filter=SingleColumn(Comparator.EQUAL, "b", False))
    assert tables.read("t", KEY, refused) == ReadResult(None, CapacityUnits(2, 0))


def test_a_batch_is_answered_up_to_a_number_of_bytes(wide: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lutra.model.limits.ANSWER_BYTES_MAX", 1_000)
    (results,) = wide.read_batch([("t", [KEY] * 20, ReadOptions())])
    answered = [isinstance(one, ReadResult) for one in results]
    assert answered == sorted(answered, reverse=True)
    assert 1 <= sum(answered) < 20
    with pytest.raises(ParameterInvalid, match="ask for fewer"):
        wide.read_rows(wide.describe("t").table_id, [KEY] * 20, 1_000)


TWO = (KeyColumn("p", ColumnType.STRING), KeyColumn("n", ColumnType.INTEGER))


def fill(tables: Tables, keys: list[PrimaryKey], size: int = 10) -> None:
    tables.create(TableSchema("r", TWO))
    for begin in range(0, len(keys), 200):
        changes = [
            RowChange(ChangeKind.PUT, key, [("i", begin + i, None, 0), ("v", "x" * size, None, 0)])
            for i, key in enumerate(keys[begin : begin + 200])
        ]
        tables.write_batch([("r", changes)])


def bound(p: object, n: object) -> KeyInput:
    return (("p", p), ("n", n))  # type: ignore[return-value]


def paged(tables: Tables, request: RangeRequest) -> tuple[list[Row], int]:
    rows: list[Row] = []
    pages = 0
    start: KeyInput | None = request.start
    while start is not None:
        page = tables.read_range(
            "r", RangeRequest(start, request.end, request.backward, request.limit, request.options)
        )
        rows += page.rows
        pages += 1
        start = page.next_start
    return rows, pages


def test_ranges_as_the_official_tests_have_them(tables: Tables) -> None:
    keys = [bound(p, n) for p in "abc" for n in (1, 2)]
    fill(tables, keys)  # type: ignore[arg-type]

    def between(start: KeyInput, end: KeyInput, backward: bool = False) -> list[KeyInput]:
        return [row.key for row in tables.read_range("r", RangeRequest(start, end, backward)).rows]

    assert between(bound("a", 1), bound("a", 2)) == keys[:1]
    assert between(bound("a", 1), bound("c", 2)) == keys[:5]
    assert between(bound("a", INF_MIN), bound("a", INF_MAX)) == keys[:2]
    assert between(bound("a", INF_MAX), bound("b", INF_MIN)) == []
    assert between(bound("a", INF_MAX), bound("c", INF_MIN)) == keys[2:4]
    assert between(bound(INF_MIN, INF_MIN), bound(INF_MAX, INF_MAX)) == keys
    assert between(bound(INF_MIN, 5), bound("b", 2)) == keys[:3]
    assert between(bound("a", 2), bound("a", 1), True) == keys[1:2]
    assert between(bound("c", INF_MIN), bound("a", 1), True) == keys[1:4][::-1]
    assert between(bound(INF_MAX, INF_MAX), bound(INF_MIN, INF_MIN), True) == keys[::-1]
    for start, end in (
        (bound("b", 1), bound("a", 1)),
        (bound("a", 1), bound("a", 1)),
        (bound("a", INF_MAX), bound("a", INF_MIN)),
        (bound("a", INF_MIN), bound("a", INF_MIN)),
    ):
        with pytest.raises(ParameterInvalid, match=r"^Begin key must less than end key in FORWARD$"):
            between(start, end)
    for start, end in ((bound("a", 1), bound("b", 1)), (bound("a", 1), bound("a", 1))):
        with pytest.raises(ParameterInvalid, match=r"^Begin key must more than end key in BACKWARD$"):
            between(start, end, True)
    with pytest.raises(InvalidPrimaryKey, match="Input: q, Meta: p"):
        between((("q", "a"), ("n", 1)), bound("b", 1))
    for limit in (0, -1):
        with pytest.raises(ParameterInvalid, match=r"^The limit must be greater than 0\.$"):
            tables.read_range("r", RangeRequest(bound("a", 1), bound("b", 1), limit=limit))


def test_a_page_ends_after_its_limit_and_says_where_to_go_on(tables: Tables) -> None:
    keys = [bound("a", n) for n in range(10)]
    fill(tables, keys)  # type: ignore[arg-type]
    everything = RangeRequest(bound(INF_MIN, INF_MIN), bound(INF_MAX, INF_MAX), limit=5)
    page = tables.read_range("r", everything)
    assert ([row.key for row in page.rows], page.next_start) == (keys[:5], keys[5])
    page = tables.read_range("r", RangeRequest(keys[5], everything.end, limit=5))
    assert ([row.key for row in page.rows], page.next_start) == (keys[5:], None)
    down = RangeRequest(everything.end, everything.start, backward=True, limit=4)
    page = tables.read_range("r", down)
    assert ([row.key for row in page.rows], page.next_start) == (keys[6:][::-1], keys[5])
    rows, pages = paged(tables, down)
    assert ([row.key for row in rows], pages) == (keys[::-1], 3)


def test_a_page_ends_after_rows_looked_at(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lutra.model.limits.RANGE_ROWS_MAX", 100)
    fill(tables, [bound("a", n) for n in range(950)])  # type: ignore[arg-type]
    rare = ReadOptions(filter=SingleColumn(Comparator.EQUAL, "i", 777, pass_if_missing=False))
    request = RangeRequest(bound(INF_MIN, INF_MIN), bound(INF_MAX, INF_MAX), options=rare)
    first = tables.read_range("r", request)
    assert (first.rows, first.next_start) == ([], bound("a", 100))
    rows, pages = paged(tables, request)
    assert ([row.key for row in rows], pages) == ([bound("a", 777)], 10)
    rows, pages = paged(tables, RangeRequest(request.start, request.end, limit=5_000))
    assert (len(rows), pages) == (950, 10)


def test_a_page_ends_at_the_deadline_and_goes_on_from_there(tables: Tables) -> None:
    keys = [bound("a", n) for n in range(50)]
    fill(tables, keys)  # type: ignore[arg-type]
    everything = RangeRequest(bound(INF_MIN, INF_MIN), bound(INF_MAX, INF_MAX))
    with working_for(Deadline(1, time.monotonic() - 5)):
        page = tables.read_range("r", everything)
        assert 0 < len(page.rows) < 50
        rows, pages = paged(tables, everything)
    assert page.next_start == keys[len(page.rows)]
    assert ([row.key for row in rows], pages > 2) == (keys, True)


def test_many_rows_are_read_no_longer_than_the_deadline(tables: Tables) -> None:
    fill(tables, [bound("a", n) for n in range(5)])  # type: ignore[arg-type]
    batch = [("r", [bound("a", n) for n in range(5)], ReadOptions())]
    with working_for(Deadline(1, time.monotonic() - 5)), pytest.raises(RequestTimeout):
        tables.read_batch(batch)
    with working_for(Deadline(600)):
        ((first, *_),) = tables.read_batch(batch)
    assert isinstance(first, ReadResult)


def test_a_page_ends_after_bytes_looked_at(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lutra.model.limits.RANGE_BYTES_MAX", 1_000_000)
    fill(tables, [bound("a", n) for n in range(20)], size=20_000)  # type: ignore[arg-type]
    big: list[CellChange] = [("v", b"x" * 400_000, None, 0)]
    for n in range(20, 28):
        tables.write("r", RowChange(ChangeKind.PUT, bound("a", n), big))
    request = RangeRequest(bound(INF_MIN, INF_MIN), bound(INF_MAX, INF_MAX))
    page = tables.read_range("r", request)
    assert len(page.rows) == 21
    assert page.next_start == bound("a", 21)
    assert page.consumed.read == pytest.approx(800_000 / 4_096, rel=0.02)
    tables.write("r", RowChange(ChangeKind.PUT, bound("a", 21), [("v", b"x" * 1_500_000, None, 0)]))
    rows, pages = paged(tables, request)
    assert (len(rows), pages) == (28, 5), "a row larger than a page has one of its own"


def test_an_empty_range_costs_one_unit(tables: Tables) -> None:
    tables.create(TableSchema("r", TWO))
    page = tables.read_range("r", RangeRequest(bound(INF_MIN, INF_MIN), bound(INF_MAX, INF_MAX)))
    assert (page.rows, page.next_start, page.consumed) == ([], None, CapacityUnits(1, 0))


PART = st.sampled_from(["", "\0", "a", "a\0", "b", "é"])
NUMBER = st.integers(-1, 1)
INFINITE = st.sampled_from([INF_MIN, INF_MAX])
BOUND = st.tuples(PART | INFINITE, NUMBER | INFINITE, PART | INFINITE)
THREE = (
    KeyColumn("x", ColumnType.STRING),
    KeyColumn("y", ColumnType.INTEGER),
    KeyColumn("z", ColumnType.STRING),
)


def place(key: tuple[object, ...]) -> list[tuple[int, object]]:
    """Where a bound or key stands, up to and including its first infinite column."""
    placed: list[tuple[int, object]] = []
    for value in key:
        placed.append((0, 0) if value is INF_MIN else (2, 0) if value is INF_MAX else (1, value))
        if isinstance(value, KeyMarker):
            break
    return placed


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    keys=st.lists(st.tuples(PART, NUMBER, PART), unique=True, max_size=12),
    bounds=st.tuples(BOUND, BOUND).filter(lambda pair: place(pair[0]) != place(pair[1])),
    limit=st.integers(1, 4),
)
def test_ranges_agree_with_a_sorted_list(
    memory_tables: Tables,
    keys: list[tuple[str, int, str]],
    bounds: tuple[tuple[object, ...], tuple[object, ...]],
    limit: int,
) -> None:
    tables = memory_tables
    low, high = sorted(bounds, key=place)
    tables.create(TableSchema("r", THREE))
    if keys:
        tables.write_batch([("r", [RowChange(ChangeKind.PUT, tuple(zip("xyz", key, strict=True))) for key in keys])])

    def found(start: tuple[object, ...], end: tuple[object, ...], backward: bool) -> list[tuple[object, ...]]:
        ends = [tuple(zip("xyz", one, strict=True)) for one in (start, end)]
        rows, _ = paged(tables, RangeRequest(*ends, backward=backward, limit=limit))  # type: ignore[arg-type]
        return [tuple(value for _, value in row.key) for row in rows]

    up = sorted(key for key in keys if place(low) <= place(key) < place(high))
    assert found(low, high, False) == up
    down = sorted((key for key in keys if place(low) < place(key) <= place(high)), reverse=True)
    assert found(high, low, True) == down
    tables.delete("r")


def test_whole_rows_for_indexes(tables: Tables, store: KeyValueStore, clock) -> None:
    keys = [bound("a", n) for n in range(300)]
    fill(tables, keys)  # type: ignore[arg-type]
    table_id = tables.describe("r").table_id
    with store.snapshot() as snapshot:
        tables.write("r", RowChange(ChangeKind.DELETE, keys[7]))
        tables.write("r", RowChange(ChangeKind.PUT, keys[8], [("new", 1, None, 0)]))
        rows = list(tables.scan_rows(table_id, snapshot))
    assert [row.key for row in rows] == keys
    assert rows[8].cells == [("i", 8, clock.ms), ("v", "x" * 10, clock.ms)]
    now = tables.read_rows(table_id, [keys[7], keys[8], bound("none", 1)])  # type: ignore[list-item]
    assert now == [None, Row(keys[8], [("new", 1, clock.ms)]), None]  # type: ignore[arg-type]


def test_expired_rows_are_left_out_everywhere(tables: Tables, store: KeyValueStore, clock) -> None:
    tables.create(TableSchema("r", TWO, options=TableOptions(ttl_s=86_400)))
    for n in range(6):
        tables.write("r", RowChange(ChangeKind.PUT, bound("a", n), [("v", n, None, 0)] if n % 2 else []))
        clock.advance_s(10_000)
    clock.advance_s(86_400 - 35_000)
    table_id = tables.describe("r").table_id
    request = RangeRequest(bound(INF_MIN, INF_MIN), bound(INF_MAX, INF_MAX), limit=2)
    live = [row.key for row in paged(tables, request)[0]]
    assert live == [bound("a", n) for n in (3, 4, 5)]
    assert tables.count("r") == 3
    with store.snapshot() as snapshot:
        assert [row.key for row in tables.scan_rows(table_id, snapshot)] == live
        stored = list(tables.scan_rows(table_id, snapshot, expired=True))
        assert [row.key for row in stored] == [bound("a", n) for n in range(6)]
        assert [row.written_ms is None for row in stored] == [False, True] * 3, "of those that have no cell that tells"
    found = tables.read_rows(table_id, [bound("a", n) for n in range(6)])  # type: ignore[misc]
    assert [row is not None for row in found] == [False] * 3 + [True] * 3


def test_split_points_cut_by_size_at_partition_keys(tables: Tables) -> None:
    keys = [bound(f"p{p:02}", n) for p in range(20) for n in range(10)]
    fill(tables, keys, size=1_000)  # type: ignore[arg-type]
    points = tables.split_points("r", 50_000)
    assert points == sorted(points, key=lambda point: str(point[0][1]))
    assert all(point[1] == ("n", INF_MIN) for point in points)
    assert 4 <= len(points) <= 5
    bounds = [bound(INF_MIN, INF_MIN), *points, bound(INF_MAX, INF_MAX)]
    pieces = [paged(tables, RangeRequest(start, end))[0] for start, end in itertools.pairwise(bounds)]
    assert [row.key for piece in pieces for row in piece] == keys
    assert tables.count("r") == len(keys)
    assert max(map(len, pieces)) <= 60
    assert tables.split_points("r", 10**9) == []
    assert len(tables.split_points("r", 1)) <= 20
    with pytest.raises(ParameterInvalid, match="greater than 0"):
        tables.split_points("r", 0)
