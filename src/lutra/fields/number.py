"""Numbers: LONG and DOUBLE fields."""

from __future__ import annotations

from lutra.fields.scalar import ScalarKind
from lutra.fields.virtual import Convert, as_decimal, as_whole
from lutra.model.indexes import FieldType
from lutra.model.values import ColumnType


class LongKind(ScalarKind):
    """Whole numbers of 64 bits."""

    type = FieldType.LONG
    column_types = frozenset({ColumnType.INTEGER})
    virtual_types = frozenset({ColumnType.INTEGER, ColumnType.STRING})
    is_ordered = True
    is_collapsible = True
    is_number = True
    sort_type = int

    def conversion(self) -> Convert:
        return as_whole


class DoubleKind(ScalarKind):
    """float64; whole numbers are taken as that."""

    type = FieldType.DOUBLE
    column_types = frozenset({ColumnType.DOUBLE, ColumnType.INTEGER})
    virtual_types = frozenset({ColumnType.DOUBLE, ColumnType.INTEGER, ColumnType.STRING})
    is_ordered = True
    is_collapsible = True
    is_number = True
    sort_type = float

    def conversion(self) -> Convert:
        return as_decimal
