"""The fields of a search index as the form shows them: which operators, sorters and aggregations go with each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from lutra.console.search import bounds
from lutra.console.search.node import Node
from lutra.fields.kind import FieldKind
from lutra.fields.kinds import kind_of
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema
from lutra.model.schema import KeyColumn

PRESENCE: Final = ("has", "lacks")
EQUALITY: Final = ("is", "is_not", "in", "not_in")
ORDER: Final = ("from", "above", "to", "below", "between")
PATTERNS: Final = ("starts", "ends", "like")
WORDS: Final = ("any_words", "all_words", "phrase")
PLACES: Final = ("around", "box", "polygon")


@dataclass(frozen=True, slots=True)
class SearchField:
    """A field, by its full path, and the path of the nested field whose documents have it; empty: rows do."""

    schema: FieldSchema
    space: str = ""
    is_path: bool = False
    """Whether it is what a FLATTENED field has at a path."""

    @property
    def name(self) -> str:
        return self.schema.name

    @property
    def kind(self) -> FieldKind:
        return kind_of(self.schema)

    @property
    def operators(self) -> tuple[str, ...]:
        """What a condition may say of it."""
        kind = self.kind
        if not self.schema.is_indexed or kind.is_nested:
            return ()
        if kind.is_searchable:
            return (*WORDS, *PATTERNS, *PRESENCE)
        if kind.is_located:
            return (*PLACES, *PRESENCE)
        if not kind.is_filterable or self.is_whole_flattened:
            return PRESENCE
        if self.schema.type is FieldType.BOOLEAN:
            return ("is", *PRESENCE)
        patterns = PATTERNS if kind.has_strings else ()
        return (*EQUALITY, *(ORDER if kind.is_ordered else ()), *patterns, *PRESENCE)

    @property
    def is_whole_flattened(self) -> bool:
        """Whether it holds whatever is at paths below it: conditions are about one of these."""
        return self.schema.type is FieldType.FLATTENED and not self.is_path

    @property
    def is_sortable(self) -> bool:
        """Whether rows can be put in its order."""
        return self.space == "" and self.schema.is_sortable and self.kind.is_sortable and not self.is_whole_flattened

    @property
    def is_collapsible(self) -> bool:
        """Whether one row for each of its values can be found."""
        return self.space == "" and self.schema.is_sortable and self.kind.is_collapsible and not self.schema.is_array

    @property
    def is_aggregated(self) -> bool:
        return self.schema.sort_and_aggregate is not False

    @property
    def metrics(self) -> tuple[str, ...]:
        """Which aggregations go with it."""
        kind = self.kind
        if not self.is_aggregated or self.is_whole_flattened:
            return ()
        numbers = ("sum",) if kind.is_number else ()
        ordered = ("avg", "min", "max", "percentiles") if kind.is_number or kind.is_date else ()
        counted = ("distinct",) if kind.is_counted else ()
        return (*numbers, *ordered, *counted, *(("values",) if kind.is_counted or kind.is_located else ()))

    @property
    def groupings(self) -> tuple[str, ...]:
        """By what of it rows can be grouped."""
        kind = self.kind
        if not self.is_aggregated or self.is_whole_flattened:
            return ()
        by_value = ("value",) if kind.is_grouped else ()
        by_number = ("range", "interval") if kind.is_number else ()
        by_place = ("distance", "cell") if kind.is_located else ()
        return (*by_value, *by_number, *(("date",) if kind.is_date else ()), *by_place)

    def described(self) -> dict[str, Any]:
        """For the page's script, fit for JSON."""
        told: dict[str, Any] = {
            "name": self.name,
            "type": self.schema.type.name,
            "space": self.space,
            "operators": self.operators,
            "sortable": self.is_sortable,
            "collapsible": self.is_collapsible,
            "metrics": self.metrics,
            "groupings": self.groupings,
        }
        if self.is_whole_flattened:
            told["paths"] = True
        if self.schema.vector is not None:
            told["dimension"] = self.schema.vector.dimension
        return told


class SearchFields:
    """The fields of one search index, and the key of its table."""

    def __init__(self, schema: IndexSchema, key: Sequence[KeyColumn]) -> None:
        self.schema = schema
        self.key = tuple(key)

    @cached_property
    def all(self) -> tuple[SearchField, ...]:
        """Those of rows first, then those of documents within them, each space in the order of its declaration."""
        spaces: Mapping[str, Mapping[str, FieldSchema]] = self.schema.spaces
        return tuple(SearchField(field, space) for space, own in spaces.items() for field in own.values())

    @cached_property
    def vectors(self) -> tuple[SearchField, ...]:
        return tuple(one for one in self.all if one.kind.is_nearest and one.schema.is_indexed)

    @cached_property
    def texts(self) -> tuple[SearchField, ...]:
        return tuple(one for one in self.all if one.kind.is_searchable and one.schema.is_indexed)

    @property
    def spaces(self) -> tuple[str, ...]:
        """The paths of nested fields."""
        return tuple(space for space in self.schema.spaces if space)

    def named(self, node: Node) -> SearchField:
        """The field that a form names, by its full path. Raises `Wrong`."""
        name = node.text(bounds.NAME_BYTES_MAX)
        found = self.known(name)
        if found is None:
            raise node.wrong("There is no field {name}.", name=name)
        return found

    def known(self, name: str) -> SearchField | None:
        """The field of that path; None where there is none."""
        space = self.schema.space_of(name)
        if space is None:
            return None
        found = self.schema.field_in(space, name)
        return None if found is None else SearchField(found, space, name not in self.schema.spaces[space])
