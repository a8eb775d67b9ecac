"""What Lutra knows of a kind of field."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final, Protocol, TypeVar

from lutra.fields.capabilities import FieldPart, Fields, StoredField
from lutra.fields.hashing import Hasher
from lutra.fields.sections import SectionsIn, SectionsOut
from lutra.model import limits
from lutra.model.arrays import Digests, Docs
from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import FieldSchema, FieldType
from lutra.model.values import ColumnType, Value

P = TypeVar("P", bound=FieldPart)
PythonTypes = frozenset[type]

_OPTIONS: Final = {
    "vector": ("vector options", "VECTOR"),
    "text": ("text options", "TEXT"),
    "date": ("date formats", "DATE"),
}
ARRAY_COLUMN_TYPES: Final = frozenset({ColumnType.STRING})


class Column(Protocol):
    """A growable field of a buffer; one writer.

    Values are staged one by one, settled in bulk (the costly part) and published at once; only what is published is in
    a view.
    """

    @property
    def field(self) -> FieldSchema: ...

    def stage(self, doc: int, value: Value) -> bool:
        """Takes the value of ``doc``, later than all before it; False where it clearly is none of this field."""

    def settle(self) -> int:
        """Returns how many more of the values turned out to be none of this field."""

    def publish(self) -> None:
        """Makes what is settled part of the next view."""

    def view(self, size: int) -> FieldPart:
        """The column over the first ``size`` documents; all that is published must lie below."""

    @property
    def size_bytes(self) -> int:
        """Memory that its values take beside what their kind says of each (`FieldKind.value_bytes`)."""

    def compacted(self, renumber: Docs) -> Column:
        """A new column without the documents whose new number in ``renumber`` is negative."""


class FieldKind(ABC):
    """One kind of field, whatever becomes of its values: declared, read, buffered, stored, merged, checked."""

    type: ClassVar[FieldType]
    column_types: ClassVar[frozenset[ColumnType]]
    """Of table columns that such a field can be fed from."""
    virtual_types: ClassVar[frozenset[ColumnType]] = frozenset()
    """Of table columns that a virtual one can be fed from; an array from STRING alone."""
    options: ClassVar[str] = ""
    """Which of a field's options are its own: ``vector``, ``text``, ``date``, ``json`` or none."""
    is_filterable: ClassVar[bool] = False
    """Whether its parts are `lutra.fields.capabilities.Filterable`."""
    is_nearest: ClassVar[bool] = False
    """Whether its parts are `lutra.fields.capabilities.Nearest`."""
    is_searchable: ClassVar[bool] = False
    """Whether its parts are `lutra.fields.capabilities.Searchable`."""
    is_nested: ClassVar[bool] = False
    """Whether its parts are `lutra.fields.capabilities.Nested`."""
    is_located: ClassVar[bool] = False
    """Whether its parts are `lutra.fields.capabilities.Located`."""
    is_ordered: ClassVar[bool] = False
    """Whether its values can be compared as less and more."""
    is_number: ClassVar[bool] = False
    """Whether its values can be reckoned with: LONG and DOUBLE."""
    is_date: ClassVar[bool] = False
    """Whether its values are points in time."""
    is_collapsible: ClassVar[bool] = False
    """Whether a search can return one row for each of its values."""
    has_strings: ClassVar[bool] = False
    """Whether queries for strings go with it: prefixes, patterns, matches."""
    sort_type: ClassVar[Any] = None
    """What a search sorts by in Python; None where it cannot."""
    is_counted: ClassVar[bool] = False
    """Whether its parts give their values by document: aggregations can count them."""
    is_grouped: ClassVar[bool] = False
    """Whether rows can be grouped by its values."""
    fields_max: ClassVar[int] = limits.INDEX_FIELDS_MAX
    """Of the kind in one index."""
    may_be_key: ClassVar[bool] = True
    """Whether it can be fed from a primary key column."""
    holds_objects: ClassVar[bool] = False
    """Whether it has sub-fields."""
    json_types: ClassVar[PythonTypes] = frozenset()
    """What one value of it may be in an object, beside text, numbers and truth values: ``list``, ``dict``."""
    reads_lists: ClassVar[bool] = False
    """Whether its columns take arrays as lists, too: those of objects, which need not become text again for it."""
    counts_strings: ClassVar[bool] = False
    """Whether strings count towards the memory that a buffer takes, beside `value_bytes`."""

    def of(self, field: FieldSchema) -> FieldKind:
        """The kind that ``field`` is of: another one where a type has two."""
        return self

    @property
    def is_sortable(self) -> bool:
        """Whether a search can sort by it."""
        return self.sort_type is not None

    def check(self, field: FieldSchema) -> None:
        """Raises ParameterInvalid where the field's options make no sense."""
        given = {"vector": field.vector is not None, "text": field.text is not None, "date": bool(field.date_formats)}
        for options, (what, owner) in _OPTIONS.items():
            if given[options] and self.options != options:
                raise ParameterInvalid(
                    f"field [{field.name}] is of type {field.type.name}: {what} go with {owner} only"
                )
        if field.is_virtual and not self.virtual_types:
            raise ParameterInvalid(f"field [{field.name}] is of type {field.type.name}: it cannot be virtual")
        if field.is_virtual and len(field.sources) != 1:
            raise ParameterInvalid(f"virtual field [{field.name}] has one source field, not {len(field.sources)}")
        if field.sources and not field.is_virtual:
            raise ParameterInvalid(f"field [{field.name}] is not virtual: it has no source field")
        if field.fields and not self.holds_objects:
            raise ParameterInvalid(
                f"field [{field.name}] is of type {field.type.name}: sub-fields go with NESTED and JSON only"
            )
        if field.json_type is not None and self.options != "json":
            raise ParameterInvalid(f"field [{field.name}] is of type {field.type.name}: json_type goes with JSON only")

    def check_column(self, field: FieldSchema, column: ColumnType) -> None:
        """Raises ParameterInvalid where ``field`` cannot be fed from a column of that type."""
        allowed = self.virtual_types if field.is_virtual else self.column_types
        if field.is_array:
            allowed = ARRAY_COLUMN_TYPES
        if column not in allowed:
            kind = f"array of {field.type.name}" if field.is_array else field.type.name
            raise ParameterInvalid(
                f"field [{field.name}] of type {kind} does not go with a column of type {column.value}, "
                f"allow [{', '.join(sorted(t.value for t in allowed))}]"
            )

    def conversion(self) -> Callable[[Any], Any] | None:
        """What makes of a value of `virtual_types` what a field takes; None where it takes them as they are."""
        return None

    @abstractmethod
    def value_bytes(self, field: FieldSchema) -> int:
        """About what a value takes in a buffer."""

    @abstractmethod
    def column(self, field: FieldSchema) -> Column:
        """An empty one, for a buffer."""

    @abstractmethod
    def write(
        self, out: SectionsOut, field: FieldSchema, size: int, inputs: Sequence[FieldPart], renumber: Sequence[Docs]
    ) -> None:
        """Writes the values of ``inputs``, of buffers and segments, as a field of a segment of ``size`` documents.

        ``renumber`` (int32[size of the input], one each): the new number of each document, -1 where it is left out.
        Raises Corruption, StorageFailure where an input cannot be read.
        """

    def is_written_last(self, field: FieldSchema) -> bool:
        """In a segment: opening the field reads the end of its object first."""
        return False

    def resident_bytes(self, sections: SectionsIn, field: FieldSchema) -> int:
        """What the field would keep in memory where there is plenty, and works without."""
        return 0

    @abstractmethod
    def open(self, sections: SectionsIn, field: FieldSchema, budget_bytes: int | None) -> StoredField:
        """The field of a segment. ``budget_bytes``: of `resident_bytes`; None: all it wants.

        Raises Corruption where what is stored is of another schema, or damaged; StorageFailure.
        """

    def beside(self, part: P) -> Mapping[str, P]:
        """Fields of the same space that a part of this kind has below it, by full path."""
        return {}

    def within(self, part: FieldPart) -> Fields:
        """Fields of the space below a part of this kind, by full path."""
        return {}

    @abstractmethod
    def faults(self, part: FieldPart) -> Iterator[str]:
        """Where what finds documents does not agree with the values by document, of a field of a segment."""

    @abstractmethod
    def digest(self, hasher: Hasher, digests: Digests, part: FieldPart) -> None:
        """Adds a hash of each value to the digest of its document (uint64[size])."""

    @abstractmethod
    def is_same(self, part: FieldPart, doc: int, other: FieldPart, other_doc: int) -> bool:
        """Whether a document of a buffer has the values that one of a segment has."""
