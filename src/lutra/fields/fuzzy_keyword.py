"""Strings of which parts are looked for: FUZZY_KEYWORD fields."""

from __future__ import annotations

from lutra.fields.scalar import ScalarKind
from lutra.fields.virtual import Convert, as_string
from lutra.model.indexes import FieldType
from lutra.model.values import ColumnType


class FuzzyKeywordKind(ScalarKind):
    """As keywords, but that patterns need not look at all of them in a segment (`lutra.scalars.grams`)."""

    type = FieldType.FUZZY_KEYWORD
    column_types = frozenset({ColumnType.STRING})
    virtual_types = frozenset({ColumnType.STRING, ColumnType.INTEGER, ColumnType.DOUBLE})
    has_strings = True
    is_counted = False
    is_grouped = False

    def conversion(self) -> Convert:
        return as_string
