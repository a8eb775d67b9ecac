"""What can be asked of a field in a part of an index. Which kinds can what is said by `lutra.fields.kind.FieldKind`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, cast

from lutra.geo.part import GeoPart
from lutra.kernels.row_mask import RowMask
from lutra.kernels.selection import Selection
from lutra.model.arrays import Docs
from lutra.model.indexes import FieldSchema
from lutra.scalars.part import ScalarPart
from lutra.text.part import TextPart
from lutra.vectors.part import VectorPart


class FieldPart(Protocol):
    """One field over the documents 0 to ``size`` - 1, unchanging. Thread-safe. All kinds can do this."""

    @property
    def field(self) -> FieldSchema: ...

    @property
    def size(self) -> int: ...

    def exists(self) -> Selection:
        """Documents that have a value."""


class StoredField(FieldPart, Protocol):
    """A field of a segment."""

    @property
    def resident_bytes(self) -> int:
        """In memory beside the cache, at this moment."""


Filterable = ScalarPart
"""Its values can be compared: equal, one of, between, starting with. And sorted by."""
Nearest = VectorPart
"""It can be asked for what is nearest to a vector."""

Searchable = TextPart
"""Its words can be looked for, and scored."""

Located = GeoPart
"""It can be asked for what is in a shape on the earth, and how far."""

Fields = Mapping[str, FieldPart]


class HasPaths(FieldPart, Protocol):
    """A field that is many: what there is at a path below it is a field of its own."""

    def at(self, path: str) -> FieldPart:
        """What there is at ``path``, be it nothing."""


class HasFields(Protocol):
    """A part of an index, or a view of one."""

    @property
    def fields(self) -> Fields: ...


class Children(HasFields, Protocol):
    """What the documents of a space hold of one nested field: documents 0 to ``size`` - 1 of a space of their own.

    They are numbered by their parents, and those of one parent by their place in the array. Unchanging, thread-safe.
    What is read from storage raises StorageFailure where that fails, Corruption where it is damaged.
    """

    @property
    def size(self) -> int: ...

    def parents(self) -> Docs:
        """int32[size], ascending: the document of the enclosing space that each belongs to."""

    def of(self, parents: RowMask) -> RowMask:
        """Those that belong to one of ``parents``, documents of the enclosing space."""

    def living(self, parents: RowMask) -> RowMask:
        """As `of`, where ``parents`` are those that live. The same mask for the last ones that were asked for."""

    def parents_of(self, children: RowMask) -> RowMask:
        """The documents of the enclosing space that hold one of ``children``."""


class Nested(FieldPart, Protocol):
    """Its values are documents. ``size`` and `exists` are of the space that it is in."""

    @property
    def children(self) -> Children: ...


def nested(part: HasFields, name: str) -> Nested:
    """The field ``name``, whose kind `is_nested`: the schema was asked before."""
    return cast(Nested, part.fields[name])


def field_of(part: HasFields, name: str) -> FieldPart:
    """The field ``name``, or what there is at that path: the schema was asked before."""
    found = part.fields.get(name)
    above, below = name, ""
    while found is None:
        above, dot, last = above.rpartition(".")
        if not dot:
            raise KeyError(name)
        below = f"{last}.{below}" if below else last
        whole = part.fields.get(above)
        found = None if whole is None else cast(HasPaths, whole).at(below)
    return found


def filterable(part: HasFields, name: str) -> Filterable:
    """The field ``name``, whose kind `is_filterable`: the schema was asked before."""
    return cast(Filterable, field_of(part, name))


def nearest(part: HasFields, name: str) -> Nearest:
    """The field ``name``, whose kind `is_nearest`: the schema was asked before."""
    return cast(Nearest, part.fields[name])


def located(part: HasFields, name: str) -> Located:
    """The field ``name``, whose kind `is_located`: the schema was asked before."""
    return cast(Located, part.fields[name])


def searchable(part: HasFields, name: str) -> Searchable:
    """The field ``name``, whose kind `is_searchable`: the schema was asked before."""
    return cast(Searchable, part.fields[name])
