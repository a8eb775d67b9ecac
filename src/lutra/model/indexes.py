"""What a search index is made of: fields and settings."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from lutra.model.queries import Sorter


class FieldType(enum.IntEnum):
    """The numbers are the protocol's FieldType. Types the protocol has and Lutra does not yet serve are absent."""

    LONG = 1
    DOUBLE = 2
    BOOLEAN = 3
    KEYWORD = 4
    TEXT = 5
    NESTED = 6
    GEO_POINT = 7
    DATE = 8
    VECTOR = 9
    FUZZY_KEYWORD = 10
    IP = 11
    JSON = 12
    FLATTENED = 13


class JsonType(enum.IntEnum):
    """What a JSON field makes of objects in an array; the numbers are the protocol's."""

    OBJECT = 1
    """Each sub-field has the values of all of them together."""
    NESTED = 2
    """Each is a document, as those of a NESTED field."""


class Metric(enum.IntEnum):
    """The numbers are the protocol's VectorMetricType."""

    EUCLIDEAN = 0
    COSINE = 1
    DOT_PRODUCT = 2


@dataclass(frozen=True, slots=True)
class VectorOptions:
    """float32 vectors of ``dimension`` (1 to 4096)."""

    dimension: int
    metric: Metric = Metric.EUCLIDEAN


class TextSimilarity(enum.IntEnum):
    """How a TEXT field scores; the numbers are the protocol's. SHORT_TEXT, which it has as well, is not served."""

    BM25 = 1


@dataclass(frozen=True, slots=True)
class SingleWordParameters:
    """Of the analyzer ``single_word``. None, here and below, is what was not said: the default holds."""

    case_sensitive: bool | None = None
    delimit_word: bool | None = None
    """Whether letters and digits that touch are words of their own."""


@dataclass(frozen=True, slots=True)
class SplitParameters:
    """Of the analyzer ``split``. Without a ``delimiter``, white space is one."""

    delimiter: str | None = None
    case_sensitive: bool | None = None


@dataclass(frozen=True, slots=True)
class FuzzyParameters:
    """Of the analyzer ``fuzzy``: how many characters its words have."""

    min_chars: int | None = None
    max_chars: int | None = None
    case_sensitive: bool | None = None


AnalyzerParameters = SingleWordParameters | SplitParameters | FuzzyParameters


@dataclass(frozen=True, slots=True)
class TextOptions:
    """How a TEXT field is cut into words and scored. All of it is kept as it was said, or not said.

    ``analyzer`` None means ``single_word``; which there are, and what they do: `lutra.text.analyzers`.
    """

    analyzer: str | None = None
    parameters: AnalyzerParameters | None = None
    similarity: TextSimilarity | None = None
    highlighting: bool | None = None
    """Whether a search may ask for the field's words to be highlighted."""


@dataclass(frozen=True, slots=True)
class FieldSchema:
    """One field of a search index.

    Its name is the table column it is fed from, unless it is virtual; or the key in an object, of a field below one.


    A VECTOR column holds a JSON string ``"[0.1, 0.2]"`` or little-endian float32 bytes. An array column holds a JSON
    string ``'["a", "b"]'``. ``text`` goes with TEXT fields, where None says nothing. ``date_formats`` apply to DATE
    fields fed from strings. Flags are None where they were not said: see ``is_indexed``, ``is_sortable``. A virtual
    field is fed from the one column that ``sources`` names, whose values may be of another type.
    """

    name: str
    type: FieldType
    index: bool | None = None
    sort_and_aggregate: bool | None = None
    store: bool | None = None
    is_array: bool = False
    vector: VectorOptions | None = None
    text: TextOptions | None = None
    date_formats: tuple[str, ...] = ()
    is_virtual: bool | None = None
    sources: tuple[str, ...] = ()
    fields: tuple[FieldSchema, ...] = ()
    """What the objects of a NESTED or JSON field have."""
    json_type: JsonType | None = None

    @property
    def column(self) -> str:
        """The table column that it is fed from."""
        return self.sources[0] if self.is_virtual else self.name

    @property
    def is_indexed(self) -> bool:
        """Whether queries may ask for its values."""
        return self.index is not False

    @property
    def is_sortable(self) -> bool:
        """Whether searches may sort by it and aggregate it, as far as its kind goes with that."""
        return self.sort_and_aggregate is not False and self.type not in _UNSORTED

    @property
    def is_nested(self) -> bool:
        """Whether its objects are documents of a space of their own."""
        return self.type is FieldType.NESTED or self.json_type is JsonType.NESTED

    def below(self) -> tuple[FieldSchema, ...]:
        """Its sub-fields by full path. Those of a JSON field of type OBJECT may have several values, whatever they say:
        objects in an array give all of theirs to one document."""
        is_flat = self.type is FieldType.JSON and not self.is_nested
        return tuple(
            replace(sub, name=f"{self.name}.{sub.name}", is_array=sub.is_array or (is_flat and sub.type in _REPEATED))
            for sub in self.fields
        )


_HOLD_OBJECTS: Final = frozenset({FieldType.NESTED, FieldType.JSON})
_UNSORTED: Final = _HOLD_OBJECTS | {FieldType.VECTOR, FieldType.TEXT}
_REPEATED: Final = frozenset(FieldType) - _HOLD_OBJECTS - {FieldType.VECTOR}
"""Types of which a document may have several values where objects in an array are one document."""


def fields_of_space(fields: tuple[FieldSchema, ...]) -> Iterator[FieldSchema]:
    """``fields`` and those below them in the same document space, by full path; each before those below it."""
    for one in fields:
        yield one
        if not one.is_nested:
            yield from fields_of_space(one.below())


@dataclass(frozen=True, slots=True)
class IndexSchema:
    """A search index as CreateSearchIndex gives it. ``ttl_s`` is -1 for ever, else seconds.

    How rows are routed is kept as it was said, or not said; it decides nothing here, where all rows are together.
    ``recall_target``: the share of the true neighbours that searches for vectors are to find, on average, where they do
    not say it; None: what is usual.
    """

    fields: tuple[FieldSchema, ...]
    sort: tuple[Sorter, ...] = ()
    routing_fields: tuple[str, ...] = ()
    ttl_s: int = -1
    routing_partition_size: int | None = None
    recall_target: float | None = None
    spaces: Mapping[str, Mapping[str, FieldSchema]] = field(init=False, repr=False, compare=False)
    """The fields of each document space by full path. The space of rows is ``""``, others go by their nested field."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "spaces", dict(_spaces("", self.fields)))

    @property
    def has_nested(self) -> bool:
        """Whether a row has documents beside its own."""
        return len(self.spaces) > 1

    def field(self, path: str) -> FieldSchema | None:
        """The field at a full path, which is its name there, of whatever space; None where there is none."""
        return next((found for space in self.spaces if (found := self.field_in(space, path)) is not None), None)

    def field_in(self, space: str, path: str) -> FieldSchema | None:
        """As `field`, where it is of that space; of a path below a FLATTENED field a field of what is there."""
        fields = self.spaces[space]
        found, above = fields.get(path), path
        while found is None and "." in above:
            above = above.rpartition(".")[0]
            whole = fields.get(above)
            is_path = whole is not None and whole.type is FieldType.FLATTENED
            found = replace(whole, name=path, is_array=True) if whole is not None and is_path else None
        return found

    def space_of(self, path: str) -> str | None:
        """The path of the nested field whose documents have the field at ``path``: ``""`` is rows. None: no field."""
        return next((space for space in self.spaces if self.field_in(space, path) is not None), None)


def _spaces(path: str, fields: tuple[FieldSchema, ...]) -> Iterator[tuple[str, Mapping[str, FieldSchema]]]:
    own = {one.name: one for one in fields_of_space(fields)}
    yield path, own
    for one in own.values():
        if one.is_nested:
            yield from _spaces(one.name, one.below())


class SyncPhase(enum.IntEnum):
    """The numbers are the protocol's SyncPhase: FULL while filling from the table, INCR while following its changes."""

    FULL = 1
    INCR = 2


@dataclass(frozen=True, slots=True)
class IndexDescription:
    """A search index as DescribeSearchIndex shows it.

    ``synced_us``: every change acknowledged before this time (µs since the epoch) is searchable.
    """

    table: str
    name: str
    schema: IndexSchema
    created_us: int
    phase: SyncPhase
    synced_us: int
    rows: int
    unindexed_values: int
    """Column values left out of the index since it was made: not of their field's type, or too long for it."""
    brother: str | None = None
    """The other index of a re-indexing: the one that may take this one's place, or whose place this one may take."""
    weights: tuple[tuple[str, int], ...] = ()
    """Of a hundred searches by the name of the source, the first, how many go to which of the two; or empty."""

    @property
    def is_source(self) -> bool:
        """Whether another index may take its place."""
        return bool(self.weights) and self.weights[0][0] == self.name


@dataclass(frozen=True, slots=True)
class IndexUpdate:
    """What is to become other of a search index. ``weights`` and ``switch_with`` go alone."""

    ttl_s: int | None = None
    added: tuple[FieldSchema, ...] = ()
    """Fields of which it has none yet."""
    dropped: tuple[str, ...] = ()
    """Names of fields that it has."""
    weights: tuple[tuple[str, int], ...] = ()
    """Of both indexes of a re-indexing, together 100."""
    switch_with: str | None = None
    """The other index of a re-indexing: they exchange their names."""
    recall_target: float | None = None
    """As `IndexSchema` has it."""
