"""Points in time: DATE fields."""

from __future__ import annotations

from lutra.fields.scalar import ScalarKind
from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import FieldSchema, FieldType
from lutra.model.values import ColumnType
from lutra.scalars.dates import DateFormats


class DateKind(ScalarKind):
    """Nanoseconds since the epoch, read from numbers and strings by the field's formats."""

    type = FieldType.DATE
    options = "date"
    is_ordered = True
    is_date = True
    sort_type = int
    column_types = virtual_types = frozenset({ColumnType.INTEGER, ColumnType.STRING})

    def check(self, field: FieldSchema) -> None:
        try:
            DateFormats(field.date_formats)
        except ParameterInvalid as error:
            raise ParameterInvalid(f"field [{field.name}]: {error}") from None
        super().check(field)
