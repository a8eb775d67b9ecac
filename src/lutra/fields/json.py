"""Objects as columns, or as documents: JSON fields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar, cast

from lutra.fields.capabilities import FieldPart
from lutra.fields.children import ObjectPart
from lutra.fields.hashing import Hasher
from lutra.fields.holder import ObjectsKind
from lutra.fields.kind import FieldKind
from lutra.fields.nested import NestedKind
from lutra.fields.object_column import ObjectColumn
from lutra.fields.sections import SectionsIn, SectionsOut
from lutra.fields.space_fields import KindOf, by_path, open_fields, resident_bytes, write_fields
from lutra.model.arrays import Digests, Docs
from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import FieldSchema, FieldType

P = TypeVar("P", bound=FieldPart)


class JsonNestedKind(NestedKind):
    """As NESTED, by another name."""

    type = FieldType.JSON
    options = "json"


class JsonKind(ObjectsKind):
    """Keys of its objects are fields of the same space: they are stored, found and compared by themselves."""

    type = FieldType.JSON
    options = "json"

    def __init__(self, kind_of: KindOf) -> None:
        super().__init__(kind_of)
        self._nested = JsonNestedKind(kind_of)

    def of(self, field: FieldSchema) -> FieldKind:
        return self._nested if field.is_nested else self

    def check(self, field: FieldSchema) -> None:
        if field.json_type is None:
            raise ParameterInvalid(f"field [{field.name}] is of type JSON: json_type is missing")
        super().check(field)

    def value_bytes(self, field: FieldSchema) -> int:
        return sum(self._kind_of(below).value_bytes(below) for below in field.below())

    def column(self, field: FieldSchema) -> ObjectColumn:
        return ObjectColumn(field, self._kind_of)

    def write(
        self, out: SectionsOut, field: FieldSchema, size: int, inputs: Sequence[FieldPart], renumber: Sequence[Docs]
    ) -> None:
        fields = [cast(ObjectPart, part).fields for part in inputs]
        write_fields(self._kind_of, out, field.below(), size, fields, renumber)

    def resident_bytes(self, sections: SectionsIn, field: FieldSchema) -> int:
        return resident_bytes(self._kind_of, sections, field.below())

    def open(self, sections: SectionsIn, field: FieldSchema, budget_bytes: int | None) -> ObjectPart:
        below = open_fields(self._kind_of, sections, field.below(), budget_bytes)
        return ObjectPart(field, sections.size, list(below), by_path(self._kind_of, below))

    def beside(self, part: P) -> Mapping[str, P]:
        return cast(Mapping[str, P], cast(ObjectPart, part).fields)

    def faults(self, part: FieldPart) -> Iterator[str]:
        yield from ()

    def digest(self, hasher: Hasher, digests: Digests, part: FieldPart) -> None:
        """Nothing: its fields have theirs."""

    def is_same(self, part: FieldPart, doc: int, other: FieldPart, other_doc: int) -> bool:
        """Nothing differs but its fields, which are asked as well."""
        return True
