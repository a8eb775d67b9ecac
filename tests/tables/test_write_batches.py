"""BatchWriteRow: what fails as a whole, what row by row, and the order in which changes apply."""

from __future__ import annotations

import pytest
from support.row_changes import ALL, EXIST, INCREMENT, KEY, NOT_EXIST, PUT, cells, create, values

from lutra.model.conditions import Comparator, SingleColumn, ValueTransfer
from lutra.model.errors import BatchTooLarge, InvalidPrimaryKey, ParameterInvalid
from lutra.model.rows import CellChange, ChangeKind, Condition, ReadOptions, RowChange, WriteResult
from lutra.model.schema import KeyColumn, TableSchema
from lutra.model.values import INF_MIN, INT64_MAX, ColumnType
from lutra.tables.space import TableSpace
from lutra.tables.tables import Tables


def test_a_batch_is_refused_as_a_whole(tables: Tables) -> None:
    create(tables)
    one = RowChange(ChangeKind.PUT, KEY, [("a", 1, None, PUT)])
    huge = RowChange(ChangeKind.PUT, KEY, [("a", b"x" * 2_000_000, None, PUT)])
    for batch, text in (
        ([], r"^No row is specified in BatchWriteRow\.$"),
        ([("t", [])], r"^No operation is specified for table: 't'\.$"),
        ([("t", [one]), ("u", [])], r"^No operation is specified for table: 'u'\.$"),
        ([("t", [one] * 201)], "Rows count exceeds the upper limit: 200"),
        ([("t", [one] * 150), ("u", [one] * 51)], "Rows count exceeds the upper limit: 200"),
        ([("t", [one, huge, huge, huge])], "total data size of BatchWriteRow request exceeds the limit"),
    ):
        with pytest.raises(ParameterInvalid, match=text):
            tables.write_batch(batch)
    assert cells(tables) is None
    tables.write_batch([("t", [one] * 200)])


@pytest.mark.parametrize("is_atomic", [False, True])
def test_rows_that_a_batch_updates_take_so_much_memory(
    tables: Tables, monkeypatch: pytest.MonkeyPatch, is_atomic: bool
) -> None:
    """Of large rows small updates hold all; what has no room says so, and the rest is written."""
    schema = TableSchema("t", (KeyColumn("p", ColumnType.STRING), KeyColumn("i", ColumnType.INTEGER)))
    tables.create(schema)
    keys = [(("p", "x"), ("i", i)) for i in range(4)]
    for key in keys:
        tables.write("t", RowChange(ChangeKind.PUT, key, [("a", "x" * 10_000, None, PUT)]))
    monkeypatch.setattr("lutra.model.limits.BATCH_HELD_BYTES_MAX", 15_000)
    updates = [RowChange(ChangeKind.UPDATE, key, [("b", 1, None, PUT)]) for key in keys]
    [results] = tables.write_batch([("t", updates)], is_atomic=is_atomic)
    failed = [isinstance(result, BatchTooLarge) for result in results]
    assert failed == ([True] * 4 if is_atomic else [False, False, True, True])
    rows = [tables.read("t", key, ReadOptions()).row for key in keys]
    assert [len(row.cells) == 1 for row in rows if row is not None] == failed
    assert "take more than 15000 bytes together" in str(results[3])


def test_a_change_that_is_wrong_in_itself_fails_the_whole_batch(tables: Tables) -> None:
    """Also where it comes behind one that does not fit its table, or its own table is not there."""
    create(tables)
    good = RowChange(ChangeKind.PUT, KEY, [("a", 1, None, PUT)])
    misfit = RowChange(ChangeKind.PUT, (("pk", 7),), [("a", 1, None, PUT)])
    pattern = SingleColumn(Comparator.EQUAL, "a", "1", transfer=ValueTransfer("(", ColumnType.STRING))
    for wrong, text in (
        (RowChange(ChangeKind.PUT, KEY, [("#a", 1, None, PUT)]), r"^Invalid column name: '#a'\.$"),
        (RowChange(ChangeKind.UPDATE, KEY, [("a", b"x" * (2**21 + 1), None, PUT)]), "exceeds the MaxLength:2097152"),
        (RowChange(ChangeKind.PUT, (("pk", INF_MIN),), []), "^VT_INF_MIN is an invalid type for the primary key"),
        (RowChange(ChangeKind.DELETE, tuple((f"pk{i}", 1) for i in range(5))), "number of primary key columns"),
        (RowChange(ChangeKind.DELETE, (("pk", "x" * 1025),)), "exceeds the MaxLength:1024 with CurrentLength:1025"),
        (
            RowChange(ChangeKind.PUT, KEY, [("a", 1, INT64_MAX, PUT)]),
            r"^Timestamp must be in range \[0, INT64_MAX/1000",
        ),
        (RowChange(ChangeKind.PUT, (("pk", 7),), [("#a", 1, None, PUT)]), "^Invalid column name"),
        (RowChange(ChangeKind.UPDATE, KEY, []), "^Attribute column is missing"),
        (RowChange(ChangeKind.DELETE, (("pk", 7),), [], Condition(columns=pattern)), "regular expression"),
    ):
        for batch in ([("t", [good, misfit, wrong])], [("t", [good]), ("none", [wrong])]):
            with pytest.raises(ParameterInvalid, match=text):
                tables.write_batch(batch)
    assert cells(tables) is None
    late = RowChange(
        ChangeKind.PUT, (("pk", "b"),), [("a", 1, 5, PUT)]
    )  # which times a table takes is the table's to say
    (results,) = tables.write_batch([("t", [misfit, late, good])])
    assert [type(one) for one in results] == [InvalidPrimaryKey, ParameterInvalid, WriteResult]


def test_a_batch_counts_names_values_and_sent_timestamps(tables: Tables, clock) -> None:
    """200 rows of 500 small columns: 3.6 MB, though they are stored in more than 4."""
    create(tables, max_versions=2)

    def rows(timestamp_ms: int | None, size: int) -> list[RowChange]:
        cells: list[CellChange] = [(f"c{i:03}", "x" * size, timestamp_ms, PUT) for i in range(500)]
        return [RowChange(ChangeKind.PUT, (("pk", f"{i:04}"),), cells) for i in range(200)]

    (results,) = tables.write_batch([("t", rows(None, 32))])
    assert {type(one) for one in results} == {WriteResult}
    bytes_of_row = len("pk") + 4 + 500 * (4 + 32 + 8)
    with pytest.raises(ParameterInvalid, match=f"limit size: 4194304, data size: {200 * bytes_of_row}"):
        tables.write_batch([("t", rows(clock.ms, 32))])


def test_errors_in_a_batch_stay_with_their_row(tables: Tables, space: TableSpace) -> None:
    create(tables)

    def change(key: object, *cells: CellChange, condition: Condition = Condition()) -> RowChange:  # noqa: B008
        return RowChange(ChangeKind.PUT, (("pk", key),), list(cells), condition)  # type: ignore[arg-type]

    (results,) = tables.write_batch(
        [
            (
                "t",
                [
                    change("a", ("c", 1, None, PUT)),
                    change(7, ("c", 1, None, PUT)),
                    change("b", ("pk", 1, None, PUT)),
                    change("c", ("c", 1, None, PUT), condition=EXIST),
                    change("d", ("c", 1, None, PUT), condition=NOT_EXIST),
                ],
            )
        ]
    )
    assert [getattr(one, "code", "ok") for one in results] == [
        "ok",
        "OTSInvalidPK",
        "OTSParameterInvalid",
        "OTSConditionCheckFail",
        "ok",
    ]
    found = [tables.read("t", (("pk", key),), ALL).row is not None for key in "abcd"]
    assert found == [True, False, False, True]
    table_id = tables.describe("t").table_id
    assert [one.key for one in space.changelog.read(table_id, 0, 9)] == [(("pk", "a"),), (("pk", "d"),)]


def test_the_same_row_twice_in_a_batch_applies_in_order(tables: Tables, space: TableSpace) -> None:
    create(tables)
    changes = [
        RowChange(ChangeKind.PUT, KEY, [("n", 1, None, PUT)]),
        RowChange(ChangeKind.UPDATE, KEY, [("n", 2, None, INCREMENT)]),
        RowChange(ChangeKind.DELETE, KEY),
        RowChange(ChangeKind.UPDATE, KEY, [("n", 40, None, INCREMENT)]),
        RowChange(ChangeKind.UPDATE, KEY, [("n", 2, None, INCREMENT)]),
    ]
    (results,) = tables.write_batch([("t", changes)])
    assert all(isinstance(one, WriteResult) for one in results)
    assert values(tables) == {"n": 42}
    kinds = [one.kind for one in space.changelog.read(tables.describe("t").table_id, 0, 99)]
    assert kinds == [change.kind for change in changes]


def test_the_same_row_twice_in_a_batch_has_no_condition(tables: Tables) -> None:
    create(tables)
    plain = RowChange(ChangeKind.PUT, KEY, [("n", 1, None, PUT)])
    exists = RowChange(ChangeKind.UPDATE, KEY, [("n", 1, None, PUT)], NOT_EXIST)
    column = RowChange(ChangeKind.DELETE, KEY, [], Condition(columns=SingleColumn(Comparator.EQUAL, "n", 1)))
    other = RowChange(ChangeKind.PUT, (("pk", "b"),), [("n", 1, None, PUT)], NOT_EXIST)
    for batch, text in (
        ([plain, exists], "Repeated rows do not support row exist expectation check in BatchModify."),
        ([exists, other, plain], "Repeated rows do not support row exist expectation check in BatchModify."),
        ([column, other, plain], "Repeated rows do not support row condition check in BatchModify."),
    ):
        with pytest.raises(ParameterInvalid) as caught:
            tables.write_batch([("t", batch)])
        assert str(caught.value) == text
    assert cells(tables) is None
    (results,) = tables.write_batch([("t", [plain, other, plain])])
    assert all(isinstance(one, WriteResult) for one in results)


def test_a_batch_over_tables(tables: Tables) -> None:
    create(tables)
    tables.create(TableSchema("u", (KeyColumn("pk", ColumnType.STRING),)))
    one = RowChange(ChangeKind.PUT, KEY, [("a", 1, None, PUT)])
    results = tables.write_batch([("t", [one]), ("u", [one, one])])
    assert [len(part) for part in results] == [1, 2]
    assert tables.read("u", KEY, ALL).row == tables.read("t", KEY, ALL).row
