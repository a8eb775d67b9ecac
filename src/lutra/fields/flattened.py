"""JSON objects whose leaves are found by their paths, whatever these are: FLATTENED fields."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

from lutra.fields.capabilities import FieldPart
from lutra.fields.hashing import Hasher
from lutra.fields.kind import Column
from lutra.fields.scalar import ScalarKind
from lutra.fields.sections import SectionsIn, SectionsOut
from lutra.model.arrays import Digests, Docs
from lutra.model.indexes import FieldSchema, FieldType
from lutra.model.values import ColumnType, Value
from lutra.scalars.column import ScalarColumn
from lutra.scalars.flattened import LeavesPart
from lutra.scalars.part import ScalarPart
from lutra.scalars.segment_column import SegmentColumn


class Leaves(LeavesPart):
    """A FLATTENED field of a part: what is asked for without a path is looked for in all leaves."""

    def __init__(self, column: ScalarPart) -> None:
        super().__init__(column, column.field, "")
        self.column = column
        """The leaves with their paths: what is stored, merged and checked."""


class StoredLeaves(Leaves):
    """Of a segment."""

    def __init__(self, column: SegmentColumn) -> None:
        super().__init__(column)
        self._stored = column

    @property
    def resident_bytes(self) -> int:
        return self._stored.resident_bytes


class LeavesColumn:
    """A growable FLATTENED field of a buffer."""

    def __init__(self, column: ScalarColumn) -> None:
        self._column = column

    @property
    def field(self) -> FieldSchema:
        return self._column.field

    def stage(self, doc: int, value: Value) -> bool:
        return self._column.stage(doc, value)

    def settle(self) -> int:
        return self._column.settle()

    def publish(self) -> None:
        self._column.publish()

    def view(self, size: int) -> Leaves:
        return Leaves(self._column.view(size))

    @property
    def size_bytes(self) -> int:
        """Leaves take many times what their objects' text does: they are counted as what they are."""
        return self._column.held_bytes

    def compacted(self, renumber: Docs) -> LeavesColumn:
        return LeavesColumn(self._column.compacted(renumber))


class FlattenedKind(ScalarKind):
    """Leaves are compared as keywords; ``field.some.path`` asks for those at a path."""

    type = FieldType.FLATTENED
    column_types = virtual_types = frozenset({ColumnType.STRING})
    is_ordered = True
    has_strings = True
    sort_type = str
    counts_strings = False
    json_types = frozenset({dict})
    reads_lists = False

    def column(self, field: FieldSchema) -> Column:
        return LeavesColumn(ScalarColumn(field))

    def write(
        self, out: SectionsOut, field: FieldSchema, size: int, inputs: Sequence[FieldPart], renumber: Sequence[Docs]
    ) -> None:
        super().write(out, field, size, [_column_of(part) for part in inputs], renumber)

    def open(self, sections: SectionsIn, field: FieldSchema, budget_bytes: int | None) -> StoredLeaves:
        return StoredLeaves(self.opened(sections, field))

    def faults(self, part: FieldPart) -> Iterator[str]:
        yield from super().faults(_column_of(part))

    def digest(self, hasher: Hasher, digests: Digests, part: FieldPart) -> None:
        super().digest(hasher, digests, _column_of(part))

    def is_same(self, part: FieldPart, doc: int, other: FieldPart, other_doc: int) -> bool:
        return super().is_same(_column_of(part), doc, _column_of(other), other_doc)


def _column_of(part: FieldPart) -> ScalarPart:
    return cast(Leaves, part).column
