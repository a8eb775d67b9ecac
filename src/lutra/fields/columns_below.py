"""The growable columns of all fields below one whose values are objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, cast

import numpy as np

from lutra.fields.capabilities import FieldPart
from lutra.fields.kind import Column, FieldKind
from lutra.fields.objects import ObjectsColumn, staged
from lutra.fields.space_fields import KindOf
from lutra.model.arrays import Docs
from lutra.model.indexes import FieldSchema

_ELEMENT_BYTES: Final = 16
_ARRAY: Final[frozenset[type]] = frozenset({list})


class ColumnsBelow:
    """The columns of the fields below ``field``, by the key of each in an object."""

    def __init__(self, field: FieldSchema, kind_of: KindOf, columns: Mapping[str, Column] | None = None) -> None:
        """``columns``: those there are already."""
        below = dict(zip((sub.name for sub in field.fields), field.below(), strict=True))
        self.fields: Mapping[str, FieldSchema] = below
        """By key; their names are full paths."""
        self.value_bytes = sum(kind_of(one).value_bytes(one) for one in below.values())
        """Of a document, about."""
        self._columns = {key: kind_of(one).column(one) for key, one in below.items()} if columns is None else columns
        self._stages = {key: _stage_of(self._columns[key], kind_of(one)) for key, one in below.items()}
        self._counted = {key for key, one in below.items() if kind_of(one).counts_strings}
        self._field = field
        self._kind_of = kind_of
        self._misfits = 0
        self._text_bytes = 0

    def stage(self, key: str, doc: int, value: Any) -> None:
        """Takes what an object of ``doc`` has under ``key``; counts it where it does not fit the field."""
        if not self._stages[key](doc, value):
            self._misfits += 1
        elif key in self._counted:
            self._text_bytes += _text_bytes(value)

    def leave_out(self) -> None:
        """Counts a value that no column was handed."""
        self._misfits += 1

    def settle(self) -> int:
        """As `Column.settle`: how many values did not fit, those included that were seen to when they were staged."""
        misfits = self._misfits + sum(column.settle() for column in self._columns.values())
        self._misfits = 0
        return misfits

    def publish(self) -> None:
        """As `Column.publish`."""
        for column in self._columns.values():
            column.publish()

    def views(self, size: int) -> list[FieldPart]:
        """As `Column.view`, of each field."""
        return [column.view(size) for column in self._columns.values()]

    @property
    def size_bytes(self) -> int:
        """Memory beside `value_bytes`."""
        return self._text_bytes + sum(column.size_bytes for column in self._columns.values())

    def compacted(self, renumber: Docs) -> ColumnsBelow:
        """As `Column.compacted`."""
        columns = {key: column.compacted(renumber) for key, column in self._columns.items()}
        result = ColumnsBelow(self._field, self._kind_of, columns)
        result._text_bytes = self._text_bytes * int(np.count_nonzero(renumber >= 0)) // max(1, len(renumber))
        return result


def _stage_of(column: Column, kind: FieldKind) -> Callable[[int, Any], bool]:
    if kind.holds_objects:
        return cast(ObjectsColumn, column).stage_read
    if kind.reads_lists and column.field.is_array:
        return column.stage
    return partial(staged, column, _ARRAY if column.field.is_array else kind.json_types)


def _text_bytes(value: Any) -> int:
    if type(value) is str:
        return len(value)
    return sum(map(_text_bytes, value), _ELEMENT_BYTES * len(value)) if type(value) is list else 0
