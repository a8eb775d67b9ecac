"""What can be asked of a field in a part of an index. Which kinds can what is said by `lutra.fields.kind.FieldKind`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, cast

from lutra.kernels.selection import Selection
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

Fields = Mapping[str, FieldPart]


class HasFields(Protocol):
    """A part of an index, or a view of one."""

    @property
    def fields(self) -> Fields: ...


def filterable(part: HasFields, name: str) -> Filterable:
    """The field ``name``, whose kind `is_filterable`: the schema was asked before."""
    return cast(Filterable, part.fields[name])


def nearest(part: HasFields, name: str) -> Nearest:
    """The field ``name``, whose kind `is_nearest`: the schema was asked before."""
    return cast(Nearest, part.fields[name])


def searchable(part: HasFields, name: str) -> Searchable:
    """The field ``name``, whose kind `is_searchable`: the schema was asked before."""
    return cast(Searchable, part.fields[name])
