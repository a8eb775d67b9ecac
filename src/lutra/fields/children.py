"""The documents that those of a space hold of a nested field, in a buffer and in a segment alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lutra.fields.capabilities import FieldPart, Fields, StoredField
from lutra.fields.child_counts import ChildCounts
from lutra.kernels.row_mask import RowMask
from lutra.kernels.selection import Selection
from lutra.model.arrays import Docs
from lutra.model.indexes import FieldSchema


class ChildDocuments:
    """A `lutra.fields.capabilities.Children`."""

    def __init__(self, size: int, enclosing: int, fields: Fields, read_parents: Callable[[], Docs]) -> None:
        """``enclosing``: documents of the enclosing space. ``read_parents``: is asked once, and may raise."""
        self.size = size
        self.fields = fields
        self._enclosing = enclosing
        self._read_parents = read_parents
        self._parents: Docs | None = None
        self._living: tuple[RowMask, RowMask] | None = None

    @property
    def resident_bytes(self) -> int:
        """What is kept in memory, but for fields."""
        parents = self._parents
        return 0 if parents is None else parents.nbytes

    def parents(self) -> Docs:
        """int32[size], ascending: the document of the enclosing space that each belongs to."""
        parents = self._parents
        if parents is None:
            parents = self._parents = self._read_parents()
        return parents

    def of(self, parents: RowMask) -> RowMask:
        """Those that belong to one of ``parents``, documents of the enclosing space."""
        if parents.count == parents.rows:
            return RowMask.all(self.size)
        return parents.turned(self.parents())

    def living(self, parents: RowMask) -> RowMask:
        """As `of`, where ``parents`` are those that live. The same mask for the last ones that were asked for."""
        living = self._living
        if living is None or living[0] is not parents:
            living = self._living = parents, self.of(parents)
        return living[1]

    def parents_of(self, children: RowMask) -> RowMask:
        """The documents of the enclosing space that hold one of ``children``."""
        return children.gathered(self.parents(), self._enclosing)

    def holders(self) -> Selection:
        """The documents of the enclosing space that hold any."""
        return Selection(min(self.size, self._enclosing), lambda: RowMask.of_rows(self.parents(), self._enclosing))


class NestedPart:
    """A `lutra.fields.capabilities.Nested` over the documents 0 to ``size`` - 1."""

    def __init__(self, field: FieldSchema, size: int, children: ChildDocuments) -> None:
        self.field = field
        self.size = size
        self.children = children

    def exists(self) -> Selection:
        """Documents that hold any."""
        return self.children.holders()


class SegmentNested(NestedPart):
    """One of a segment."""

    def __init__(
        self,
        field: FieldSchema,
        size: int,
        children: ChildDocuments,
        fields: Mapping[str, StoredField],
        counts: ChildCounts,
    ) -> None:
        """``fields``: those of ``children``."""
        super().__init__(field, size, children)
        self.counts = counts
        """For checks."""
        self._fields = fields

    @property
    def resident_bytes(self) -> int:
        """In memory beside the cache, at this moment."""
        return self.children.resident_bytes + sum(field.resident_bytes for field in self._fields.values())


class ObjectPart:
    """Objects whose keys are fields of the same space, over the documents 0 to ``size`` - 1: ``fields``, by full path.

    ``below``: those of them that are not below another one.
    """

    resident_bytes = 0
    """What its fields keep is theirs."""

    def __init__(self, field: FieldSchema, size: int, below: list[FieldPart], fields: Mapping[str, FieldPart]) -> None:
        self.field = field
        self.size = size
        self.fields = fields
        self._below = below

    def exists(self) -> Selection:
        """Documents that have a value in any field."""
        found = [part.exists() for part in self._below]
        most = min(self.size, sum(selection.estimate for selection in found))
        return Selection(most, lambda: RowMask.at_least(1, [selection.mask() for selection in found], self.size))
