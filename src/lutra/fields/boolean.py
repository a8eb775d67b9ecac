"""Truth values: BOOLEAN fields."""

from __future__ import annotations

from lutra.fields.scalar import ScalarKind
from lutra.model.indexes import FieldType
from lutra.model.values import ColumnType


class BooleanKind(ScalarKind):
    """True or false."""

    type = FieldType.BOOLEAN
    column_types = virtual_types = frozenset({ColumnType.BOOLEAN})
    sort_type = bool
