"""The growable column of objects whose keys are fields of the same space."""

from __future__ import annotations

from typing import Any

from lutra.fields.children import ObjectPart
from lutra.fields.columns_below import ColumnsBelow
from lutra.fields.objects import flat, objects_in, read_json
from lutra.fields.space_fields import KindOf, by_path
from lutra.model.arrays import Docs
from lutra.model.indexes import FieldSchema
from lutra.model.values import Value


class ObjectColumn:
    """Growable values of all fields below one; one writer. A `lutra.fields.objects.ObjectsColumn`.

    Objects in an array give all their values to one document. A value that is no object and no array of them is left
    out; what does not fit a field is left out alone, with all that the document has of that field.
    """

    def __init__(self, field: FieldSchema, kind_of: KindOf, below: ColumnsBelow | None = None) -> None:
        """``below``: columns of its fields, where there are some already."""
        self.field = field
        self._kind_of = kind_of
        self._below = ColumnsBelow(field, kind_of) if below is None else below
        self._holding = {key for key, one in self._below.fields.items() if kind_of(one).holds_objects}

    def stage(self, doc: int, value: Value) -> bool:
        """Takes the value of ``doc``, later than all before it; False where it does not fit the field."""
        return self.stage_read(doc, read_json(value))

    def stage_read(self, doc: int, value: Any) -> bool:
        """As `stage`, of what JSON was read to."""
        objects = objects_in(value)
        if objects is None:
            return False
        for key, field in self._below.fields.items():
            values = [element for one in objects if (element := one.get(key)) is not None]
            if values:
                self._stage_field(doc, key, field, values)
        return True

    def _stage_field(self, doc: int, key: str, field: FieldSchema, values: list[Any]) -> None:
        """``values``: of one field in all objects, some perhaps arrays."""
        if key in self._holding or field.is_array:
            self._below.stage(key, doc, flat(values))
        elif len(values) == 1:
            self._below.stage(key, doc, values[0])
        else:
            self._below.leave_out()

    def settle(self) -> int:
        """As `Column.settle`; counts values of its fields."""
        return self._below.settle()

    def publish(self) -> None:
        """Makes what is settled part of the next view."""
        self._below.publish()

    def view(self, size: int) -> ObjectPart:
        """The column over the first ``size`` documents; all that is published must lie below."""
        below = self._below.views(size)
        return ObjectPart(self.field, size, below, by_path(self._kind_of, below))

    @property
    def size_bytes(self) -> int:
        """Memory beside what is known of each document: of texts, and of documents below it."""
        return self._below.size_bytes

    def compacted(self, renumber: Docs) -> ObjectColumn:
        """A new column without the documents whose new number in ``renumber`` is negative."""
        return ObjectColumn(self.field, self._kind_of, self._below.compacted(renumber))
