"""PutRow, UpdateRow, DeleteRow: what they do to a row, and what they refuse."""

from __future__ import annotations

import math

import pytest
from support.row_changes import (
    ALL,
    ALL_VERSIONS,
    EXIST,
    INCREMENT,
    KEY,
    NOT_EXIST,
    ONE_VERSION,
    PUT,
    cells,
    create,
    delete,
    put,
    update,
    values,
)

from lutra.model.conditions import ColumnPagination, Comparator, SingleColumn
from lutra.model.errors import ConditionCheckFail, ParameterInvalid
from lutra.model.rows import CellChange, ChangeKind, Condition, ReadOptions, ReturnType, Row, RowChange
from lutra.model.schema import CapacityUnits, DefinedColumn, KeyColumn, TableSchema, TableUpdate
from lutra.model.values import INT64_MAX, INT64_MIN, ColumnType
from lutra.tables.space import TableSpace
from lutra.tables.tables import Tables


def test_every_type_comes_back_as_it_was_put(tables: Tables, clock) -> None:
    create(tables)
    put(
        tables,
        ("i", INT64_MIN, None, PUT),
        ("f", -0.5, None, PUT),
        ("b", True, None, PUT),
        ("s", "héllo\0", None, PUT),
        ("x", b"\0\xff", None, PUT),
        ("e", "", None, PUT),
    )
    found = cells(tables)
    assert found == [
        ("b", True, clock.ms),
        ("e", "", clock.ms),
        ("f", -0.5, clock.ms),
        ("i", INT64_MIN, clock.ms),
        ("s", "héllo\0", clock.ms),
        ("x", b"\0\xff", clock.ms),
    ]
    assert type(found[0][1]) is bool


def test_putting_replaces_the_whole_row(tables: Tables) -> None:
    create(tables)
    put(tables, ("a", 1, None, PUT), ("b", 2, None, PUT))
    put(tables, ("c", 3, None, PUT))
    assert values(tables) == {"c": 3}


def test_updating_keeps_what_it_does_not_name(tables: Tables) -> None:
    create(tables)
    put(tables, ("a", 1, None, PUT), ("b", 2, None, PUT), ("c", 3, None, PUT))
    update(tables, ("b", "new", None, PUT), ("c", None, None, ALL_VERSIONS), ("d", 4, None, PUT))
    assert values(tables) == {"a": 1, "b": "new", "d": 4}


def test_updating_makes_a_row_but_deleting_columns_does_not(tables: Tables, space: TableSpace) -> None:
    create(tables)
    update(tables, ("a", None, None, ALL_VERSIONS), ("b", None, 5, ONE_VERSION))
    assert cells(tables) is None
    assert space.changelog.last_sequence == 0
    update(tables, ("a", 1, None, PUT))
    assert values(tables) == {"a": 1}


def test_a_row_without_columns_is_a_row(tables: Tables) -> None:
    create(tables)
    put(tables)
    assert cells(tables) == []
    put(tables, ("a", 1, None, PUT))
    update(tables, ("a", None, None, ALL_VERSIONS))
    assert cells(tables) == []
    update(tables, ("a", 1, None, PUT), condition=EXIST)
    delete(tables, EXIST)
    assert cells(tables) is None


def test_existence_is_checked_for_every_kind(tables: Tables) -> None:
    create(tables)
    for refused in (
        lambda: put(tables, ("a", 1, None, PUT), condition=EXIST),
        lambda: update(tables, ("a", 1, None, PUT), condition=EXIST),
        lambda: delete(tables, EXIST),
    ):
        with pytest.raises(ConditionCheckFail, match=r"^Condition check failed\.$"):
            refused()
    assert cells(tables) is None
    put(tables, ("a", 1, None, PUT), condition=NOT_EXIST)
    for refused in (
        lambda: put(tables, ("a", 2, None, PUT), condition=NOT_EXIST),
        lambda: update(tables, ("a", 2, None, PUT), condition=NOT_EXIST),
        lambda: delete(tables, NOT_EXIST),
    ):
        with pytest.raises(ConditionCheckFail):
            refused()
    assert values(tables) == {"a": 1}


def test_columns_are_checked_before_a_write(tables: Tables) -> None:
    create(tables)

    def when(comparator: Comparator, column: str, value: int, if_missing: bool = True) -> Condition:
        return Condition(columns=SingleColumn(comparator, column, value, if_missing))

    put(tables, ("n", 5, None, PUT), condition=when(Comparator.EQUAL, "n", 1))
    with pytest.raises(ConditionCheckFail):
        put(tables, ("n", 6, None, PUT), condition=when(Comparator.EQUAL, "n", 1))
    with pytest.raises(ConditionCheckFail):
        update(tables, ("n", 6, None, PUT), condition=when(Comparator.GREATER_THAN, "other", 1, False))
    update(tables, ("n", 7, None, PUT), condition=when(Comparator.LESS_EQUAL, "n", 5))
    assert values(tables) == {"n": 7}
    with pytest.raises(ConditionCheckFail):
        delete(tables, when(Comparator.NOT_EQUAL, "n", 7))
    delete(tables, when(Comparator.GREATER_EQUAL, "n", 7))
    assert cells(tables) is None
    with pytest.raises(ParameterInvalid, match="pagination"):
        put(tables, ("n", 7, None, PUT), condition=Condition(columns=ColumnPagination(0, 1)))


def test_versions_are_kept_newest_first_and_trimmed(tables: Tables, clock) -> None:
    create(tables, max_versions=3)
    for i in range(5):
        update(tables, ("a", i, clock.ms + i, PUT), ("b", -i, clock.ms - i, PUT))
    now = clock.ms
    assert cells(tables) == [
        ("a", 4, now + 4),
        ("a", 3, now + 3),
        ("a", 2, now + 2),
        ("b", 0, now),
        ("b", -1, now - 1),
        ("b", -2, now - 2),
    ]
    assert cells(tables, ReadOptions(max_versions=1)) == [("a", 4, now + 4), ("b", 0, now)]


def test_several_versions_in_one_put_are_trimmed_too(tables: Tables, clock) -> None:
    create(tables, max_versions=2)
    now = clock.ms
    put(
        tables,
        ("b", 0, None, PUT),
        ("a", 1, now - 1, PUT),
        ("a", 3, now + 1, PUT),
        ("a", 2, now, PUT),
        ("a", 4, now + 1, PUT),
    )
    assert cells(tables) == [("a", 4, now + 1), ("a", 2, now), ("b", 0, now)]


def test_fewer_versions_hold_for_rows_written_before(tables: Tables, clock) -> None:
    create(tables, max_versions=5)
    for i in range(4):
        update(tables, ("a", i, clock.ms + i, PUT))
    tables.update("t", TableUpdate(max_versions=2))
    assert [value for _, value, _ in cells(tables) or ()] == [3, 2]
    tables.update("t", TableUpdate(max_versions=1))
    assert [value for _, value, _ in cells(tables) or ()] == [3]
    update(tables, ("b", 0, None, PUT))
    tables.update("t", TableUpdate(max_versions=9))
    assert [value for name, value, _ in cells(tables) or () if name == "a"] == [3]


def test_one_version_or_all_are_deleted(tables: Tables, clock) -> None:
    create(tables, max_versions=5)
    now = clock.ms
    put(tables, ("a", 1, now - 1, PUT), ("a", 2, now, PUT), ("b", 1, now, PUT))
    update(tables, ("a", None, now, ONE_VERSION), ("b", None, now + 7, ONE_VERSION))
    assert cells(tables) == [("a", 1, now - 1), ("b", 1, now)]
    update(tables, ("a", None, None, ALL_VERSIONS))
    assert cells(tables) == [("b", 1, now)]


def test_changes_of_one_update_apply_in_order(tables: Tables, clock) -> None:
    create(tables, max_versions=5)
    put(tables, ("a", 1, clock.ms - 9, PUT))
    update(tables, ("a", None, None, ALL_VERSIONS), ("a", 2, None, PUT), ("n", 5, None, PUT), ("n", 2, None, INCREMENT))
    assert cells(tables) == [("a", 2, clock.ms), ("n", 7, clock.ms)]
    update(tables, ("a", 3, clock.ms + 5, PUT), ("a", None, None, ALL_VERSIONS))
    assert values(tables) == {"n": 7}


def test_a_put_without_timestamp_is_read_though_the_newest_version_lies_ahead(tables: Tables, clock) -> None:
    create(tables)
    ahead = clock.ms + 60_000
    put(tables, ("a", "ahead", ahead, PUT), ("n", 1, ahead, PUT))
    update(tables, ("a", "now", None, PUT), ("n", 1, None, INCREMENT))
    assert cells(tables) == [("a", "now", ahead), ("n", 2, ahead)]


def test_incrementing(tables: Tables, clock) -> None:
    create(tables)
    update(tables, ("n", 5, None, INCREMENT))
    update(tables, ("n", -8, None, INCREMENT), ("m", 1, None, INCREMENT))
    assert values(tables) == {"n": -3, "m": 1}
    put(tables, ("n", INT64_MAX, None, PUT), ("m", INT64_MIN, None, PUT), ("s", "text", None, PUT))
    for column, delta in (("n", 1), ("m", -1)):
        with pytest.raises(ParameterInvalid, match="goes beyond the range of INTEGER"):
            update(tables, (column, delta, None, INCREMENT))
    with pytest.raises(ParameterInvalid, match="holds a STRING and cannot be incremented"):
        update(tables, ("s", 1, None, INCREMENT))
    with pytest.raises(ParameterInvalid, match="must be an INTEGER"):
        update(tables, ("n", 1.5, None, INCREMENT))
    with pytest.raises(ParameterInvalid, match="must be an INTEGER"):
        update(tables, ("n", True, None, INCREMENT))
    with pytest.raises(ParameterInvalid, match="Timestamp cannot be given"):
        update(tables, ("n", 1, clock.ms, INCREMENT))
    assert values(tables) == {"n": INT64_MAX, "m": INT64_MIN, "s": "text"}


def test_timestamps_lie_near_the_servers_clock(tables: Tables, clock) -> None:
    create(tables, max_deviation_s=10)
    now = clock.ms
    for good in (now - 10_000, now + 9_999, now):
        put(tables, ("a", 1, good, PUT))
        update(tables, ("a", 1, good, PUT))
    for bad in (now - 10_001, now + 10_000, 0, -1, INT64_MAX, INT64_MAX // 1_000 + 1):
        with pytest.raises(ParameterInvalid, match=r"[Tt]imestamp"):
            put(tables, ("a", 2, bad, PUT))
        with pytest.raises(ParameterInvalid, match=r"[Tt]imestamp"):
            update(tables, ("a", 2, bad, PUT))
    assert values(tables) == {"a": 1}
    update(tables, ("a", None, 0, ONE_VERSION))
    for bad in (-1, INT64_MAX):
        with pytest.raises(ParameterInvalid, match="Timestamp must be in range"):
            update(tables, ("a", None, bad, ONE_VERSION))


def test_cells_expire(tables: Tables, clock) -> None:
    create(tables, ttl_s=86_400, max_deviation_s=86_400 * 10)
    put(tables, ("old", 1, clock.ms - 80_000_000, PUT), ("new", 2, None, PUT))
    with pytest.raises(ParameterInvalid, match="Invalid timestamp"):
        put(tables, ("a", 1, clock.ms - 86_400_001, PUT))
    clock.advance_s(6_400)
    assert values(tables) == {"old": 1, "new": 2}
    clock.advance_s(1)
    assert values(tables) == {"new": 2}
    update(tables, ("old", 1, None, INCREMENT))
    assert values(tables) == {"new": 2, "old": 1}


def test_a_row_all_of_whose_cells_expired_is_absent(tables: Tables, clock) -> None:
    create(tables, ttl_s=86_400)
    put(tables, ("a", 1, None, PUT))
    clock.advance_s(86_400)
    assert values(tables) == {"a": 1}
    clock.advance_s(1)
    assert cells(tables) is None
    with pytest.raises(ConditionCheckFail):
        update(tables, ("a", 1, None, PUT), condition=EXIST)
    put(tables, ("a", 2, None, PUT), condition=NOT_EXIST)
    assert values(tables) == {"a": 2}
    tables.update("t", TableUpdate(ttl_s=-1))
    clock.advance_s(10**6)
    assert values(tables) == {"a": 2}


def test_a_row_without_cells_expires_by_when_it_was_written(tables: Tables, clock) -> None:
    create(tables, ttl_s=86_400)
    put(tables)
    clock.advance_s(86_400)
    assert cells(tables) == []
    clock.advance_s(1)
    assert cells(tables) is None
    put(tables, condition=NOT_EXIST)
    assert cells(tables) == []


@pytest.mark.parametrize(
    "name", ["price-2", "公司", " ", "a b", "9", "a.b", "'\"`", "a\nb\r", "\0", "a#", "é" * 127 + "a", "$&*()/\\:"]
)
def test_attribute_columns_have_any_name(tables: Tables, name: str) -> None:
    tables.create(TableSchema("t", (KeyColumn("pk", ColumnType.STRING),), (DefinedColumn(name, ColumnType.INTEGER),)))
    put(tables, (name, 1, None, PUT))
    update(tables, (name, 2, None, INCREMENT), condition=Condition(columns=SingleColumn(Comparator.EQUAL, name, 1)))
    assert values(tables) == {name: 3}
    is_three = SingleColumn(Comparator.EQUAL, name, 3, pass_if_missing=False)
    options = ReadOptions(columns=(name,), filter=is_three, start_column=name, end_column=name + "a")
    assert tables.read("t", KEY, options).row == tables.read("t", KEY, ALL).row
    page = tables.read("t", KEY, ReadOptions(filter=ColumnPagination(0, 1)))
    assert page.next_token is None
    with pytest.raises(ParameterInvalid, match="Validate column type fail"):
        put(tables, (name, "3", None, PUT))
    for key in (
        (KeyColumn(name, ColumnType.STRING),),
        (KeyColumn("pk", ColumnType.STRING), KeyColumn(name, ColumnType.STRING)),
    ):
        with pytest.raises(ParameterInvalid, match="Invalid column name"):
            tables.create(TableSchema("u", key))
    with pytest.raises(ParameterInvalid, match="Invalid table name"):
        tables.create(TableSchema(name, (KeyColumn("pk", ColumnType.STRING),)))


@pytest.mark.parametrize(
    ("kind", "cell", "text"),
    [
        (ChangeKind.PUT, ("", 1, None, PUT), "Invalid column name: ''."),
        (ChangeKind.PUT, ("#", 1, None, PUT), "Invalid column name: '#'."),
        (ChangeKind.UPDATE, ("#abc", 1, None, PUT), "Invalid column name: '#abc'."),
        (ChangeKind.UPDATE, ("#公司", None, None, ALL_VERSIONS), "Invalid column name: '#公司'."),
        (ChangeKind.PUT, ("# ", 1, None, PUT), "Invalid column name: '# '."),
        (ChangeKind.PUT, ("公" * 85 + "a", 1, None, PUT), f"Invalid column name: '{'公' * 85}a'."),
        (ChangeKind.PUT, ("\ud800", 1, None, PUT), "Invalid column name: '\ud800'."),
        (ChangeKind.PUT, ("a", 1, -1, PUT), "Timestamp must be in range [0, INT64_MAX/1000)."),
        (ChangeKind.PUT, ("a", 1, INT64_MAX // 1_000, PUT), "Timestamp must be in range [0, INT64_MAX/1000)."),
        (
            ChangeKind.UPDATE,
            ("a", None, INT64_MAX // 1_000, ONE_VERSION),
            "Timestamp must be in range [0, INT64_MAX/1000).",
        ),
        (ChangeKind.PUT, ("a" * 256, 1, None, PUT), f"Invalid column name: '{'a' * 256}'."),
        # Of what may be megabytes only so much is told.
        (ChangeKind.PUT, ("a" * 1_000_000, 1, None, PUT), f"Invalid column name: '{'a' * 1_024}'."),
        (ChangeKind.PUT, ("pk", 1, None, PUT), "Duplicated attribute column name with primary key column: 'pk'."),
        (ChangeKind.PUT, ("a", None, None, PUT), "No value is given for column 'a'."),
        (ChangeKind.PUT, ("a", [1], None, PUT), "A value of type list cannot be stored in column 'a'."),
        (ChangeKind.PUT, ("a", 2**63, None, PUT), "The value of column 'a' does not fit 64 bits."),
        (ChangeKind.PUT, ("a", math.nan, None, PUT), "NaN can't be set to double value."),
        (ChangeKind.PUT, ("a", -math.inf, None, PUT), "Infinity can't be set to double value."),
        (ChangeKind.PUT, ("a", 1, None, INCREMENT), "OpType cannot be given for column name:'a' in PutRow."),
        (ChangeKind.PUT, ("a", None, None, ALL_VERSIONS), "OpType cannot be given for column name:'a' in PutRow."),
        (ChangeKind.UPDATE, ("pk", 1, None, PUT), "Duplicated attribute column name with primary key column: 'pk'."),
        (ChangeKind.UPDATE, ("a", None, None, PUT), "No value is given for column 'a'."),
        (ChangeKind.UPDATE, ("a", 1, None, 2), "Invalid op type of cell: 2."),
        (ChangeKind.UPDATE, ("a", None, None, INCREMENT), "The increment of column 'a' must be an INTEGER."),
        (
            ChangeKind.UPDATE,
            ("a", 1, None, ALL_VERSIONS),
            "Column value cannot be given when type is DELETE_ONE_VERSION,DELETE_ALL_VERSION.",
        ),
        (
            ChangeKind.UPDATE,
            ("a", None, 1, ALL_VERSIONS),
            "Timestamp cannot be given when type is DELETE_ALL_VERSION.",
        ),
        (
            ChangeKind.UPDATE,
            ("a", None, None, ONE_VERSION),
            "Timestamp must be given when type is DELETE_ONE_VERSION.",
        ),
        (
            ChangeKind.DELETE,
            ("a", 1, None, PUT),
            "Invalid delete row request: unexpected cells in request.",
        ),
    ],
)
def test_a_wrong_cell_is_refused(tables: Tables, kind: ChangeKind, cell: CellChange, text: str) -> None:
    create(tables)
    put(tables, ("kept", 1, None, PUT))
    with pytest.raises(ParameterInvalid) as caught:
        tables.write("t", RowChange(kind, KEY, [cell]))
    assert str(caught.value) == text
    assert values(tables) == {"kept": 1}


def test_an_update_names_at_least_one_column(tables: Tables) -> None:
    create(tables)
    with pytest.raises(ParameterInvalid, match=r"^Attribute column is missing\.$"):
        update(tables)


def test_sizes_are_bounded(tables: Tables) -> None:
    create(tables)
    put(tables, ("a", "é" * 2**20, None, PUT))
    for too_long in ("é" * 2**20 + "a", b"x" * (2**21 + 1)):
        with pytest.raises(ParameterInvalid, match="exceeds the MaxLength:2097152 with CurrentLength:2097153"):
            put(tables, ("a", too_long, None, PUT))
    two = [(name, b"x" * 2_090_000, None, PUT) for name in "ab"]
    put(tables, *two)
    for kind in (ChangeKind.PUT, ChangeKind.UPDATE):
        with pytest.raises(ParameterInvalid, match=r"total data size of \w+Row request exceeds the limit"):
            tables.write("t", RowChange(kind, KEY, [*two, ("c", b"x" * 20_000, None, PUT)]))
    with pytest.raises(ParameterInvalid, match="limit, limit count: 1024, column count: 1025"):
        put(tables, *((f"c{i}", 1, None, PUT) for i in range(1_025)))
    put(tables, *((f"c{i}", 1, None, PUT) for i in range(1_024)))


def test_a_row_grows_to_its_limit_and_no_further(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lutra.model.limits.ROW_BYTES_MAX", 100_000)
    create(tables)
    for i in range(9):
        update(tables, (f"c{i}", b"x" * 11_000, None, PUT))
    with pytest.raises(ParameterInvalid, match="total data size of columns in one row exceeded the limit"):
        update(tables, ("more", b"x" * 1_000, None, PUT))
    with pytest.raises(ParameterInvalid, match="total data size of columns in one row exceeded the limit"):
        put(tables, ("a", b"x" * 100_000, None, PUT))
    assert len(cells(tables) or ()) == 9


def test_defined_columns_have_their_type(tables: Tables) -> None:
    tables.create(TableSchema("t", (KeyColumn("pk", ColumnType.STRING),), (DefinedColumn("n", ColumnType.INTEGER),)))
    put(tables, ("n", 1, None, PUT), ("other", "text", None, PUT))
    for refused in (
        lambda: put(tables, ("n", "1", None, PUT)),
        lambda: update(tables, ("n", 1.0, None, PUT)),
        lambda: update(tables, ("n", True, None, PUT)),
    ):
        with pytest.raises(ParameterInvalid, match="Column: n, Input"):
            refused()
    update(tables, ("n", 4, None, INCREMENT))
    assert values(tables) == {"n": 5, "other": "text"}
    tables.add_defined_columns("t", [DefinedColumn("s", ColumnType.STRING)])
    with pytest.raises(ParameterInvalid, match="Column: s, Input: INTEGER, Meta: STRING"):
        update(tables, ("s", 1, None, INCREMENT))
    tables.delete_defined_columns("t", ["n"])
    put(tables, ("n", "text", None, PUT))


def test_updates_can_be_forbidden(tables: Tables) -> None:
    create(tables, allow_update=False)
    put(tables, ("a", 1, None, PUT))
    with pytest.raises(ParameterInvalid, match="does not allow UpdateRow"):
        update(tables, ("a", 2, None, PUT))
    tables.update("t", TableUpdate(allow_update=True))
    update(tables, ("a", 2, None, PUT))
    assert values(tables) == {"a": 2}


def test_what_is_asked_for_comes_back(tables: Tables, clock) -> None:
    create(tables, max_versions=3)
    change = RowChange(ChangeKind.PUT, KEY, [("a", 1, None, PUT)], return_type=ReturnType.PRIMARY_KEY)
    assert tables.write("t", change).row == Row(KEY)
    change.return_type = ReturnType.NONE
    assert tables.write("t", change).row is None
    increments: list[CellChange] = [("n", 5, None, INCREMENT), ("m", 1, None, INCREMENT), ("a", 2, None, PUT)]
    change = RowChange(ChangeKind.UPDATE, KEY, increments, return_type=ReturnType.AFTER_MODIFY)
    assert tables.write("t", change).row == Row(KEY, [("m", 1, clock.ms), ("n", 5, clock.ms)])
    clock.advance_s(1)
    change.return_columns = ("n",)
    assert tables.write("t", change).row == Row(KEY, [("n", 10, clock.ms)])
    for others in (("n", "a"), ("none",)):
        change.return_columns = others
        with pytest.raises(ParameterInvalid, match=f"Column '{others[-1]}' cannot be returned after modify"):
            tables.write("t", change)
    row = tables.read("t", KEY, ReadOptions()).row
    assert row is not None
    assert [cell[:2] for cell in row.cells] == [("a", 2), ("m", 2), ("n", 10)]


def test_capacity_is_counted(tables: Tables) -> None:
    create(tables)
    big = RowChange(ChangeKind.PUT, KEY, [("a", "x" * 9_000, None, PUT)])
    assert tables.write("t", big).consumed == CapacityUnits(0, 3)
    big.condition = EXIST
    assert tables.write("t", big).consumed == CapacityUnits(1, 3)
    small = RowChange(ChangeKind.UPDATE, KEY, [("b", 1, None, PUT)])
    assert tables.write("t", small).consumed == CapacityUnits(0, 1)
    assert tables.read("t", KEY, ALL).consumed == CapacityUnits(3, 0)
    assert tables.read("t", (("pk", "none"),), ALL).consumed == CapacityUnits(1, 0)
    assert tables.write("t", RowChange(ChangeKind.DELETE, KEY)).consumed == CapacityUnits(0, 1)


def test_a_condition_on_columns_reads_what_it_names(tables: Tables) -> None:
    create(tables)
    put(tables, ("a", "x" * 9_000, None, PUT), ("b", 1, None, PUT))
    for column, units in (("a", 3), ("b", 1), ("none", 1)):
        change = RowChange(ChangeKind.UPDATE, KEY, [("b", 1, None, PUT)])
        change.condition = Condition(columns=SingleColumn(Comparator.NOT_EQUAL, column, 7))
        assert tables.write("t", change).consumed == CapacityUnits(units, 1)


@pytest.mark.parametrize(("options", "per_version"), [({}, 0), ({"max_versions": 2}, 8), ({"ttl_s": 86_400}, 8)])
def test_a_version_counts_8_bytes_where_it_matters(tables: Tables, options: dict[str, int], per_version: int) -> None:
    create(tables, **options)
    fits = 4_096 - len("pk") - len("a") - len("abc") - 8 - 8 - 3 * per_version
    for more, units in ((0, 1), (1, 2)):
        cells: list[CellChange] = [
            ("a", "x" * (fits + more), None, PUT),
            ("b", 1, None, PUT),
            ("c", 0.5, None, PUT),
        ]
        for kind in (ChangeKind.PUT, ChangeKind.UPDATE):
            assert tables.write("t", RowChange(kind, KEY, cells)).consumed == CapacityUnits(0, units)
        assert tables.read("t", KEY, ReadOptions()).consumed == CapacityUnits(units, 0)
