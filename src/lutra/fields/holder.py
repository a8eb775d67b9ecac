"""What the two kinds have in common whose values are objects: those that are documents, and those that are columns."""

from __future__ import annotations

from lutra.fields.kind import FieldKind
from lutra.fields.space_fields import KindOf
from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import FieldSchema
from lutra.model.values import ColumnType


class ObjectsKind(FieldKind):
    """Objects in JSON, whose keys are fields below it."""

    column_types = frozenset({ColumnType.STRING})
    may_be_key = False
    holds_objects = True

    def __init__(self, kind_of: KindOf) -> None:
        self._kind_of = kind_of

    def check(self, field: FieldSchema) -> None:
        if not field.fields:
            raise ParameterInvalid(f"field [{field.name}] is of type {field.type.name}: it has no sub-fields")
        super().check(field)

    def is_written_last(self, field: FieldSchema) -> bool:
        return any(self._kind_of(below).is_written_last(below) for below in field.below())
