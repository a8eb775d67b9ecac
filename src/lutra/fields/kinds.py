"""All kinds of fields there are."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from lutra.fields.boolean import BooleanKind
from lutra.fields.date import DateKind
from lutra.fields.flattened import FlattenedKind
from lutra.fields.fuzzy_keyword import FuzzyKeywordKind
from lutra.fields.geo_point import GeoPointKind
from lutra.fields.ip import IpKind
from lutra.fields.json import JsonKind
from lutra.fields.keyword import KeywordKind
from lutra.fields.kind import Column, FieldKind
from lutra.fields.nested import NestedKind
from lutra.fields.number import DoubleKind, LongKind
from lutra.fields.text import TextKind
from lutra.fields.vector import VectorKind
from lutra.fields.virtual import Convert, VirtualColumn, of_elements
from lutra.model.indexes import FieldSchema, FieldType


def kind_of(field: FieldSchema) -> FieldKind:
    """What Lutra knows of the kind of ``field``."""
    return KINDS[field.type].of(field)


KINDS: Final[Mapping[FieldType, FieldKind]] = MappingProxyType(
    {
        kind.type: kind
        for kind in (
            LongKind(),
            DoubleKind(),
            BooleanKind(),
            KeywordKind(),
            DateKind(),
            TextKind(),
            GeoPointKind(),
            VectorKind(),
            FuzzyKeywordKind(),
            IpKind(),
            FlattenedKind(),
            NestedKind(kind_of),
            JsonKind(kind_of),
        )
    }
)


def column_of(field: FieldSchema) -> Column:
    """An empty one for a buffer, which takes values as they are in the table column of ``field``."""
    kind = kind_of(field)
    column, convert = kind.column(field), kind.conversion() if field.is_virtual else None
    return column if convert is None else VirtualColumn(column, convert)


def conversion_of(field: FieldSchema) -> Convert | None:
    """From what the source column of a virtual field holds to what the field takes; None: they are the same."""
    convert = kind_of(field).conversion() if field.is_virtual else None
    return convert if convert is None or not field.is_array else of_elements(convert)
