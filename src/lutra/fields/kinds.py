"""All kinds of fields there are."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from lutra.fields.boolean import BooleanKind
from lutra.fields.date import DateKind
from lutra.fields.geo_point import GeoPointKind
from lutra.fields.keyword import KeywordKind
from lutra.fields.kind import FieldKind
from lutra.fields.number import DoubleKind, LongKind
from lutra.fields.text import TextKind
from lutra.fields.vector import VectorKind
from lutra.model.indexes import FieldSchema, FieldType

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
        )
    }
)


def kind_of(field: FieldSchema) -> FieldKind:
    """What Lutra knows of the kind of ``field``."""
    return KINDS[field.type]
