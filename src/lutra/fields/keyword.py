"""Strings that are compared as a whole: KEYWORD fields."""

from __future__ import annotations

from lutra.fields.scalar import ScalarKind
from lutra.fields.virtual import Convert, as_string
from lutra.model.indexes import FieldType
from lutra.model.values import ColumnType


class KeywordKind(ScalarKind):
    """Strings in the order of their bytes."""

    type = FieldType.KEYWORD
    column_types = frozenset({ColumnType.STRING})
    virtual_types = frozenset({ColumnType.STRING, ColumnType.INTEGER, ColumnType.DOUBLE})
    is_ordered = True
    is_collapsible = True
    has_strings = True
    sort_type = str

    def conversion(self) -> Convert:
        return as_string
