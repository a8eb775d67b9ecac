"""The texts of a row's fields, those of the objects in its columns among them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from lutra.fields.objects import flat, objects_in, read_json
from lutra.model.indexes import FieldSchema, IndexSchema
from lutra.model.rows import Row
from lutra.model.values import Value
from lutra.text.values import texts_of


class RowTexts:
    """Of one row, as its index reads it: JSON is read once."""

    def __init__(self, schema: IndexSchema, row: Row) -> None:
        self._columns = {field.name: field for field in schema.fields}
        self._row = row
        self._read: dict[str, Any] = {}

    def of(self, field: FieldSchema, offsets: Sequence[int] = ()) -> list[str]:
        """Those of a TEXT field, in the document at ``offsets``: its place in each array that the path leads through.

        None at all where the row has changed since, and is another.
        """
        name = next(name for name in _prefixes(field.name) if name in self._columns)
        column = self._columns[name]
        value = _newest(self._row, column.column)
        if value is None:
            return []
        if name == field.name:
            return texts_of(field, value) or []
        if name not in self._read:
            self._read[name] = read_json(value)
        below = field.name.removeprefix(f"{name}.").split(".")
        return list(_texts(column, self._read[name], below, iter(offsets)))


def _texts(field: FieldSchema, value: Any, names: Sequence[str], offsets: Iterator[int]) -> Iterator[str]:
    """Of the field that ``names`` lead to, below ``field``, which holds ``value``."""
    objects = objects_in(value) or []
    if field.is_nested:
        objects = objects[(at := next(offsets)) : at + 1]
    below = next(sub for sub in field.fields if sub.name == names[0])
    values = [inner for one in objects if (inner := one.get(below.name)) is not None]
    if below.fields:
        yield from _texts(below, flat(values), names[1:], offsets)
    else:
        yield from (text for text in flat(values) if type(text) is str)


def _prefixes(path: str) -> Iterator[str]:
    """``a.b.c``, ``a.b``, ``a`` of ``a.b.c``: names of columns may have dots."""
    while path:
        yield path
        path = path.rpartition(".")[0]


def _newest(row: Row, name: str) -> Value | None:
    """The value of a column: its newest version comes first."""
    values = (cell[1] for cell in row.cells if cell[0] == name)
    keys = (value for own, value in row.key if own == name)
    return next(values, next(keys, None))
