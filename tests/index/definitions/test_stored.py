"""The columns an index gives back."""

from __future__ import annotations

from lutra.index.definitions.stored import StoredColumns
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, VectorOptions
from lutra.model.rows import Row

SCHEMA = IndexSchema(
    (
        FieldSchema("id", FieldType.LONG),
        FieldSchema("k", FieldType.KEYWORD, store=False),
        FieldSchema("tags", FieldType.KEYWORD, is_array=True),
        FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(2)),
    )
)


def test_values_come_back_as_they_are_in_the_table() -> None:
    row = Row(
        (("id", 1),),
        [("k", "new", 2), ("k", "old", 1), ("other", 1, 1), ("tags", '[ "a","b" ]', 1), ("v", "[1.50, 2]", 1)],
    )
    stored = StoredColumns(SCHEMA)
    assert stored.cells(row) == [("k", "new", 2), ("tags", '[ "a","b" ]', 1), ("v", "[1.50, 2]", 1)]
    assert stored.names == {"id", "k", "tags", "v"}


def test_values_that_filters_do_not_see_come_back_too() -> None:
    cells = [("k", "x" * 5_000, 2), ("tags", "x", 1), ("v", "[1]", 1)]
    assert StoredColumns(SCHEMA).cells(Row((("id", 1),), [*cells[:1], ("k", "old", 1), *cells[1:]])) == cells
