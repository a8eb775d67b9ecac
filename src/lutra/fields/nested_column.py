"""The growable column of a nested field: each value is documents of a space of its own, which have columns, too."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from lutra.fields.children import ChildDocuments, NestedPart
from lutra.fields.columns_below import ColumnsBelow
from lutra.fields.objects import objects_in, read_json
from lutra.fields.space_fields import KindOf, by_path
from lutra.model.arrays import Docs
from lutra.model.growable import Growable
from lutra.model.indexes import FieldSchema
from lutra.model.limits import NESTED_ROWS_MAX
from lutra.model.values import Value

_CHILD_BYTES: Final = 8
"""Of a document beside its fields: its parent."""


class NestedColumn:
    """Growable documents of one nested field; one writer. A `lutra.fields.objects.ObjectsColumn`.

    A value that is no array of objects, or one of too many, is left out. What does not fit a field of an object is left
    out alone.
    """

    def __init__(self, field: FieldSchema, kind_of: KindOf, below: ColumnsBelow | None = None) -> None:
        """``below``: columns of the documents, where there are some already."""
        self.field = field
        self._kind_of = kind_of
        self._below = ColumnsBelow(field, kind_of) if below is None else below
        self._parents = Growable(np.int32)
        self._staged: list[int] = []

    def stage(self, doc: int, value: Value) -> bool:
        """Takes the value of ``doc``, later than all before it; False where it does not fit the field."""
        return self.stage_read(doc, read_json(value))

    def stage_read(self, doc: int, value: Any) -> bool:
        """As `stage`, of what JSON was read to."""
        objects = objects_in(value)
        if objects is None or len(objects) > NESTED_ROWS_MAX:
            return False
        below, fields = self._below, self._below.fields
        for child, one in enumerate(objects, self._parents.size + len(self._staged)):
            for key, element in one.items():
                if element is not None and key in fields:
                    below.stage(key, child, element)
        self._staged += [doc] * len(objects)
        return True

    def settle(self) -> int:
        """As `Column.settle`; counts values of the documents' fields."""
        return self._below.settle()

    def publish(self) -> None:
        """Makes what is settled part of the next view."""
        self._below.publish()
        self._parents.extend(self._staged)
        self._staged = []

    def view(self, size: int) -> NestedPart:
        """The column over the first ``size`` documents; all that is published must lie below."""
        parents = self._parents.view()
        fields = by_path(self._kind_of, self._below.views(len(parents)))
        return NestedPart(self.field, size, ChildDocuments(len(parents), size, fields, lambda: parents))

    @property
    def size_bytes(self) -> int:
        """Memory that the documents take."""
        return self._parents.size * (_CHILD_BYTES + self._below.value_bytes) + self._below.size_bytes

    def compacted(self, renumber: Docs) -> NestedColumn:
        """A new column without the documents whose new number in ``renumber`` is negative, and what they hold."""
        parents = renumber[self._parents.view()]
        kept = parents >= 0
        children = np.where(kept, np.cumsum(kept, dtype=np.int32) - 1, -1).astype(np.int32)
        result = NestedColumn(self.field, self._kind_of, self._below.compacted(children))
        result._parents.extend(parents[kept])
        return result
