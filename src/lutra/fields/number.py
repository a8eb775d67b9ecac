"""Numbers: LONG and DOUBLE fields."""

from __future__ import annotations

from lutra.fields.scalar import ScalarKind
from lutra.model.indexes import FieldType
from lutra.model.values import ColumnType


class LongKind(ScalarKind):
    """Whole numbers of 64 bits."""

    type = FieldType.LONG
    column_types = frozenset({ColumnType.INTEGER})
    is_ordered = True
    is_number = True
    sort_type = int


class DoubleKind(ScalarKind):
    """float64; whole numbers are taken as that."""

    type = FieldType.DOUBLE
    column_types = frozenset({ColumnType.DOUBLE, ColumnType.INTEGER})
    is_ordered = True
    is_number = True
    sort_type = float
